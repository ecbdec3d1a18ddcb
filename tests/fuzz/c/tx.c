/* SPDX-License-Identifier: MIT */
/*
 * Fuzz harness: the tx pump, one move at a time, against a consumer that writes anything anywhere, with packets of all
 * kinds at the port.  The process also dies inside readv and is started again: every packet that was taken is counted.
 */
#include "pump.h"
#include <errno.h>
#include <setjmp.h>

#define SENT_MAX 256u
#define QUEUE_MAX 32u

static struct lines {
	struct vnc_prod_line own;
	struct vnc_cons_line peer;
	struct fuzz_counters counters;
	uint32_t epoch __attribute__((aligned(64)));
} *lines;
static struct vnc_pump *p;
static struct fuzz_setup setup;

struct packet {
	uint32_t len, number; /* @len without virtio_net_hdr */
	struct vnc_vnet_hdr hdr;
	uint8_t first;
	bool runt; /* shorter than a virtio_net_hdr */
};

/* The port: packets that come, oldest first. */
static struct {
	struct packet packet[QUEUE_MAX];
	uint32_t first, count, numbers, errors;
	uint64_t taken;
	bool traceless; /* nothing of the last packet was written into the ring: no kernel gives one without payload */
	int error;
	enum { LIVE, DIE_BEFORE, DIE_AFTER } fate; /* of the process in the next read */
} port;
static jmp_buf death;

/* The honest consumer, and the packets that it expects. */
static struct {
	uint32_t cons, seq, first, count;
	struct packet packet[SENT_MAX];
} due;

static uint64_t base[VNC_LEDGER_WORDS], base_viol, violations, lost;

void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	const struct vnc_producer *r = &p->producer;
	uint8_t *ring = fuzz_ring(), *head = ring + (r->prod & (VNC_RING_MIN - 1));

	switch (where % 10) {
	case 0:
		*good = r->published;
		return &lines->peer.cons;
	case 1:
		*good = r->cons;
		return &lines->peer.cons;
	case 2:
		return &lines->peer.need_wakeup;
	case 3:
		*good = lines->epoch;
		return &lines->epoch;
	case 4: /* what is armed */
	case 5:
	case 6:
		*bits = 64;
		head += 8 * (where % 10 - 4);
		*good = *fuzz_raw64(head);
		return head;
	case 7: /* the first slot of the ledger, and after it */
	case 8: /* the second one, and statistics */
		*bits = 64;
		where = where / 10 + (where % 10 == 8 ? VNC_LEDGER_WORDS : 0);
		*good = *((uint64_t *)(void *)&lines->counters + where);
		return (uint64_t *)(void *)&lines->counters + where;
	default:
		*bits = 64;
		return ring + where / 10 * 8 * (VNC_RING_MIN / 256);
	}
}

/* ---- the port ---------------------------------------------------------------------------------- */

static void arrive(void)
{
	struct packet *new = &port.packet[(port.first + port.count) % QUEUE_MAX];
	uint8_t kind = fuzz_byte();

	if (port.count == QUEUE_MAX)
		return;
	new->len = fuzz_u16() % (setup.packet_max + 40);
	new->len = setup.ethernet && new->len && new->len < 23 ? 23 : new->len; /* a kernel pads frames */
	new->first = kind & 1 ? 0x60 : 0x45;
	new->hdr = fuzz_vnet(setup.vnet_port ? kind / 2 : 0, new->len);
	new->number = port.numbers++;
	new->runt = setup.vnet_port && kind == 255;
	port.count++;
}

/* Byte @at of what the kernel gives for @packet. */
static uint8_t byte_of(const struct packet *packet, uint32_t at)
{
	if (setup.vnet_port && at < VNC_VNET_HDR)
		return ((const uint8_t *)&packet->hdr)[at];
	at -= setup.vnet_port ? VNC_VNET_HDR : 0;
	if (at < fuzz_l3(&setup, packet->number))
		return fuzz_ethernet(packet->number, at, fuzz_l3(&setup, packet->number), packet->first);
	return at != fuzz_l3(&setup, packet->number) ? fuzz_fill(packet->number, at) : packet->first;
}

/* The packet is the peer's now if the link takes it. */
static void expect(const struct packet *packet)
{
	uint32_t needed = setup.vnet_port && packet->len ? vnc_needed_feature(&packet->hdr, packet->first) : 0;

	if (packet->runt || !packet->len || packet->len > p->link.packet_max || (needed & ~p->link.features))
		return;
	due.packet[(due.first + due.count++) % SENT_MAX] = *packet;
	CHECK(due.count < SENT_MAX);
}

