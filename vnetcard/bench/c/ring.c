/* SPDX-License-Identifier: MIT */
/**
 * DOC: ring - a ring alone, between two threads or two processes, each on a core of its own where the machine has two.
 *
 *   ring threads|processes|memcpy RECORD_BYTES SECONDS
 *
 * TRANSPORT names the header of the ring.  Each record is copied from a private buffer into the ring and out of it into
 * another, with at most BATCH records, or 64 KiB, between two publications.  `memcpy` copies the same records from a
 * private buffer into as much memory as the ring has: the upper bound.  Every record begins with its number, which is
 * checked; before the clock starts, a thousand records are sent of which every byte is checked.  Prints the number of
 * records and the seconds.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define RING (2u << 20) /* bytes, as in a window of 8 MiB */
#define PIECE 65536u    /* bytes between two publications, unless one record is more */
#define PROVED 1000u    /* records of which every byte is checked */
#include TRANSPORT

struct shared {
	uint32_t size;
	int batch;
	double seconds;
	volatile int stop;
	volatile uint64_t sent;
	uint64_t received;
	double lasted;
	_Alignas(128) struct transport transport;
};

static long cores;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_core(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (cores > 1)
		sched_setaffinity(0, sizeof(set), &set);
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	__asm__ volatile("yield" ::: "memory");
#endif
	if (cores < 2)
		sched_yield();
}

static void fill(uint8_t *record, uint32_t size, uint64_t number, int whole)
{
	uint32_t n;

	memcpy(record, &number, sizeof(number));
	for (n = sizeof(number); whole && n < size; n++)
		record[n] = (uint8_t)(number * 31 + n * 7);
}

static void check(const uint8_t *record, uint8_t *wanted, uint32_t size, uint64_t number)
{
	fill(wanted, size, number, number < PROVED);
	if (memcmp(record, wanted, number < PROVED ? size : sizeof(number))) {
		fprintf(stderr, "ring: record %llu is not as it was sent\n", (unsigned long long)number);
		exit(1);
	}
}

static void *produce(void *arg)
{
	struct shared *s = arg;
	uint8_t *record = calloc(1, 65536);
	uint64_t number = 0;
	int n;

	on_core(0);
	while (!s->stop) {
		for (n = 0; n < s->batch; n++, number++) {
			fill(record, s->size, number, number < PROVED);
			if (!transport_put(&s->transport, record, s->size))
				break;
		}
		transport_flush(&s->transport);
		if (!n)
			relax();
	}
	s->sent = number;
	free(record);
	return NULL;
}

static void *consume(void *arg)
{
	struct shared *s = arg;
	uint8_t *record = calloc(1, 65536), *wanted = calloc(1, 65536);
	uint64_t number = 0, from = 0;
	double start = 0;
	int n;

	on_core(1);
	for (;;) {
		for (n = 0; n < s->batch && transport_get(&s->transport, record, s->size); n++, number++)
			check(record, wanted, s->size, number);
		transport_freed(&s->transport);
		if (!n)
			relax();
		if (!start && number >= PROVED) {
			start = now();
			from = number;
		}
		if (start && now() - start >= s->seconds)
			break;
	}
	s->received = number - from;
	s->lasted = now() - start;
	s->stop = 1;
	free(record);
	free(wanted);
	return NULL;
}

static void copy(struct shared *s)
{
	uint8_t *memory = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t *record = calloc(1, 65536);
	double start = now();
	uint32_t at = 0, n;

	on_core(0);
	memset(memory, 1, RING);
	while (now() - start < s->seconds)
		for (n = 0; n < BATCH; n++, s->received++) {
			memcpy(memory + at, record, s->size);
			__asm__ volatile("" ::: "memory");
			at = at + 2 * s->size > RING ? 0 : at + s->size;
		}
	s->lasted = now() - start;
}

int main(int argc, char **argv)
{
	size_t bytes;
	struct shared *s;
	pthread_t thread;

	if (argc != 4) {
		fprintf(stderr, "usage: ring threads|processes|memcpy RECORD_BYTES SECONDS\n");
		return 2;
	}
	cores = sysconf(_SC_NPROCESSORS_ONLN);
	alarm(30 + (unsigned int)atof(argv[3])); /* ends the program when no record moves */
	bytes = sizeof(*s) + transport_bytes(RING, (uint32_t)atoi(argv[2]));
	s = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (s == MAP_FAILED)
		return 1;
	s->size = (uint32_t)atoi(argv[2]);
	s->seconds = atof(argv[3]);
	s->batch = s->size * BATCH < PIECE ? BATCH : (int)(PIECE / s->size ? PIECE / s->size : 1);
	transport_init(&s->transport, RING, s->size);
	if (strcmp(argv[1], "memcpy") == 0) {
		copy(s);
	} else if (strcmp(argv[1], "processes") == 0) {
		pid_t child = fork();

		if (child == 0) {
			alarm(30 + (unsigned int)s->seconds);
			produce(s);
			_exit(0);
		}
		consume(s);
		waitpid(child, NULL, 0);
	} else {
		pthread_create(&thread, NULL, produce, s);
		consume(s);
		pthread_join(thread, NULL);
	}
	printf("%llu %.6f\n", (unsigned long long)s->received, s->lasted);
	return 0;
}
