/* SPDX-License-Identifier: MIT */
/*
 * side_pair SEED STEPS FILE DOMAIN SCRIBBLES: the firmware's vnc_side.h on both sides of a window, which FILE holds.
 *
 * At random: ticks with a clock that jumps, packets of every size in both directions, published one by one or
 * together, restarts with and without a clean stop, and SCRIBBLES words of another program's in an index line.
 * DOMAIN is 0 (coherent) or 2 (checked memory).
 * Prints "ok" and figures when every packet arrived unchanged, in order and at most once, and the ledgers balance.
 */
#include "harness.h"
#include "vnc_side.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MTU 1500u

static uint8_t *back, *front[2], packet[MTU];
static uint64_t seed, bytes, sent[2], newest[2];
static enum vnc_domain domain;
static struct vnc_side side[2];
static uint32_t now = 0xffff0000u, restarts;

static uint8_t expected(uint64_t number, uint32_t at)
{
	return (uint8_t)(number * 7 + at);
}

static void start(uint32_t which)
{
	struct vnc_side_config config = {.window = front[which], .bytes = bytes, .side = which, .domain = domain,
					 .mtu = MTU, .frames = VNC_FRAMES_IP, .seed = (uint32_t)rnd(&seed),
					 .name = "pair"};

	CHECK(vnc_side_open(&side[which], &config) == VNC_SIDE_OK);
	vnc_side_start(&side[which], now);
	restarts++;
}

static void send(uint32_t which)
{
	uint64_t number = sent[which] + 1;
	uint32_t len = 8 + below(&seed, MTU - 7), n;
	struct vnc_span span[2];
	bool full;

	if (!vnc_side_reserve(&side[which], len, span, &full))
		return;
	memcpy(packet, &number, 8);
	for (n = 8; n < len; n++)
		packet[n] = expected(number, n);
	vnc_ring_write(&side[which].tx, span, packet, len);
	if (below(&seed, 2))
		vnc_side_commit(&side[which], len);
	else
		vnc_side_append(&side[which], len);
	sent[which] = number;
}

static bool receive(uint32_t which)
{
	struct vnc_view view;
	uint64_t number;
	uint32_t n;

	if (!vnc_side_peek(&side[which], &view))
		return false;
	CHECK(view.len >= 8 && view.len <= MTU);
	vnc_ring_read(&side[which].rx, &view, packet);
	memcpy(&number, packet, 8);
	CHECK(number > newest[which] && number <= sent[1 - which]);
	newest[which] = number;
	for (n = 8; n < view.len; n++)
		CHECK(packet[n] == expected(number, n));
	(below(&seed, 2) ? vnc_side_release : vnc_side_retire)(&side[which], &view,
							       below(&seed, 50) ? 0 : VNC_RX_DROP_PORT_REFUSED);
	return true;
}

/* As another program, behind both sides: any value in a word of a side block on which the peer decides. */
static void scribble_block(uint32_t which, uint32_t word)
{
	struct vnc_side_control *block =
		(struct vnc_side_control *)(void *)(back + VNC_SIDE_OFFSET + which * VNC_SIDE_BYTES);
	uint32_t *words[] = {&block->version, &block->features, &block->mtu, &block->frames, &block->layout};

	__atomic_store_n(words[word], (uint32_t)rnd(&seed) | 1u << 30, __ATOMIC_RELEASE);
}

/* As another program: any multiple of 64 in one of the four index words, or see above. */
static void scribble(void)
{
	static const uint32_t words[] = {VNC_Q_H2C_PROD, VNC_Q_H2C_CONS, VNC_Q_C2H_PROD, VNC_Q_C2H_CONS};
	uint32_t *word = (uint32_t *)(void *)(back + VNC_QUEUE_OFFSET + words[below(&seed, 4)]);

	if (below(&seed, 2)) {
		scribble_block(below(&seed, 2), below(&seed, 5));
		return;
	}
	__atomic_store_n(word, below(&seed, 1u << 26) * VNC_LINE, __ATOMIC_RELEASE);
}

