/* SPDX-License-Identifier: MIT */
/*
 * hostile SEED MUTATIONS MODE WAIT DEVICE: the real pumps against a hostile peer.
 *
 *   MODE    0 plain port, 1 port and link with virtio_net_hdr and super-packets, 2 port with, link without
 *   WAIT    enum vnc_wait_mode;  DEVICE  1: the barriers and copies of memory behind PCIe
 *
 * An attacker thread writes into the shared region (hostile_attack.c) while packets come in at the port.  The main
 * thread does what link.py does: events lead to HOLD, reset, a new generation, RUN.  At the end the peer follows the
 * rules, and packets must cross in both directions.  Reading or writing outside a ring faults.  The pumps are partners,
 * as an agent's are.
 */
#define _GNU_SOURCE
#include "hostile.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct setup w;

#define ANSWER_NS 1000000000 /* in which a pump takes up a command */

static int attention;
static bool attacking = true;
static uint32_t answer_worst_us;
static uint64_t command_since, own_random;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *watch(void *unused)
{
	uint32_t before = 0;
	uint64_t since, seconds = now_ns();

	for (;; usleep(50000)) {
		since = __atomic_load_n(&command_since, __ATOMIC_ACQUIRE);
		if (since && now_ns() - since > ANSWER_NS + 1000000000u)
			hung("a pump does not answer");
		if (now_ns() - seconds < 20000000000u)
			continue;
		if (__atomic_load_n(&w.moves, __ATOMIC_RELAXED) == before)
			hung("nothing moves");
		before = __atomic_load_n(&w.moves, __ATOMIC_RELAXED);
		seconds = now_ns();
	}
	return unused;
}

/* Sanitizers do not see what is handed to the kernel: it must be in a ring, or outside the region. */
static void check_iov(const struct iovec *iov, int n)
{
	uint8_t *low = (uint8_t *)w.shared - PAGE, *high = w.rx_ring + w.ring + PAGE;

	for (; n--; iov++) {
		uint8_t *base = iov->iov_base, *end = base + iov->iov_len;
		bool in_tx = base >= w.tx_ring && end <= w.tx_ring + w.ring;
		bool in_rx = base >= w.rx_ring && end <= w.rx_ring + w.ring;

		CHECK(iov->iov_len <= VNC_FRAME_MAX + VNC_LINE); /* as many bytes as a pump reads at once */
		CHECK(in_tx || in_rx || end <= low || base >= high);
	}
}

ssize_t __real_readv(int fd, const struct iovec *iov, int n);
ssize_t __real_writev(int fd, const struct iovec *iov, int n);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n);

ssize_t __wrap_readv(int fd, const struct iovec *iov, int n)
{
	check_iov(iov, n);
	return __real_readv(fd, iov, n);
}

ssize_t __wrap_writev(int fd, const struct iovec *iov, int n)
{
	check_iov(iov, n);
	return __real_writev(fd, iov, n);
}

/* ---- what an agent does ------------------------------------------------------------------------- */

static void command(struct vnc_pump *p, enum vnc_command what)
{
	uint64_t start = now_ns(), took;

	__atomic_store_n(&command_since, start, __ATOMIC_RELEASE);
	vnc_pump_command(p, what);
	__atomic_store_n(&command_since, 0, __ATOMIC_RELEASE);
	took = now_ns() - start;
	CHECK(took < ANSWER_NS);
	if (took / 1000 > answer_worst_us)
		answer_worst_us = (uint32_t)(took / 1000);
}

static void begin(uint32_t peer, uint32_t index)
{
	struct vnc_agreement with = {
		.own_epoch = __atomic_add_fetch(&w.generations, 1, __ATOMIC_RELAXED),
		.peer_epoch = peer,
		.features = w.features | VNC_F_WAKE,
		.packet_max = w.packet_max,
	};

	vnc_tx_reset(&w.tx, index);
	vnc_tx_begin(&w.tx, &with);
	vnc_rx_reset(&w.rx, index);
	vnc_rx_begin(&w.rx, &with);
}

