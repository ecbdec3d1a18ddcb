/* SPDX-License-Identifier: MIT */
/**
 * DOC: taps - a pump writes down what it does with each packet, for a reader in another process.
 *
 * A tap is a ring of events in memory that the agent has lent to one reader (vnetcard/tap/format.py).  The pump never
 * waits for it: an event that finds no room is counted as missed.  The pump believes nothing of what stands in that
 * memory; an impossible `cons` is no room.
 *
 * With no reader a stage costs one load of a word in the pump's own cache and one branch; no clock is read.
 */
#ifndef VNC_TAP_H
#define VNC_TAP_H
#include "vnc_offload.h"
#include "vnc_ring.h"
#include "vnc_tap_layout.h"
#include <stdbool.h>
#include <time.h>

/** struct vnc_tap - one reader's ring, as its writer knows it. */
struct vnc_tap {
	uint8_t *ring;
	uint32_t size; /* a power of two */
	struct vnc_tap_prod *own;
	const struct vnc_tap_cons *reader;
	uint32_t stages;   /* bit mask of VNC_TAP_* */
	uint32_t bytes_of; /* likewise */
	uint32_t snap;
	uint32_t sample; /* at least 1 */
	uint32_t prod;
	uint64_t noted, missed;
};

/** struct vnc_taps - all readers of one pump. */
struct vnc_taps {
	uint32_t stages; /* what any of them wants; 0: nobody looks */
	uint32_t count;
	struct vnc_tap *tap[VNC_TAPS_MAX];
	uint32_t first; /* seq of the first record that is not published, or not released */
	uint64_t slept, woken; /* when the pump last went to sleep and was woken, until that is noted */
	uint64_t full;         /* since when it has found no room, until that is noted */
};

/** struct vnc_note - an event; @span, where there are bytes, starts with @skip that are none of the packet's. */
struct vnc_note {
	uint8_t stage;
	uint8_t drop;
	uint16_t flags;
	uint32_t seq, len, index, value;
	uint64_t time, before, generation;
	const struct vnc_vnet_hdr *vnet; /* NULL: none */
	const struct vnc_span *span;     /* NULL: none */
	uint32_t skip;
};

/** vnc_tapped() - does anybody want to know of @stage? */
static inline bool vnc_tapped(const struct vnc_taps *t, unsigned int stage)
{
	return __builtin_expect(t->stages >> stage & 1, 0);
}

/** vnc_tap_clock() - CLOCK_MONOTONIC in nanoseconds; 0 while nobody looks. */
static inline uint64_t vnc_tap_clock(const struct vnc_taps *t)
{
	struct timespec now;

	if (__builtin_expect(!t->stages, 1))
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/** vnc_tap_us() - microseconds from @since to @until; 0 where there is no @since, at most what a u32 holds. */
static inline uint32_t vnc_tap_us(uint64_t since, uint64_t until)
{
	uint64_t us = since && until > since ? (until - since) / 1000 : 0;

	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void vnc_tap_note(struct vnc_taps *t, const struct vnc_note *note);

#endif