static void tick(uint32_t ms)
{
	now += ms;
	vnc_side_tick(&side[0], now);
	vnc_side_tick(&side[1], now);
}

/* A generation in which one side sends and the other reads nothing before it restarts: all of it is lost. */
static void lose(uint32_t which)
{
	uint32_t n;

	for (n = 0; n < 20; n++)
		tick(20);
	for (n = 0; n < 3; n++)
		send(which);
	start(1 - which);
}

static void step(uint32_t steps, uint32_t scribbles)
{
	uint32_t which = below(&seed, 2), n;

	tick(below(&seed, 40));
	for (n = below(&seed, 6); n; n--)
		send(which);
	if (below(&seed, 2))
		vnc_side_publish(&side[which]);
	for (n = below(&seed, 6); n && receive(1 - which); n--)
		;
	vnc_side_publish(&side[which]); /* what a program has not published when it is killed, it has not counted */
	vnc_side_publish(&side[1 - which]);
	if (below(&seed, 500) == 0) {
		if (below(&seed, 2))
			vnc_side_stop(&side[which]);
		start(which);
		if (below(&seed, 2))
			lose(which);
	}
	if (scribbles && below(&seed, steps) < scribbles)
		scribble();
}

static void settle(void)
{
	uint32_t n;

	for (n = 0; n < 2000 && !(side[0].up && side[1].up && n > 200); n++) {
		tick(20);
		while (receive(0) || receive(1))
			;
	}
	CHECK(side[0].up && side[1].up);
	tick(1);
	while (receive(0) || receive(1))
		;
}

int main(int argc, char **argv)
{
	uint32_t steps, n, scribbles;
	struct stat status;
	int fd;

	CHECK(argc == 6);
	seed = seeded(argv[1]);
	steps = (uint32_t)atol(argv[2]);
	domain = (enum vnc_domain)atoi(argv[4]);
	scribbles = (uint32_t)atol(argv[5]);
	fd = open(argv[3], O_RDWR);
	CHECK(fd >= 0 && !fstat(fd, &status));
	bytes = (uint64_t)status.st_size;
	back = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(back != MAP_FAILED);
	for (n = 0; n < 2; n++) {
#if VNC_CHECKED_WINDOWS
		front[n] = domain == VNC_CHECKED ? vnc_checked_open(back, bytes, rnd(&seed)) : back;
#else
		front[n] = back;
#endif
		start(n);
	}
	for (n = 0; n < steps; n++)
		step(steps, scribbles);
	settle();
	for (n = 0; scribbles && n < 5; n++) { /* the peer, which starts again, would refuse what it reads */
		scribble_block(1, n);
		start(0);
		settle();
	}
	for (n = 0; n < 2; n++) {
		const uint64_t *tx = side[n].tx_ledger.now, *rx = side[1 - n].rx_ledger.now;

		CHECK(tx[VNC_TX_TX_SENT] == sent[n]);
		CHECK(tx[VNC_TX_TX_TAKEN] - tx[VNC_TX_TX_SENT] ==
		      tx[VNC_TX_DROP_LINK_DOWN] + tx[VNC_TX_DROP_PEER_DEAD]);
		CHECK(tx[VNC_TX_TX_SENT] == rx[VNC_RX_RX_RECEIVED] + tx[VNC_TX_LOST_RESTART]);
		CHECK(rx[VNC_RX_RX_RECEIVED] == rx[VNC_RX_RX_DELIVERED] + rx[VNC_RX_DROP_PORT_REFUSED]);
		CHECK(sent[n] > steps / 2 && vnc_ledger_intact(&side[n].tx_ledger));
		CHECK((scribbles > 0) == (side[0].link[VNC_LINK_BRAKED] + side[1].link[VNC_LINK_BRAKED] > 0));
	}
	printf("%u starts, %llu and %llu packets\nok\n", restarts, (unsigned long long)sent[0],
	       (unsigned long long)sent[1]);
	return 0;
}
