/* SPDX-License-Identifier: MIT */
/**
 * DOC: taps - a pump writes down what it does with each packet, for a reader in another process.
 *
 * A tap is a ring of events in memory that the agent has lent to one reader (vnetcard/ring/tap_layout.py).  The pump never
 * waits for it: an event that finds no room is counted as missed.  The pump believes nothing of what stands in that
 * memory; an impossible `cons` is no room.
 *
 * With no reader a stage costs one load of a word in the pump's own cache and one branch; no clock is read
 * (benchmarks/taps.py).  With a reader who samples, that holds for the records in between.
 */
#ifndef VNC_TAP_H
#define VNC_TAP_H
#include "vnc_offload.h"
#include "vnc_ring.h"
#include "vnc_tap_layout.h"
#include <stdbool.h>
#include <time.h>

#ifndef VNC_TAPS
#define VNC_TAPS 1 /* 0: as if there were none, for benchmarks/taps.py */
#endif

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
	uint16_t queue;
	uint32_t prod;
	uint64_t noted, missed;
};

/** struct vnc_taps - all readers of one pump; times are of CLOCK_MONOTONIC in nanoseconds, 0: none. */
struct vnc_taps {
	uint32_t stages; /* what any of them wants; 0: nobody looks */
	uint32_t record; /* ... of the record that the pump is at */
	uint32_t batch;  /* ... of any since what was last published */
	uint32_t count;
	struct vnc_tap *tap[VNC_TAPS_MAX];
	uint32_t seq;   /* of the record that the pump is at */
	uint32_t first; /* seq of the first record that @batch is about */
	uint32_t waited_us, slept_us; /* for this record: for room; for work, until @woken */
	uint64_t woken;
	uint64_t full_since, slept_since, awake_since; /* until a record begins */
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

/** vnc_tapped() - does anybody want to know of @stage of this record?  Of a @drop everybody does. */
static inline bool vnc_tapped(const struct vnc_taps *t, unsigned int stage, int drop)
{
	return VNC_TAPS && __builtin_expect((drop ? t->stages : t->record) >> stage & 1, 0);
}

static inline uint64_t vnc_tap_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/** vnc_tap_clock() - the time, if @wanted; else 0. */
static inline uint64_t vnc_tap_clock(uint32_t wanted)
{
	return VNC_TAPS && __builtin_expect(wanted, 0) ? vnc_tap_now() : 0;
}

uint64_t vnc_tap_choose(struct vnc_taps *t, uint32_t seq);

/** vnc_tap_begin() - the pump turns to record @seq. Return: the time, or 0 when nobody wants to know. */
static inline uint64_t vnc_tap_begin(struct vnc_taps *t, uint32_t seq)
{
	return VNC_TAPS && __builtin_expect(t->stages, 0) ? vnc_tap_choose(t, seq) : 0;
}

void vnc_tap_note(struct vnc_taps *t, const struct vnc_note *note);

#endif