ssize_t fuzz_port_read(const struct iovec *iov, int n)
{
	struct packet packet = port.packet[port.first];
	uint32_t all = packet.runt ? 3 : packet.len + (setup.vnet_port ? VNC_VNET_HDR : 0), at = 0, here;

	if (port.errors) {
		port.errors--;
		errno = port.error;
		return -1;
	}
	if (!port.count) {
		errno = EAGAIN;
		return -1;
	}
	if (port.fate == DIE_BEFORE)
		longjmp(death, 1);
	for (; n--; iov++)
		for (here = 0; here < iov->iov_len && at < all; here++, at++)
			((uint8_t *)iov->iov_base)[here] = byte_of(&packet, at);
	port.first = (port.first + 1) % QUEUE_MAX;
	port.count--;
	if (!all) /* no packet: a socket whose far end has closed */
		return 0;
	port.taken++;
	port.traceless = setup.domain != VNC_COHERENT ||
			 all <= (setup.vnet_port && !(p->link.features & VNC_F_CSUM) ? VNC_VNET_HDR : 0);
	if (port.fate == DIE_AFTER)
		longjmp(death, 1);
	if ((p->done & 0xff) == VNC_RUN)
		expect(&packet);
	return at;
}

ssize_t fuzz_port_write(const struct iovec *iov, int n)
{
	(void)iov, (void)n;
	abort();
}

ssize_t fuzz_program_take(const uint8_t *packet, size_t bytes)
{
	(void)packet, (void)bytes;
	abort();
}

/* ---- the honest consumer ----------------------------------------------------------------------- */

static void consume(void)
{
	uint32_t most = fuzz_byte() % 16, lead = p->link.features & VNC_F_CSUM ? VNC_VNET_HDR : 0, skip, n;
	const struct packet *packet;
	const uint8_t *place, *ring = p->producer.ring;

	for (; most && fuzz_clean && due.cons != lines->own.prod; most--) {
		packet = &due.packet[due.first % SENT_MAX];
		place = ring + (due.cons & (VNC_RING_MIN - 1));
		CHECK(due.count && *fuzz_raw64(place) == ((packet->len + lead) | (uint64_t)!!lead << 32 |
							   (uint64_t)lead << 48));
		CHECK(*fuzz_raw64(place + 8) == due.seq);
		skip = setup.vnet_port && !lead ? VNC_VNET_HDR : 0;
		for (n = 0; n < packet->len + lead; n++)
			CHECK(ring[(due.cons + VNC_RECORD_HEADER + n) & (VNC_RING_MIN - 1)] ==
			      byte_of(packet, n + skip));
		due.cons += vnc_record_bytes(packet->len + lead);
		due.seq++;
		due.first++;
		due.count--;
	}
	*fuzz_raw32(&lines->peer.cons) = due.cons;
}

/* ---- the agent --------------------------------------------------------------------------------- */

static void generation(void)
{
	uint32_t index = fuzz_index();

	lines->peer = (struct vnc_cons_line){.cons = index, .need_wakeup = fuzz_byte() & 1};
	lines->epoch++;
	memset(&due, 0, sizeof(due));
	due.cons = index;
	fuzz_ours_poked = false;
	fuzz_forget_pokes();
	vnc_tx_reset(p, index);
	vnc_tx_begin(p, &(struct vnc_agreement){.own_epoch = 5, .peer_epoch = lines->epoch,
						.features = setup.features, .packet_max = setup.packet_max});
}

static void open_pump(void)
{
	const struct vnc_producer producer = {.ring = fuzz_ring(), .size = VNC_RING_MIN, .frame_max = 1,
					      .domain = setup.domain, .own = &lines->own, .peer = &lines->peer};

	p = fuzz_new_pump(&setup, &lines->epoch);
	CHECK(!vnc_tx_open(p, &producer, lines->counters.ledger, lines->counters.batches));
}

static void reset_accounts(void)
{
	memcpy(base, p->ledger.now, sizeof(base));
	base_viol = p->stats.now[VNC_TXSTAT_VIOL_CONS];
	port.taken = violations = lost = 0;
}

/* The process was killed; @inside: in a read that had taken a packet. */
static void restart(bool inside)
{
	bool honest = fuzz_clean && !fuzz_ours_ruined;

	vnc_pump_close(p);
	open_pump();
	/* In RAM every packet is counted; in device memory one a kill may be missing, see vnc_ledger.h. */
	if (!honest || !fuzz_clean)
		reset_accounts();
	else if (inside && port.traceless)
		lost++;
	port.fate = LIVE;
	generation();
}

