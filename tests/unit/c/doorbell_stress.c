/* SPDX-License-Identifier: MIT */
/*
 * Two threads ring three doorbells of a simulation that sleeps whenever it may: doorbell_stress SEED COUNT.
 *
 * Says "ok" when the simulation has seen the last value of each.  It sleeps without a limit, and a ringer
 * waits for its own value now and then, so a lost ring is found by the watchdog.
 *
 * -DBREAK_COUNT       does not count the ring: must hang
 * -DBREAK_KNOCK       never wakes: must hang
 * -DBREAK_RECHECK     the simulation sleeps without the last look: must hang
 */
#include "harness.h"
#include "vnc_doorbell.h"
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#define BELLS 3u
#define WATCH_S 5

static uint32_t words[BELLS], rung[BELLS], bell, asleep;
static uint32_t seen[BELLS]; /* what the simulation took from each */
static uint32_t count;
static uint64_t sleeps;
static uint64_t seed_of[3]; /* of both ringers and the simulation */

static void ring(uint32_t which, uint32_t value)
{
	struct vnc_doorbell d = {.reg = &words[which], .count_word = &rung[which], .wake_word = &bell, .sleep_word = &asleep};

#if defined(BREAK_COUNT)
	d.count_word = NULL;
#elif defined(BREAK_KNOCK)
	d.wake_word = NULL;
#endif
	vnc_ring_doorbell(&d, value);
}

/* Ringer 0 has interrupts 0 and 1, ringer 1 has bell 2; a bell is rung by one thread, as a register is. */
static void *ringer(void *arg)
{
	uint64_t *random = arg;
	bool two = random == &seed_of[0];
	uint32_t n, which;

	for (n = 1; n <= count; n++) {
		which = two ? below(random, 2) : 2;
		ring(which, n);
		if (n < count && below(random, 8)) /* else as one whose packet must be answered */
			continue;
		while (__atomic_load_n(&seen[which], __ATOMIC_ACQUIRE) != n)
			sched_yield();
	}
	return NULL;
}

static bool look(uint32_t heard[BELLS])
{
	bool moved = false;
	uint32_t n, now;

	for (n = 0; n < BELLS; n++) {
		now = __atomic_load_n(&rung[n], __ATOMIC_ACQUIRE);
		if (now == heard[n])
			continue;
		heard[n] = now;
		__atomic_store_n(&seen[n], vnc_load32(VNC_COHERENT, &words[n]), __ATOMIC_RELEASE);
		moved = true;
	}
	return moved;
}

static void *simulate(void *unused)
{
	uint32_t heard[BELLS] = {0}, was;

	for (;;) {
		if (look(heard))
			continue;
		was = __atomic_load_n(&bell, __ATOMIC_ACQUIRE);
		__atomic_store_n(&asleep, 1, __ATOMIC_RELEASE);
#ifndef BREAK_RECHECK
		vnc_full_fence(VNC_COHERENT); /* (K) pairs with (J) */
		if (!look(heard))
#else
		for (uint32_t n = below(&seed_of[2], 300); n; n--)
			vnc_cpu_relax();
		was = __atomic_load_n(&bell, __ATOMIC_ACQUIRE);
#endif
		{
			__atomic_fetch_add(&sleeps, 1, __ATOMIC_RELAXED);
			syscall(SYS_futex, &bell, FUTEX_WAIT, was, NULL, NULL, 0);
		}
		__atomic_store_n(&asleep, 0, __ATOMIC_RELEASE);
	}
	return unused;
}

static void *watch(void *unused)
{
	uint64_t before = 0, now;
	uint32_t still = 0, n;

	while (still++ < WATCH_S * 10) {
		usleep(100000);
		for (now = 0, n = 0; n < BELLS; n++)
			now += __atomic_load_n(&seen[n], __ATOMIC_RELAXED);
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
	pthread_create(&other, NULL, simulate, NULL);
	pthread_detach(other);
	for (n = 0; n < 2; n++)
		pthread_create(&threads[n], NULL, ringer, &seed_of[n]);
	for (n = 0; n < 2; n++)
		pthread_join(threads[n], NULL);
	printf("sleeps: %llu\nok\n", (unsigned long long)__atomic_load_n(&sleeps, __ATOMIC_RELAXED));
	return 0;
}
