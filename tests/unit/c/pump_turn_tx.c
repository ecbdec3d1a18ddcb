/* SPDX-License-Identifier: MIT */
/*
 * pump_turn_tx [RECORDS] - a tx pump, and a second thread that takes turns at its work as an rx pump does.
 *
 * Every datagram leaves once and in order, and after HOLD nobody moves any, whoever it was before.
 */
#include "harness.h"
#include "vnc_pump.h"
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static uint8_t ring[VNC_RING_MIN] __attribute__((aligned(64)));
static uint64_t ledger[2 * VNC_LEDGER_WORDS], stats[32], batches[VNC_BATCH_WORDS];
static struct vnc_prod_line prod;
static struct vnc_cons_line cons;
static uint32_t epoch;
static struct vnc_pump p;
static struct vnc_consumer consumer;
static int port[2];
static uint32_t over;

static void set_up(void)
{
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, port));
	p.tx = p.futex = true;
	p.port.fd = port[0];
	p.link.peer_epoch = &epoch;
	p.link.packet_max = 1500;
	p.producer = (struct vnc_producer){.ring = ring, .size = sizeof(ring), .frame_max = 1500, .own = &prod, .peer = &cons};
	consumer = (struct vnc_consumer){.ring = ring, .size = sizeof(ring), .frame_max = 1500, .own = &cons, .peer = &prod};
	p.stats = stats;
	p.notes.batches = batches;
	p.kick_fd = eventfd(0, EFD_NONBLOCK);
	p.attention_fd = eventfd(0, EFD_NONBLOCK);
	vnc_ledger_open(&p.ledger, VNC_COHERENT, ledger);
}

/* The number in the oldest record, or -1 when there is none. */
static int64_t next(void)
{
	struct vnc_view view;
	uint32_t number;

	if (vnc_ring_peek(&consumer, &view) != VNC_OK) {
		CHECK(vnc_consumer_refresh(&consumer) != VNC_BAD_INDEX);
		if (vnc_ring_peek(&consumer, &view) != VNC_OK)
			return -1;
	}
	CHECK(view.len == sizeof(number));
	vnc_ring_read(&consumer, &view, (uint8_t *)&number);
	vnc_ring_release(&consumer, view.len);
	vnc_consumer_publish(&consumer);
	if (vnc_producer_sleeps(&consumer))
		vnc_futex_wake(&cons.cons);
	return number;
}

/* Whether a turn moves the datagram that waits depends on what the pump does. */
static void rules(void)
{
	uint32_t number = 7;

	CHECK(write(port[1], &number, sizeof(number)) == sizeof(number));
	p.command = p.done = VNC_HOLD;
	vnc_inline_tx(&p);
	CHECK(next() == -1); /* HOLD is HOLD */
	p.command = p.done = VNC_RUN;
	p.taken = 1;
	vnc_inline_tx(&p);
	CHECK(next() == -1); /* the pump itself is at it */
	p.taken = 0;
	p.command = VNC_HOLD | 0x100;
	vnc_inline_tx(&p);
	CHECK(next() == -1); /* a command waits */
	p.command = VNC_RUN;
	vnc_inline_tx(&p);
	CHECK(next() == 7 && p.taken == 0);
}

static void *take_turns(void *unused)
{
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		vnc_inline_tx(&p);
	return unused;
}

static void races(uint32_t records)
{
	uint32_t sent = 0, got = 0, round = 0;
	pthread_t other;
	int64_t number;

	CHECK(!vnc_pump_start(&p));
	CHECK(!pthread_create(&other, NULL, take_turns, NULL));
	vnc_pump_command(&p, VNC_RUN);
	while (got < records) {
		if (sent < records && write(port[1], &sent, sizeof(sent)) == sizeof(sent))
			sent++;
		if (++round % 64 == 0) {
			vnc_pump_command(&p, VNC_HOLD);
			while ((number = next()) >= 0)
				CHECK(number == got++);
			if (sent < records && write(port[1], &sent, sizeof(sent)) == sizeof(sent))
				sent++;
			usleep(100);
			CHECK(next() == -1);
			vnc_pump_command(&p, VNC_RUN);
		}
		if ((number = next()) >= 0)
			CHECK(number == got++);
	}
	CHECK(p.ledger.now[VNC_TX_TX_SENT] == records + 1u);
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	pthread_join(other, NULL);
	vnc_pump_stop(&p);
}

int main(int argc, char **argv)
{
	set_up();
	rules();
	races(argc > 1 ? (uint32_t)atoi(argv[1]) : 20000);
	return 0;
}