static void check_stop(enum vnc_stop stop, bool commanded)
{
	violations += stop == VNC_STOP_VIOLATION;
	CHECK(stop != VNC_STOP_RING_EMPTY && stop != VNC_STOP_PORT_FULL);
	CHECK((stop == VNC_STOP_COMMAND) == commanded);
	CHECK(stop != VNC_STOP_PORT_GONE || (p->last_errno != EAGAIN && p->last_errno != EINTR));
	if (fuzz_clean)
		CHECK(stop != VNC_STOP_VIOLATION && stop != VNC_STOP_EPOCH);
	if (vnc_pump_hold_if(p, stop))
		vnc_pump_take_events(p);
	p->command = p->done = VNC_HOLD;
	port.fate = LIVE;
}

static void move(void)
{
	uint32_t max = fuzz_byte() % 64;
	bool commanded = max == 63;

	p->command = p->done = VNC_RUN;
	p->command += commanded ? 0x100 : 0;
	if (setjmp(death)) {
		restart(port.fate == DIE_AFTER);
		return;
	}
	vnc_stats_begin_batch(&p->stats);
	check_stop(vnc_tx_move(p, max, p->done), commanded);
	vnc_pump_end_batch(p);
}

static void drop(void)
{
	uint8_t how = fuzz_byte();
	bool commanded = how & 1;

	p->command = p->done = how & 2 ? VNC_DROP_LINK_DOWN : VNC_DROP_PEER_DEAD;
	p->command += commanded ? 0x100 : 0;
	port.fate = LIVE;
	check_stop(vnc_tx_drop(p, p->done, how & 2 ? VNC_TX_DROP_LINK_DOWN : VNC_TX_DROP_PEER_DEAD), commanded);
}

/* A second pump opens the ring of an owner that died; whatever the ledger says, it stays inside the ring. */
static void recover_only(void)
{
	struct vnc_ledger ledger = {.domain = setup.domain, .shared = lines->counters.ledger};
	uint64_t taken;

	vnc_ledger_read(setup.domain, ledger.shared, ledger.now);
	taken = ledger.now[VNC_TX_TX_TAKEN];
	vnc_tx_recover(&ledger, fuzz_ring(), VNC_RING_MIN);
	CHECK(ledger.now[VNC_TX_TX_TAKEN] - taken <= 1);
	restart(false);
}

/* ---- what must hold ---------------------------------------------------------------------------- */

static void check(void)
{
	const struct vnc_producer *r = &p->producer;
	uint64_t now[VNC_LEDGER_WORDS];
	unsigned int n;

	CHECK(r->prod % VNC_LINE == 0 && r->cons % VNC_LINE == 0 && r->prod - r->cons <= r->size);
	CHECK(r->published == r->prod && (fuzz_ours_poked || lines->own.prod == r->prod));
	for (n = 0; n < VNC_LEDGER_WORDS; n++)
		now[n] = p->ledger.now[n] - base[n];
	CHECK(now[VNC_TX_TX_TAKEN] + lost == port.taken || !fuzz_clean);
	CHECK(now[VNC_TX_TX_TAKEN] == now[VNC_TX_TX_SENT] + now[VNC_TX_DROP_LINK_DOWN] +
					      now[VNC_TX_DROP_PEER_DEAD] + now[VNC_TX_DROP_TOO_BIG] +
					      now[VNC_TX_DROP_MALFORMED] + now[VNC_TX_DROP_OFFLOAD]);
	CHECK(p->stats.now[VNC_TXSTAT_VIOL_CONS] - base_viol == violations);
	fuzz_check_taps();
}

static void operation(void)
{
	uint8_t how;

	switch (fuzz_byte() % 11) {
	case 0:
	case 1:
		arrive();
		break;
	case 2:
		fuzz_poke_op();
		break;
	case 3:
	case 4:
		move();
		break;
	case 5:
		consume();
		break;
	case 6:
		generation();
		break;
	case 7:
		port.fate = fuzz_byte() & 1 ? DIE_BEFORE : DIE_AFTER;
		break;
	case 8:
		drop();
		break;
	case 9:
		how = fuzz_byte();
		port.errors = 1;
		port.error = how & 1 ? EINTR : how & 2 ? EIO : EBADFD;
		break;
	default:
		recover_only();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(data, size);
	lines = (struct lines *)(void *)fuzz_lines();
	memset(&port, 0, sizeof(port));
	fuzz_read_setup(&setup);
	fuzz_area(&lines->own, sizeof(lines->own), OURS);
	fuzz_area(&lines->peer, sizeof(lines->peer), PEERS);
	fuzz_area(&lines->counters, sizeof(lines->counters), OURS);
	fuzz_area(&lines->epoch, VNC_LINE, PEERS);
	fuzz_area(fuzz_ring(), VNC_RING_MIN, OURS);
	open_pump();
	reset_accounts();
	generation();
	while (fuzz_more()) {
		operation();
		check();
	}
	vnc_pump_close(p);
	return 0;
}
