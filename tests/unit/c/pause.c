/* SPDX-License-Identifier: MIT */
/* The pauses of vnc_wait.h, with a clock that stands still outside them: one line of output for each test. */
#include <time.h>

static long last_ns;

static int no_sleep(const struct timespec *length, struct timespec *left)
{
	(void)left;
	last_ns = length->tv_nsec;
	return 0;
}

#define nanosleep no_sleep
#include "vnc_wait.h"
#undef nanosleep
#include "harness.h"

/* Pause until @ns have passed; returns the longest pause, and the number of pauses in *@count. */
static long wait_for(struct vnc_pause *p, long ns, long *count)
{
	long waited = 0, longest = 0;

	for (*count = 0; waited < ns; ++*count) {
		vnc_pause(p);
		waited += last_ns;
		longest = last_ns > longest ? last_ns : longest;
	}
	return longest;
}

static void short_at_first_then_longer(void)
{
	struct vnc_pause p = {0};
	long expected, count;

	for (expected = 20000; expected < 500000; expected *= 2) {
		vnc_pause(&p);
		CHECK(last_ns == expected);
	}
	CHECK(wait_for(&p, 1000000000L, &count) < 4000000 && wait_for(&p, 2000000000L, &count) == 4000000);
	vnc_pause_note(&p, 0); /* nothing has moved */
	vnc_pause(&p);
	CHECK(last_ns == 4000000);
	vnc_pause_note(&p, 1);
	vnc_pause(&p);
	CHECK(last_ns == 20000); /* so long a gap says nothing of the next */
}

/* A packet every @gap ns: pauses of at most a 64th of it, or the shortest, and twice the gap without one. */
static void follows_the_traffic(long gap)
{
	struct vnc_pause p = {0};
	long most = gap / 64 > 20000 ? gap / 64 : 20000, count;
	uint64_t n;

	for (n = 1; n < 100; n++) {
		long longest = wait_for(&p, gap, &count);

		CHECK(n < 50 || longest <= most + most / 16);
		CHECK(n < 50 || count <= 66);
		vnc_pause_note(&p, n);
	}
	wait_for(&p, 3 * gap, &count);
	CHECK(wait_for(&p, 50 * gap, &count) > 2 * most);
	CHECK(wait_for(&p, 4000000000L, &count) == 4000000);
	vnc_pause_note(&p, n);
	vnc_pause(&p);
	CHECK(last_ns == 20000);
}

/* Packets that come without a pause in between leave the gap as it is. */
static void bursts_are_no_gaps(void)
{
	struct vnc_pause p = {0};
	long count;
	uint64_t n;

	for (n = 1; n < 1000; n++) {
		if (n % 10 == 0)
			wait_for(&p, 2000000, &count);
		vnc_pause_note(&p, n);
	}
	CHECK(wait_for(&p, 2000000, &count) <= 2000000 / 60 && count >= 60);
}

int main(void)
{
	static const long gaps[] = {30000, 100000, 500000, 2000000, 10000000, 19000000};
	size_t n;

	short_at_first_then_longer();
	for (n = 0; n < sizeof(gaps) / sizeof(*gaps); n++)
		follows_the_traffic(gaps[n]);
	bursts_are_no_gaps();
	return 0;
}
