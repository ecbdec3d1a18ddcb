/* SPDX-License-Identifier: MIT */
/*
 * doorbell_stress SEED COUNT: two threads ring three doorbells of a simulator that sleeps whenever it may.
 *
 * Prints "ok" when the simulator has taken the last value of each.  It sleeps without a time limit, and a ringing
 * thread waits at times until its own value was taken, so the watchdog finds a lost ring.
 *
 * -DBREAK_COUNT       does not count the ring: must hang
 * -DBREAK_WAKE        never wakes: must hang
 * -DBREAK_RECHECK     the simulator sleeps without the last load of the counts: must hang
 */
#include "harness.h"
#include "vnc_doorbell.h"
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#define DOORBELLS 3u
#define WATCH_S 5

static uint32_t registers[DOORBELLS], counts[DOORBELLS], wake_word, sleep_word;
static uint32_t taken[DOORBELLS]; /* the last value that the simulator took from each */
static uint32_t count;
static uint64_t sleeps;
static uint64_t seed_of[3]; /* of both ringing threads and the simulator */

static void ring(uint32_t which, uint32_t value)
{
	struct vnc_doorbell d = {.reg = &registers[which], .count_word = &counts[which], .wake_word = &wake_word,
				 .sleep_word = &sleep_word};

#if defined(BREAK_COUNT)
	d.count_word = NULL;
#elif defined(BREAK_WAKE)
	d.wake_word = NULL;
#endif
	vnc_ring_doorbell(&d, value);
}

/* Thread 0 rings doorbells 0 and 1, thread 1 rings doorbell 2; each is rung by one thread alone, as registers are. */
static void *ringer(void *arg)
{
	uint64_t *random = arg;
	bool two = random == &seed_of[0];
	uint32_t n, which;

	for (n = 1; n <= count; n++) {
		which = two ? below(random, 2) : 2;
		ring(which, n);
		if (n < count && below(random, 8)) /* else wait, as a side whose packet must be answered */
			continue;
		while (__atomic_load_n(&taken[which], __ATOMIC_ACQUIRE) != n)
			sched_yield();
	}
	return NULL;
}

static bool take_values(uint32_t known[DOORBELLS])
{
	bool moved = false;
	uint32_t n, now;

	for (n = 0; n < DOORBELLS; n++) {
		now = __atomic_load_n(&counts[n], __ATOMIC_ACQUIRE);
		if (now == known[n])
			continue;
		known[n] = now;
		__atomic_store_n(&taken[n], vnc_load32(VNC_COHERENT, &registers[n]), __ATOMIC_RELEASE);
		moved = true;
	}
	return moved;
}

static void *simulator(void *unused)
{
	uint32_t known[DOORBELLS] = {0}, was;

	for (;;) {
		if (take_values(known))
			continue;
		was = __atomic_load_n(&wake_word, __ATOMIC_ACQUIRE);
		__atomic_store_n(&sleep_word, 1, __ATOMIC_RELEASE);
#ifndef BREAK_RECHECK
		vnc_full_fence(VNC_COHERENT); /* (K) pairs with (J) */
		if (!take_values(known))
#else
		for (uint32_t n = below(&seed_of[2], 300); n; n--)
			vnc_cpu_relax();
		was = __atomic_load_n(&wake_word, __ATOMIC_ACQUIRE);
#endif
		{
			__atomic_fetch_add(&sleeps, 1, __ATOMIC_RELAXED);
			syscall(SYS_futex, &wake_word, FUTEX_WAIT, was, NULL, NULL, 0);
		}
		__atomic_store_n(&sleep_word, 0, __ATOMIC_RELEASE);
	}
	return unused;
}

static void *watch(void *unused)
{
	uint64_t before = 0, now;
	uint32_t still = 0, n;

	while (still++ < WATCH_S * 10) {
		usleep(100000);
		for (now = 0, n = 0; n < DOORBELLS; n++)
			now += __atomic_load_n(&taken[n], __ATOMIC_RELAXED);
		still = now == before ? still : 0;
		before = now;
	}
	hung("a ring was lost");
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[2], other;
	uint32_t n;

	for (n = 0; n < 3; n++)
		seed_of[n] = seeded(argc > 1 ? argv[1] : "1") + n;
	count = argc > 2 ? (uint32_t)atoi(argv[2]) : 100000;
	pthread_create(&other, NULL, watch, NULL);
	pthread_detach(other);
	pthread_create(&other, NULL, simulator, NULL);
	pthread_detach(other);
	for (n = 0; n < 2; n++)
		pthread_create(&threads[n], NULL, ringer, &seed_of[n]);
	for (n = 0; n < 2; n++)
		pthread_join(threads[n], NULL);
	printf("sleeps: %llu\nok\n", (unsigned long long)__atomic_load_n(&sleeps, __ATOMIC_RELAXED));
	return 0;
}
