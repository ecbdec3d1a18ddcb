/* SPDX-License-Identifier: MIT */
/**
 * DOC: ring_records - a C program as one side of a link: records of 64 bytes, used where they are in the ring.
 *
 *   cc -O2 -I vnetcard/_c -I firmware -o ring_records docs/examples/ring_records.c firmware/vnc_side*.c
 *   ring_records send|take FILE SECONDS
 *
 * FILE is a window that is laid out (ring_records.py create FILE).  `send` is the host's side, `take` the card's; each
 * may also run against ring_records.py.  Each record begins with its number, which the receiver checks.  Both end
 * SECONDS after the first record and print "RECORDS SECONDS".
 */
#define _GNU_SOURCE
#include "vnc_side.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define RECORD 64u
#define BATCH 64u

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t milliseconds(void)
{
	return (uint32_t)(uint64_t)(now() * 1000);
}

/* Send up to BATCH records with one publication. Return: how many found room. */
static unsigned int send_batch(struct vnc_side *side, uint64_t first)
{
	struct vnc_span span[2];
	unsigned int n;
	bool full;

	for (n = 0; n < BATCH && vnc_side_reserve(side, RECORD, span, &full); n++) {
		uint8_t record[RECORD] = {0};
		uint64_t number = first + n;

		memcpy(record, &number, sizeof(number));
		vnc_ring_write(&side->tx, span, record, RECORD);
		vnc_side_append(side, RECORD);
	}
	vnc_side_publish(side);
	return n;
}

/* Take up to BATCH records without a copy, and give their space back together. Return: how many there were. */
static unsigned int take_batch(struct vnc_side *side, uint64_t first)
{
	struct vnc_view view;
	unsigned int n;

	for (n = 0; n < BATCH && vnc_side_peek(side, &view); n++) {
		uint64_t number;

		memcpy(&number, view.span[0].base, sizeof(number)); /* 48 bytes at least are in one piece */
		if (view.len != RECORD || number != first + n) {
			fprintf(stderr, "ring_records: record %llu is not the next one\n", (unsigned long long)number);
			exit(1);
		}
		vnc_side_retire(side, &view, 0);
	}
	vnc_side_publish(side);
	return n;
}

int main(int argc, char **argv)
{
	struct vnc_side_config config = {.domain = VNC_COHERENT, .mtu = 1500, .frames = VNC_FRAMES_IP,
					 .seed = (uint32_t)time(NULL), .name = "ring records"};
	bool takes = argc == 4 && strcmp(argv[1], "take") == 0, was_up = false;
	unsigned int (*const move)(struct vnc_side *, uint64_t) = takes ? take_batch : send_batch;
	static struct vnc_side side;
	uint64_t count = 0, turns = 0;
	double first = 0, last = 0;
	struct stat status;
	int fd;

	if (argc != 4 || !(takes || strcmp(argv[1], "send") == 0)) {
		fprintf(stderr, "usage: ring_records send|take FILE SECONDS\n");
		return 2;
	}
	fd = open(argv[2], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0) {
		perror(argv[2]);
		return 2;
	}
	config.side = takes ? VNC_SIDE_CARD : VNC_SIDE_HOST;
	config.bytes = (uint64_t)status.st_size;
	config.window = mmap(NULL, config.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (config.window == MAP_FAILED || vnc_side_open(&side, &config) != VNC_SIDE_OK) {
		fprintf(stderr, "%s: no window that is laid out: ring_records.py create %s\n", argv[2], argv[2]);
		return 2;
	}
	vnc_side_start(&side, milliseconds());
	while (!was_up || side.up) {
		unsigned int moved = side.up ? move(&side, count) : 0;

		count += moved;
		if (moved && turns++ % 16)
			continue; /* no look at the clock */
		vnc_side_tick(&side, milliseconds());
		was_up = was_up || side.up;
		if (!moved)
			continue;
		last = now();
		if (!first)
			first = last;
		if (last - first >= atof(argv[3]))
			break;
	}
	vnc_side_stop(&side);
	printf("%llu %.3f\n", (unsigned long long)count, last - first);
	return 0;
}
