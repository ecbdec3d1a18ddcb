/* SPDX-License-Identifier: MIT */
/*
 * pump_inline_rx [RECORDS]: an rx pump, and a second thread that busy-polls for its records as a tx pump does.
 *
 * Every record is delivered once and in order, in HOLD neither thread delivers any, and no record waits for a sleeping
 * thread: the thread that polls has published that the producer need not wake the pump, and must wake it afterwards
 * itself if a record is left.
 */
#include "pump_rig.h"
#include <sys/uio.h>

#define INLINE_MAX 16u /* as in vnc_inline.c */

static struct rig rig;
static struct vnc_pump p, tx; /* of @tx there is only what vnc_inline_rx() uses */
static struct vnc_producer producer;
static int port[2], quiet[2];
static uint32_t over, delivered;
static uint32_t restart_in; /* packets to write until the peer has a new epoch, and sends on; 0: it does not */

ssize_t __real_writev(int fd, const struct iovec *iov, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n);

ssize_t __wrap_writev(int fd, const struct iovec *iov, int n)
{
	ssize_t done = __real_writev(fd, iov, n);

	if (restart_in && --restart_in == 0) {
		rig.epoch = 9;
		CHECK(rig_push(&producer, 99));
	}
	return done;
}

static void poll_once(void)
{
	tx.busypoll = (struct vnc_busypoll){0}; /* as if it had always paid */
	vnc_inline_rx(&p, &tx, 0);
}

static bool kicked(void)
{
	uint64_t kicks;

	return read(p.kick_fd, &kicks, sizeof(kicks)) == sizeof(kicks);
}

/* Whether an inline move delivers the record that waits depends on the state of the pump. */
static void rules(void)
{
	CHECK(rig_push(&producer, 7));
	p.command = p.done = VNC_HOLD;
	poll_once();
	CHECK(rig_receive(port) == -1); /* it is in HOLD */
	p.command = p.done = VNC_RUN;
	p.locked = 1;
	poll_once();
	CHECK(rig_receive(port) == -1); /* its own thread moves records */
	p.locked = 0;
	p.command = VNC_HOLD | 0x100;
	poll_once();
	CHECK(rig_receive(port) == -1); /* a command waits */
	p.command = VNC_RUN;
	p.wait = VNC_WAIT_SLEEP;
	poll_once();
	CHECK(rig_receive(port) == -1); /* such a pump is not to be polled for */
	p.wait = VNC_WAIT_ADAPTIVE;
	poll_once();
	CHECK(rig_receive(port) == 7 && p.locked == 0 && rig.cons.need_wakeup == 1);
}

/* The pump, which sleeps, is woken for what an inline move leaves. */
static void leftovers(void)
{
	uint32_t n;

	p.link.wake = VNC_WAKE_IRQ; /* so that it is woken by its kick, which can be seen here */
	for (n = 0; n < INLINE_MAX; n++)
		CHECK(rig_push(&producer, n));
	poll_once();
	CHECK(!kicked());
	for (n = 0; n < INLINE_MAX + 1; n++)
		CHECK(rig_push(&producer, n));
	poll_once();
	CHECK(kicked());
	poll_once();
	for (n = 0; n < 2 * INLINE_MAX + 1; n++)
		CHECK(rig_receive(port) == (n < INLINE_MAX ? n : n - INLINE_MAX));
}

/* A peer that restarts while an inline move ends: the index of the new generation is not taken without its epoch. */
static void new_epoch(void)
{
	uint32_t n;

	for (n = 0; n < INLINE_MAX; n++)
		CHECK(rig_push(&producer, n));
	restart_in = INLINE_MAX;
	poll_once();
	CHECK(!restart_in && kicked());
	for (n = 0; n < INLINE_MAX; n++)
		CHECK(rig_receive(port) == n);
	CHECK(vnc_rx_move(&p, UINT32_MAX, VNC_RUN) == VNC_STOP_EPOCH && rig_receive(port) == -1);
	p.consumer.prod = p.consumer.cons;
	poll_once(); /* an inline move notices it too */
	CHECK(vnc_pump_take_events(&p) == VNC_EVENT_EPOCH && p.command == VNC_HOLD && rig_receive(port) == -1 &&
	    kicked());
	rig.epoch = 0;
	p.command = p.done = VNC_RUN;
	poll_once();
	CHECK(rig_receive(port) == 99);
	delivered += INLINE_MAX + 1;
}

