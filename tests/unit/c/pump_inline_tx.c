/* SPDX-License-Identifier: MIT */
/*
 * pump_inline_tx [PACKETS]: a tx pump, and a second thread that moves its packets inline as an rx pump does.
 *
 * Every packet leaves once and in order, and in HOLD neither thread moves any.
 */
#include "pump_rig.h"

static struct rig rig;
static struct vnc_pump p;
static struct vnc_consumer consumer;
static int port[2];
static uint32_t over;

/* Whether an inline move takes the packet that waits depends on the state of the pump. */
static void rules(void)
{
	CHECK(rig_send(port, 7));
	p.command = p.done = VNC_HOLD;
	vnc_inline_tx(&p);
	CHECK(rig_pop(&consumer) == -1); /* it is in HOLD */
	p.command = p.done = VNC_RUN;
	p.locked = 1;
	vnc_inline_tx(&p);
	CHECK(rig_pop(&consumer) == -1); /* its own thread moves packets */
	p.locked = 0;
	p.command = VNC_HOLD | 0x100;
	vnc_inline_tx(&p);
	CHECK(rig_pop(&consumer) == -1); /* a command waits */
	p.command = VNC_RUN;
	vnc_inline_tx(&p);
	CHECK(rig_pop(&consumer) == 7 && p.locked == 0);
}

/* An impossible index of the peer, or a new epoch, holds the pump from an inline move too, and is counted once. */
static void violations(void)
{
	uint64_t kicks;

	CHECK(rig_send(port, 8));
	p.producer.cons = p.producer.prod - p.producer.size; /* the ring seems full, so the index is read */
	rig.cons.cons = 1;
	vnc_inline_tx(&p);
	CHECK(vnc_pump_take_events(&p) == VNC_EVENT_VIOLATION && p.command == VNC_HOLD);
	CHECK(p.stats.now[VNC_TXSTAT_VIOL_CONS] == 1 && rig_pop(&consumer) == -1);
	CHECK(read(p.kick_fd, &kicks, sizeof(kicks)) == sizeof(kicks)); /* its own thread must take up HOLD */
	p.command = p.done = VNC_RUN;
	rig.epoch = 9;
	vnc_inline_tx(&p);
	CHECK(vnc_pump_take_events(&p) == VNC_EVENT_EPOCH && p.command == VNC_HOLD);
	CHECK(p.stats.now[VNC_TXSTAT_VIOL_CONS] == 1 && rig_pop(&consumer) == -1);
	rig.epoch = 0;
	rig.cons.cons = p.producer.cons = p.producer.prod;
	p.command = p.done = VNC_RUN;
	vnc_inline_tx(&p);
	CHECK(rig_pop(&consumer) == 8);
}

static void *move_inline(void *unused)
{
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		vnc_inline_tx(&p);
	return unused;
}

static void races(uint32_t packets)
{
	uint32_t sent = 0, got = 0, round = 0;
	pthread_t other;
	int64_t number;

	CHECK(!vnc_pump_start(&p));
	CHECK(!pthread_create(&other, NULL, move_inline, NULL));
	vnc_pump_command(&p, VNC_RUN);
	while (got < packets) {
		if (sent < packets && rig_send(port, sent))
			sent++;
		if (++round % 64 == 0) {
			vnc_pump_command(&p, VNC_HOLD);
			while ((number = rig_pop(&consumer)) >= 0)
				CHECK(number == got++);
			if (sent < packets && rig_send(port, sent))
				sent++;
			usleep(100);
			CHECK(rig_pop(&consumer) == -1);
			vnc_pump_command(&p, VNC_RUN);
		}
		if ((number = rig_pop(&consumer)) >= 0)
			CHECK(number == got++);
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	pthread_join(other, NULL);
	vnc_pump_close(&p);
	CHECK(p.ledger.now[VNC_TX_TX_SENT] == packets + 2u);
}

int main(int argc, char **argv)
{
	rig_port(port);
	rig_open_tx(&rig, &p, port[0]);
	consumer = rig_consumer(&rig);
	rules();
	violations();
	races(argc > 1 ? (uint32_t)atoi(argv[1]) : 20000);
	return 0;
}
