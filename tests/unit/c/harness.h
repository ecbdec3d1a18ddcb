/* SPDX-License-Identifier: MIT */
/* What the C harnesses share: a check that reports its line, random numbers from a seed, a watchdog. */
#ifndef HARNESS_H
#define HARNESS_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WATCHDOG_EXIT 97 /* as in c_build.py */

#define CHECK(that)                                                                          \
	do {                                                                                 \
		if (!(that)) {                                                               \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #that);   \
			exit(1);                                                             \
		}                                                                            \
	} while (0)

/** rnd() - a random number by xorshift64*; *@state must not be 0. */
static inline uint64_t rnd(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

/** below() - a random number from 0 to @limit - 1. */
static inline uint32_t below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)((rnd(state) >> 32) % limit);
}

/** seeded() - the generator's state for seed @text. */
static inline uint64_t seeded(const char *text)
{
	return (strtoull(text, NULL, 0) + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

/** hung() - end the process because the harness makes no progress: @what. */
static inline void hung(const char *what)
{
	fprintf(stderr, "watchdog: %s\n", what);
	fflush(NULL);
	_exit(WATCHDOG_EXIT);
}

#endif
