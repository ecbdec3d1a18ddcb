/* SPDX-License-Identifier: MIT */
/*
 * What both pumps spend on a record, in nanoseconds: main ROUNDS BATCH SAMPLE.  SAMPLE 0: nobody looks; else one tap that
 * wants every stage of one record in SAMPLE.  Built with readv and writev wrapped, so that no system call hides the rest.
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

static uint32_t to_read, to_write;
static struct vnc_pump tx, rx;

ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
	(void)fd;
	(void)count;
	if (!to_read) {
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

static void make(struct vnc_pump *p, bool is_tx)
{
	p->tx = is_tx;
	p->port.fd = -1;
	p->wait = VNC_WAIT_POLL;
	p->irq_fd = p->bell.fd = -1;
	p->link.peer_epoch = lines(64);
	p->link.packet_max = LEN;
	p->link.unwoken = true;
	p->stats = lines(256);
	p->notes.batches = lines(VNC_BATCH_WORDS * 8 + 64);
	p->kick_fd = eventfd(0, EFD_NONBLOCK);
	p->attention_fd = eventfd(0, EFD_NONBLOCK);
	vnc_ledger_open(&p->ledger, VNC_COHERENT, lines(2 * VNC_LEDGER_WORDS * 8));
}

static struct vnc_tap *look(struct vnc_pump *p, uint32_t sample)
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
	struct vnc_prod_line *prod = lines(64);
	struct vnc_cons_line *cons = lines(64);
	uint8_t *ring = lines(RING);
	struct vnc_tap *taps[2] = {NULL, NULL};
	double began;

	make(&tx, true);
	make(&rx, false);
	tx.producer = (struct vnc_producer){.ring = ring, .size = RING, .frame_max = LEN, .own = prod, .peer = cons};
	rx.consumer = (struct vnc_consumer){.ring = ring, .size = RING, .frame_max = LEN, .own = cons, .peer = prod};
	if (sample) {
		taps[0] = look(&tx, sample);
		taps[1] = look(&rx, sample);
	}
	began = now_ns();
	for (n = 0; n < rounds; n++) {
		to_read = to_write = batch;
		tx.command = rx.command = VNC_RUN;
		vnc_tx_step(&tx, VNC_RUN);
		vnc_rx_step(&rx, VNC_RUN);
		if (sample) {
			((struct vnc_tap_cons *)(void *)(uintptr_t)taps[0]->reader)->cons = taps[0]->prod;
			((struct vnc_tap_cons *)(void *)(uintptr_t)taps[1]->reader)->cons = taps[1]->prod;
		}
	}
	printf("%.3f %llu %llu\n", (now_ns() - began) / rounds / batch,
	       (unsigned long long)rx.ledger.now[VNC_RX_RX_DELIVERED],
	       (unsigned long long)(sample ? taps[0]->noted + taps[1]->noted : 0));
	return 0;
}
