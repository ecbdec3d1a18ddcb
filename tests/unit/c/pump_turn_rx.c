/* SPDX-License-Identifier: MIT */
/*
 * pump_turn_rx [RECORDS] - an rx pump, and a second thread that waits awake for its records as a tx pump does.
 *
 * Every record is delivered once and in order, after HOLD nobody delivers any, and nobody sleeps over one: whoever
 * took a turn has told the producer that it need not wake anybody, and must see to it afterwards.
 */
#include "harness.h"
#include "vnc_pump.h"
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define TURN_MAX 16u /* as in vnc_inline.c */

static uint8_t ring[VNC_RING_MIN] __attribute__((aligned(64)));
static uint64_t ledger[2 * VNC_LEDGER_WORDS], stats[32], batches[VNC_BATCH_WORDS];
static struct vnc_prod_line prod;
static struct vnc_cons_line cons;
static uint32_t epoch;
static struct vnc_pump p, tx; /* of @tx there is only what a turn looks at */
static struct vnc_producer producer;
static int port[2], silent[2];
static uint32_t over, delivered;

static void set_up(void)
{
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, port));
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, silent));
	p.futex = true;
	p.port.fd = port[0];
	p.link.peer_epoch = &epoch;
	p.link.packet_max = 1500;
	p.consumer = (struct vnc_consumer){.ring = ring, .size = sizeof(ring), .frame_max = 1500, .own = &cons, .peer = &prod};
	producer = (struct vnc_producer){.ring = ring, .size = sizeof(ring), .frame_max = 1500, .own = &prod, .peer = &cons};
	p.stats = stats;
	p.notes.batches = batches;
	p.kick_fd = eventfd(0, EFD_NONBLOCK);
	p.attention_fd = eventfd(0, EFD_NONBLOCK);
	tx.port.fd = silent[0];
	vnc_ledger_open(&p.ledger, VNC_COHERENT, ledger);
}

static bool send_record(uint32_t number)
{
	struct vnc_span span[2];

	if (vnc_ring_reserve(&producer, sizeof(number), span) != VNC_OK)
		return false;
	vnc_ring_write(&producer, span, (const uint8_t *)&number, sizeof(number));
	vnc_ring_commit(&producer, sizeof(number), 0, 0);
	vnc_producer_publish(&producer);
	if (vnc_consumer_sleeps(&producer))
		vnc_futex_wake(&prod.prod);
	return true;
}

/* The number in the oldest datagram, or -1 when there is none. */
static int64_t next(void)
{
	uint32_t number;

	return read(port[1], &number, sizeof(number)) == sizeof(number) ? (int64_t)number : -1;
}

static void turn(void)
{
	tx.patience = (struct vnc_busypoll){0}; /* as if it had always paid */
	vnc_inline_rx(&p, &tx, 0);
}

/* Whether a turn delivers the record that waits depends on what the pump does. */
static void rules(void)
{
	CHECK(send_record(7));
	p.command = p.done = VNC_HOLD;
	turn();
	CHECK(next() == -1); /* HOLD is HOLD */
	p.command = p.done = VNC_RUN;
	p.taken = 1;
	turn();
	CHECK(next() == -1); /* the pump itself is at it */
	p.taken = 0;
	p.command = VNC_HOLD | 0x100;
	turn();
	CHECK(next() == -1); /* a command waits */
	p.command = VNC_RUN;
	p.wait = VNC_WAIT_SLEEP;
	turn();
	CHECK(next() == -1); /* nobody waits awake there */
	p.wait = VNC_WAIT_ADAPTIVE;
	turn();
	CHECK(next() == 7 && p.taken == 0 && cons.need_wakeup == 1);
}

/* What a turn leaves behind the pump, which sleeps, must be told of. */
static void leftovers(void)
{
	uint64_t kicks;
	uint32_t n;

	p.link.belled = true; /* then it is told by its kick, which can be seen here */
	for (n = 0; n < TURN_MAX; n++)
		CHECK(send_record(n));
	turn();
	CHECK(read(p.kick_fd, &kicks, sizeof(kicks)) < 0);
	for (n = 0; n < TURN_MAX + 1; n++)
		CHECK(send_record(n));
	turn();
	CHECK(read(p.kick_fd, &kicks, sizeof(kicks)) == sizeof(kicks));
	turn();
	for (n = 0; n < 2 * TURN_MAX + 1; n++)
		CHECK(next() == (n < TURN_MAX ? n : n - TURN_MAX));
	p.link.belled = false;
}

/* An answer that does not come makes the next tries rarer, and one that comes makes them frequent again. */
static void patience(void)
{
	unsigned int tries = 0, n;

	tx.patience = (struct vnc_busypoll){0};
	for (n = 0; n < 1000; n++)
		if (!tx.patience.left)
			tries += !vnc_inline_rx(&p, &tx, 0);
		else
			CHECK(!vnc_inline_rx(&p, &tx, 0));
	CHECK(tries >= 2 && tries < 20);
	for (n = 0; tx.patience.skips; n++) { /* each that pays makes up for two */
		tx.patience.left = 0;
		CHECK(send_record(n) && vnc_inline_rx(&p, &tx, 0) && next() == n);
	}
	CHECK(n > 1 && n < 10);
	delivered = n;
}

static void *take_turns(void *unused)
{
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		turn();
		usleep(20);
	}
	return unused;
}

static void races(uint32_t records)
{
	uint32_t sent = 0, got = 0, round = 0;
	pthread_t other;
	int64_t number;

	p.consumer.own->need_wakeup = 0;
	CHECK(!vnc_pump_start(&p));
	CHECK(!pthread_create(&other, NULL, take_turns, NULL));
	vnc_pump_command(&p, VNC_RUN);
	while (got < records) {
		if (sent < records && sent - got < 8 && send_record(sent))
			sent++;
		if (++round % 64 == 0) {
			vnc_pump_command(&p, VNC_HOLD);
			while ((number = next()) >= 0)
				CHECK(number == got++);
			if (sent < records && send_record(sent))
				sent++;
			usleep(100);
			CHECK(next() == -1);
			vnc_pump_command(&p, VNC_RUN);
		}
		if ((number = next()) >= 0)
			CHECK(number == got++);
		if (round % 16 == 0)
			usleep(50); /* both may fall asleep */
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	pthread_join(other, NULL);
	vnc_pump_stop(&p);
	CHECK(p.ledger.now[VNC_RX_RX_DELIVERED] == records + 2u + 2 * TURN_MAX + delivered);
	CHECK(p.counted[VNC_RXSTAT_LATE_WAKEUPS] == 0);
}

int main(int argc, char **argv)
{
	set_up();
	rules();
	leftovers();
	patience();
	races(argc > 1 ? (uint32_t)atoi(argv[1]) : 20000);
	return 0;
}