static void new_generation(bool honest)
{
	struct vnc_producer *p = &w.tx.producer;
	struct vnc_consumer *c = &w.rx.consumer;
	/* Link starts at 0; generations are too short here to reach the ring's end, and 2^32, from there. */
	uint32_t epoch, index = honest || rnd(&own_random) >> 63 ? 0 : 0u - VNC_LINE * (1 + below(&own_random, 16));

	command(&w.tx, VNC_HOLD);
	command(&w.rx, VNC_HOLD);
	CHECK(p->prod - p->cons <= w.ring && p->prod % VNC_LINE == 0 && p->cons % VNC_LINE == 0);
	CHECK(c->prod - c->cons <= w.ring && c->prod % VNC_LINE == 0 && c->cons % VNC_LINE == 0);
	if (honest || rnd(&own_random) >> 63) { /* most attackers start as a peer does */
		poke32(&w.shared->tx_peer.cons, index);
		poke32(&w.shared->rx_peer.prod, index);
		poke32(&w.shared->tx_peer.need_wakeup, 0);
		poke32(&w.shared->rx_peer.need_wakeup, 0);
	}
	epoch = peek32(&w.shared->peer.epoch);
	begin(epoch, index);
	command(&w.rx, VNC_RUN);
	command(&w.tx, VNC_RUN);
}

static void supervise(void)
{
	struct pollfd fd = {.fd = attention, .events = POLLIN};
	uint32_t events;
	uint64_t drain;

	new_generation(true);
	while (__atomic_load_n(&attacking, __ATOMIC_ACQUIRE)) {
		if (poll(&fd, 1, 5) > 0 && read(attention, &drain, sizeof(drain)) < 0)
			CHECK(errno == EAGAIN);
		events = vnc_pump_take_events(&w.tx) | vnc_pump_take_events(&w.rx);
		CHECK(!(events & VNC_EVENT_PORT_GONE));
		if (events & (VNC_EVENT_EPOCH | VNC_EVENT_VIOLATION)) {
			new_generation(false);
		} else if (below(&own_random, 50) == 0) { /* as with a peer that seems dead, and returns */
			command(&w.tx, VNC_DROP_PEER_DEAD);
			command(&w.tx, VNC_RUN);
		}
	}
}

static void *attacker(void *arg)
{
	uint32_t most = *(uint32_t *)arg, before;

	for (w.mutations = 0; w.mutations < most; w.mutations++) {
		before = peek32(&w.generations);
		attack(&w);
		__atomic_fetch_add(&w.moves, 1, __ATOMIC_RELAXED);
		/* Give a generation time to begin and to run. */
		for (uint32_t n = below(&w.random, 100); n && peek32(&w.generations) == before; n--)
			for (uint32_t m = 0; m < 10; m++)
				vnc_cpu_relax();
	}
	__atomic_store_n(&attacking, false, __ATOMIC_RELEASE);
	return NULL;
}

/* ---- afterwards --------------------------------------------------------------------------------- */

static void check_counters(void)
{
	const uint64_t *tx = w.tx.ledger.now, *rx = w.rx.ledger.now, *s = w.shared->rx_stats;
	uint64_t cons = w.shared->tx_stats[VNC_TXSTAT_VIOL_CONS];

	printf("generations %u, slowest answer %u us, sent %llu, delivered %llu\n", w.generations, answer_worst_us,
	       (unsigned long long)tx[VNC_TX_TX_SENT], (unsigned long long)rx[VNC_RX_RX_DELIVERED]);
	printf("viol_cons %llu viol_prod %llu viol_len %llu viol_header %llu viol_seq %llu\n", (unsigned long long)cons,
	       (unsigned long long)s[VNC_RXSTAT_VIOL_PROD], (unsigned long long)s[VNC_RXSTAT_VIOL_LEN],
	       (unsigned long long)s[VNC_RXSTAT_VIOL_HEADER], (unsigned long long)s[VNC_RXSTAT_VIOL_SEQ]);
	CHECK(cons && s[VNC_RXSTAT_VIOL_PROD] && s[VNC_RXSTAT_VIOL_LEN] && s[VNC_RXSTAT_VIOL_HEADER] &&
	      s[VNC_RXSTAT_VIOL_SEQ]);
	CHECK(tx[VNC_TX_TX_SENT] > EXCHANGES && rx[VNC_RX_RX_DELIVERED] > EXCHANGES);
	CHECK(tx[VNC_TX_TX_TAKEN] == tx[VNC_TX_TX_SENT] + tx[VNC_TX_DROP_LINK_DOWN] + tx[VNC_TX_DROP_PEER_DEAD] +
					 tx[VNC_TX_DROP_TOO_BIG] + tx[VNC_TX_DROP_MALFORMED] + tx[VNC_TX_DROP_OFFLOAD]);
	CHECK(rx[VNC_RX_RX_RECEIVED] == rx[VNC_RX_RX_DELIVERED] + rx[VNC_RX_DROP_PORT_REFUSED] +
					    rx[VNC_RX_DROP_PORT_DOWN] + rx[VNC_RX_DROP_BAD_FRAME] +
					    rx[VNC_RX_DROP_SOURCE] + rx[VNC_RX_DROP_REDIRECT] +
					    rx[VNC_RX_DROP_SEGMENTS]);
}

