/* SPDX-License-Identifier: MIT */
/*
 * main ROUNDS BATCH SAMPLE: prints the nanoseconds that both pumps together spend on a record, the records delivered
 * and
 * the events written.  SAMPLE 0: no tap; else one tap per pump that wants every stage of one record in SAMPLE.  It is
 * built with readv and writev wrapped, so that no system call hides the rest.
 */
#include "vnc_pump.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#define RING (1u << 20)
#define TAP_RING (4u << 20)
#define LEN 64
#define LEDGER ((2 * VNC_LEDGER_WORDS + VNC_STATS_WORDS) * 8)

static uint32_t to_read, to_write;
static struct vnc_pump tx, rx;

ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
	(void)fd;
	(void)count;
	if (!to_read) {
		tx.command = VNC_HOLD;
		errno = EAGAIN;
		return -1;
	}
	to_read--;
	memset(iov[0].iov_base, 0x45, 8);
	return LEN;
}

ssize_t __wrap_writev(int fd, const struct iovec *iov, int count)
{
	(void)fd;
	(void)iov;
	(void)count;
	if (--to_write == 0)
		rx.command = VNC_HOLD;
	return LEN;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *lines(size_t bytes)
{
	void *at = aligned_alloc(64, bytes);

	memset(at, 0, bytes);
	return at;
}

static void prepare(struct vnc_pump *p)
{
	p->port.fd = -1;
	p->wait = VNC_WAIT_POLL;
	p->link.peer_epoch = lines(64);
	p->attention_fd = eventfd(0, EFD_NONBLOCK);
}

static void open_pumps(void)
{
	const struct vnc_agreement with = {.packet_max = LEN};
	struct vnc_prod_line *prod = lines(64);
	struct vnc_cons_line *cons = lines(64);
	uint8_t *ring = lines(RING);
	const struct vnc_producer producer = {.ring = ring, .size = RING, .frame_max = LEN, .own = prod, .peer = cons};
	const struct vnc_consumer consumer = {.ring = ring, .size = RING, .frame_max = LEN, .own = cons, .peer = prod};
	uint64_t *batches[2] = {lines(VNC_BATCH_WORDS * 8 + 64), lines(VNC_BATCH_WORDS * 8 + 64)};

	prepare(&tx);
	prepare(&rx);
	if (vnc_tx_open(&tx, &producer, lines(LEDGER), batches[0]) ||
	    vnc_rx_open(&rx, &consumer, lines(LEDGER), batches[1]))
		exit(1);
	vnc_tx_begin(&tx, &with);
	vnc_rx_begin(&rx, &with);
}

static struct vnc_tap *add_tap(struct vnc_pump *p, uint32_t sample)
{
	struct vnc_tap *tap = lines((sizeof(*tap) + 63) & ~(size_t)63);

	*tap = (struct vnc_tap){.ring = lines(TAP_RING), .size = TAP_RING, .own = lines(64), .reader = lines(64),
				.stages = 0xff, .sample = sample};
	p->taps.count = 1;
	p->taps.stages = tap->stages;
	p->taps.tap[0] = tap;
	return tap;
}

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 1, batch = argc > 2 ? (uint32_t)atoi(argv[2]) : 64;
	uint32_t sample = argc > 3 ? (uint32_t)atoi(argv[3]) : 0, n;
	struct vnc_tap *taps[2] = {NULL, NULL};
	double began;

	open_pumps();
	if (sample) {
		taps[0] = add_tap(&tx, sample);
		taps[1] = add_tap(&rx, sample);
	}
	began = now_ns();
	for (n = 0; n < rounds; n++) {
		to_read = to_write = batch;
		tx.command = rx.command = VNC_RUN;
		vnc_pump_step(&tx, VNC_RUN);
		vnc_pump_step(&rx, VNC_RUN);
		if (sample) {
			((struct vnc_tap_cons *)(void *)(uintptr_t)taps[0]->reader)->cons = taps[0]->prod;
			((struct vnc_tap_cons *)(void *)(uintptr_t)taps[1]->reader)->cons = taps[1]->prod;
		}
	}
	printf("%.3f %llu %llu\n", (now_ns() - began) / rounds / batch,
	       (unsigned long long)rx.ledger.now[VNC_RX_RX_DELIVERED],
	       (unsigned long long)(sample ? taps[0]->written + taps[1]->written : 0));
	return 0;
}
