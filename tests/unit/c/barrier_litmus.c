/* SPDX-License-Identifier: MIT */
/*
 * barrier_litmus ROUNDS DOMAIN: barriers E and F (vnc_barrier.h) without a ring.
 *
 * In each round one thread stores the index and then loads need_wakeup, the other stores need_wakeup and then loads the
 * index.  If both load the old value, a wake-up is lost.  Prints in how many rounds.
 *
 * -DBREAK_FENCE    omits E: even x86 lets a load pass an earlier store
 */
#include "harness.h"
#include "vnc_barrier.h"
#include <pthread.h>
#include <sched.h>

static struct { uint32_t word __attribute__((aligned(128))); } prod, need, turn[2];
static uint32_t rounds, *seen[2];
static enum vnc_domain domain;

/* Both threads leave this at nearly the same time. */
static void meet(int me, uint32_t round)
{
	__atomic_store_n(&turn[me].word, round, __ATOMIC_SEQ_CST);
	for (uint32_t spins = 1; __atomic_load_n(&turn[!me].word, __ATOMIC_SEQ_CST) < round; spins++)
		if (spins % 500 == 0)
			sched_yield(); /* a machine with one free core */
}

static void *produce(void *unused)
{
	for (uint32_t n = 1; n <= rounds; n++) {
		meet(0, n);
		vnc_store32(domain, &prod.word, n);
#ifndef BREAK_FENCE
		vnc_full_fence(domain); /* (E) */
#endif
		seen[0][n] = vnc_load32(domain, &need.word);
	}
	return unused;
}

static void *consume(void *unused)
{
	for (uint32_t n = 1; n <= rounds; n++) {
		meet(1, n);
		vnc_store32(domain, &need.word, n);
		vnc_full_fence(domain); /* (F) */
		seen[1][n] = vnc_load32(domain, &prod.word);
	}
	return unused;
}

int main(int argc, char **argv)
{
	uint32_t lost = 0;
	pthread_t thread;

	rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000000;
	domain = argc > 2 && atoi(argv[2]) ? VNC_DEVICE : VNC_COHERENT;
	for (int n = 0; n < 2; n++)
		seen[n] = calloc(rounds + 1, sizeof(uint32_t));
	pthread_create(&thread, NULL, consume, NULL);
	produce(NULL);
	pthread_join(thread, NULL);
	for (uint32_t n = 1; n <= rounds; n++)
		lost += seen[0][n] < n && seen[1][n] < n;
	printf("%u of %u\n", lost, rounds);
	return 0;
}