/* A bad record holds the pump from an inline move too, and is counted once. */
static void violations(void)
{
	uint32_t index = p.consumer.cons;
	uint64_t *head = (uint64_t *)(void *)(rig.ring + (index & (sizeof(rig.ring) - 1)));

	CHECK(rig_push(&producer, 5));
	head[0] = 0; /* a record of 0 bytes */
	poll_once();
	CHECK(vnc_pump_take_events(&p) == VNC_EVENT_VIOLATION && p.command == VNC_HOLD && kicked());
	CHECK(p.stats.now[VNC_RXSTAT_VIOL_LEN] == 1 && rig_receive(port) == -1);
	head[0] = sizeof(uint32_t);
	p.command = p.done = VNC_RUN;
	poll_once();
	CHECK(rig_receive(port) == 5);
	delivered++;
}

/* A port that takes no packet stops an inline move; the record stays in the ring and leaves it once. */
static void full_port(void)
{
	uint32_t sent = 0, got = 0;
	int64_t number;

	while (!p.refused_record.len) {
		CHECK(rig_push(&producer, sent++));
		poll_once();
	}
	CHECK(kicked());
	poll_once(); /* still full */
	CHECK(p.refused_record.len);
	while (got < sent) {
		while ((number = rig_receive(port)) >= 0)
			CHECK(number == got++);
		poll_once();
	}
	CHECK(rig_receive(port) == -1);
	while (kicked())
		;
	delivered += sent;
	p.link.wake = VNC_WAKE_FUTEX;
}

/* An answer that does not come makes the next polls rarer, and one that comes makes them frequent again. */
static void back_off(void)
{
	unsigned int tries = 0, n;

	tx.busypoll = (struct vnc_busypoll){0};
	for (n = 0; n < 1000; n++)
		if (!tx.busypoll.left)
			tries += !vnc_inline_rx(&p, &tx, 0);
		else
			CHECK(!vnc_inline_rx(&p, &tx, 0));
	CHECK(tries >= 2 && tries < 20);
	for (n = 0; tx.busypoll.skips; n++) { /* each that pays makes up for two */
		tx.busypoll.left = 0;
		CHECK(rig_push(&producer, n) && vnc_inline_rx(&p, &tx, 0) && rig_receive(port) == n);
	}
	CHECK(n > 1 && n < 10);
	delivered += n;
}

static void *move_inline(void *unused)
{
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		poll_once();
		usleep(20);
	}
	return unused;
}

static void races(uint32_t records)
{
	uint32_t sent = 0, got = 0, round = 0;
	pthread_t other;
	int64_t number;

	rig.cons.need_wakeup = 0;
	CHECK(!vnc_pump_start(&p));
	CHECK(!pthread_create(&other, NULL, move_inline, NULL));
	vnc_pump_command(&p, VNC_RUN);
	while (got < records) {
		if (sent < records && sent - got < 8 && rig_push(&producer, sent))
			sent++;
		if (++round % 64 == 0) {
			vnc_pump_command(&p, VNC_HOLD);
			while ((number = rig_receive(port)) >= 0)
				CHECK(number == got++);
			if (sent < records && rig_push(&producer, sent))
				sent++;
			usleep(100);
			CHECK(rig_receive(port) == -1);
			vnc_pump_command(&p, VNC_RUN);
		}
		if ((number = rig_receive(port)) >= 0)
			CHECK(number == got++);
		if (round % 16 == 0)
			usleep(50); /* both may fall asleep */
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	pthread_join(other, NULL);
	vnc_pump_close(&p);
	CHECK(p.ledger.now[VNC_RX_RX_DELIVERED] == records + 2u + 2 * INLINE_MAX + delivered);
	CHECK(p.stats.now[VNC_RXSTAT_LATE_WAKEUPS] == 0);
}

int main(int argc, char **argv)
{
	rig_port(port);
	rig_port(quiet);
	rig_open_rx(&rig, &p, port[0]);
	producer = rig_producer(&rig);
	tx.kind = &vnc_kind_tx;
	tx.port.fd = quiet[0];
	rules();
	leftovers();
	new_epoch();
	violations();
	full_port();
	back_off();
	races(argc > 1 ? (uint32_t)atoi(argv[1]) : 20000);
	return 0;
}
