/* SPDX-License-Identifier: MIT */
/* The yields of vnc_wait.h, where each takes as long as the test says. */
#include <sched.h>
#include <stdint.h>

static uint64_t took_ns, now_ns;
static unsigned int yields;
static uint32_t word;
static uint64_t moved; /* packets in all */
static unsigned int changes_after; /* yields until the word changes; 0: it does not */

static int timed_yield(void)
{
	now_ns += took_ns;
	if (++yields == changes_after)
		word++;
	return 0;
}

#include "vnc_clock.h"
static inline uint64_t test_clock_ns(clockid_t which)
{
	(void)which;
	return now_ns;
}

#define sched_yield timed_yield
#define vnc_clock_ns test_clock_ns
#include "vnc_wait.h"
#undef sched_yield
#undef vnc_clock_ns
#include "harness.h"

/* Yields of the next wait, each of which takes @ns. */
static unsigned int wait_once(struct vnc_yields *y, uint64_t ns)
{
	yields = 0;
	took_ns = ns;
	vnc_spin_until_changed(VNC_COHERENT, &word, word, y, ++moved);
	return yields;
}

/* How many waits there are without a yield, now. */
static unsigned int skipped(struct vnc_yields *y)
{
	unsigned int n = 0;

	while (wait_once(y, 100000) == 0)
		n++;
	return n;
}

static void always_unless_sparing(void)
{
	struct vnc_yields y = {0};
	int n;

	for (n = 0; n < 20; n++)
		CHECK(wait_once(&y, 5000000) == VNC_YIELDS);
}

static void long_yield_is_the_last_for_a_while(void)
{
	struct vnc_yields y = {.sparing = true};
	unsigned int expected = 1, n;

	for (n = 0; n < 14; n++) {
		CHECK(wait_once(&y, VNC_YIELD_LONG_NS + 1) == 1);
		CHECK(skipped(&y) == expected);
		expected = 2 * expected + 1 < VNC_YIELD_SKIPS_MAX ? 2 * expected + 1 : VNC_YIELD_SKIPS_MAX;
	}
	CHECK(expected == VNC_YIELD_SKIPS_MAX);
}

static void long_yield_that_brings_many_packets_pays(void)
{
	struct vnc_yields y = {.sparing = true};
	int n;

	for (n = 0; n < 20; n++) {
		CHECK(wait_once(&y, 5000000) == 1);
		moved += VNC_YIELD_FEW;
	}
	CHECK(wait_once(&y, 5000000) == 1);
	moved += VNC_YIELD_FEW - 1; /* one fewer in all */
	CHECK(wait_once(&y, 5000000) == 0);
}

static void forgotten_while_the_core_is_free(void)
{
	struct vnc_yields y = {.sparing = true, .skips = VNC_YIELD_SKIPS_MAX};
	int n;

	CHECK(wait_once(&y, VNC_YIELD_LONG_NS) == VNC_YIELDS && y.skips == VNC_YIELD_SKIPS_MAX);
	for (n = 0; n < 4; n++)
		CHECK(wait_once(&y, VNC_YIELD_SHORT_NS - 1) == VNC_YIELDS);
	CHECK(y.skips == 0 && skipped(&y) == 0);
}

static void sees_a_change_after_any_yield(void)
{
	struct vnc_yields y = {.sparing = true};

	for (changes_after = 1; changes_after <= VNC_YIELDS; changes_after++) {
		uint32_t seen = word;

		yields = 0;
		took_ns = 1000;
		CHECK(vnc_spin_until_changed(VNC_COHERENT, &word, seen, &y, ++moved) && yields == changes_after);
	}
	changes_after = 1;
	took_ns = 1000000;
	yields = 0;
	CHECK(vnc_spin_until_changed(VNC_COHERENT, &word, word, &y, ++moved)); /* also after one that took long */
	changes_after = 0;
}

int main(void)
{
	always_unless_sparing();
	long_yield_is_the_last_for_a_while();
	long_yield_that_brings_many_packets_pays();
	forgotten_while_the_core_is_free();
	sees_a_change_after_any_yield();
	return 0;
}