static void set_up(int mode, enum vnc_wait_mode wait, enum vnc_domain domain)
{
	struct vnc_pump *pump[] = {&w.tx, &w.rx};
	struct vnc_producer producer;
	struct vnc_consumer consumer;
	uint8_t *region;

	w.vnet_port = mode != 0;
	w.features = mode == 1 ? VNC_F_CSUM | VNC_F_TSO4 | VNC_F_USO4 : 0;
	w.packet_max = mode == 1 ? VNC_FRAME_MAX - VNC_VNET_HDR : 1500;
	w.ring = mode == 1 ? 256 << 10 : PAGE;
	region = mmap(NULL, 5 * PAGE + 2 * w.ring, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(region != MAP_FAILED && sizeof(struct shared) <= PAGE);
	w.shared = (struct shared *)(void *)(region + PAGE);
	w.tx_ring = region + 3 * PAGE;
	w.rx_ring = w.tx_ring + w.ring + PAGE;
	CHECK(!mprotect(w.shared, PAGE, PROT_READ | PROT_WRITE) &&
	      !mprotect(w.tx_ring, w.ring, PROT_READ | PROT_WRITE) &&
	      !mprotect(w.rx_ring, w.ring, PROT_READ | PROT_WRITE));
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, w.port));
	attention = eventfd(0, EFD_NONBLOCK);
	for (int n = 0; n < 2; n++) {
		pump[n]->port = (struct vnc_port){.fd = w.port[0], .vnet = w.vnet_port};
		pump[n]->link.peer_epoch = &w.shared->peer.epoch;
		pump[n]->wait = wait;
		pump[n]->futex = domain == VNC_COHERENT;
		pump[n]->attention_fd = attention;
	}
	producer = (struct vnc_producer){.ring = w.tx_ring, .size = w.ring, .frame_max = 1, .domain = domain,
					      .own = &w.shared->tx_own, .peer = &w.shared->tx_peer};
	consumer = (struct vnc_consumer){.ring = w.rx_ring, .size = w.ring, .frame_max = 1, .domain = domain,
					      .own = &w.shared->rx_own, .peer = &w.shared->rx_peer};
	CHECK(!vnc_tx_open(&w.tx, &producer, w.shared->tx_ledger, w.shared->batches[0]));
	CHECK(!vnc_rx_open(&w.rx, &consumer, w.shared->rx_ledger, w.shared->batches[1]));
	w.rx.partner = &w.tx;
	w.tx.partner = &w.rx;
	CHECK(!vnc_pump_start(&w.tx) && !vnc_pump_start(&w.rx));
}

int main(int argc, char **argv)
{
	uint32_t mutations;
	pthread_t dog, thread[3];

	CHECK(argc == 6);
	mutations = (uint32_t)atoi(argv[2]);
	w.random = seeded(argv[1]);
	own_random = w.random ^ 0x7700;
	w.feeding = true;
	set_up(atoi(argv[3]), (enum vnc_wait_mode)atoi(argv[4]), (enum vnc_domain)atoi(argv[5]));
	pthread_create(&dog, NULL, watch, NULL);
	pthread_create(&thread[0], NULL, feed, argv[1]);
	pthread_create(&thread[1], NULL, drain, NULL);
	pthread_create(&thread[2], NULL, attacker, &mutations);
	supervise();
	pthread_join(thread[2], NULL);
	__atomic_store_n(&w.feeding, false, __ATOMIC_RELEASE);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);

	command(&w.tx, VNC_DROP_LINK_DOWN); /* empty the port */
	command(&w.rx, VNC_HOLD);
	usleep(200000);
	while (recv(w.port[1], (char[1]){0}, 1, 0) >= 0)
		continue;
	poke32(&w.shared->peer.epoch, 0xbeef);
	new_generation(true);
	exchange();
	vnc_pump_set_partner(&w.tx, NULL);
	vnc_pump_close(&w.rx);
	vnc_pump_close(&w.tx);
	check_counters();
	puts("ok");
	return 0;
}
