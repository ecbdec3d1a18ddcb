/* SPDX-License-Identifier: MIT */
/**
 * DOC: taps: a pump writes what it does with each packet into a ring of events, for a reader in another process.
 *
 * The ring is in memory that the agent shares with one reader (vnetcard/ring/tap_layout.py).  The pump never waits for
 * the reader: an event for which there is no room is counted as missed.  The pump trusts nothing in that memory; an
 * impossible `cons` counts as no room.
 *
 * With no reader a stage costs one load of a word in the pump's own cache and one branch; no clock is read
 * (benchmarks/taps.py).  With a reader that samples, this holds for the records between the samples.
 */
#ifndef VNC_TAP_H
#define VNC_TAP_H
#include "vnc_offload.h"
#include "vnc_ring.h"
#include "vnc_tap_layout.h"
#include <stdbool.h>
#include <time.h>

#ifndef VNC_TAPS
#define VNC_TAPS 1 /* 0: without taps, to measure what they cost (benchmarks/taps.py) */
#endif

/** struct vnc_tap - the ring of one reader, and its writer's private copy of what the window of it says. */
struct vnc_tap {
	uint8_t *ring;
	uint32_t size; /* a power of two */
	struct vnc_tap_prod *own;
	const struct vnc_tap_cons *reader;
	uint32_t stages;   /* which stages are written; bit mask of VNC_TAP_* */
	uint32_t bytes_of; /* of which of them the packet's bytes too; likewise */
	uint32_t snap;     /* at most this many bytes of a packet */
	uint32_t sample;   /* of every sample-th record; at least 1 */
	uint16_t queue;
	uint32_t prod;
	uint64_t written, missed;
};

/** struct vnc_taps - the taps of one pump; times are of CLOCK_MONOTONIC in nanoseconds, 0: none. */
struct vnc_taps {
	uint32_t stages; /* that any tap wants; 0: there is none */
	uint32_t record; /* that any tap wants of the current record */
	uint32_t batch;  /* that any tap wants of any record that is not published yet */
	uint32_t count;
	struct vnc_tap *tap[VNC_TAPS_MAX];
	uint32_t seq;   /* of the current record */
	uint32_t first; /* seq of the first record of @batch */
	uint32_t waited_us, slept_us; /* before the current record: for room; for work, until @woken */
	uint64_t woken;
	uint64_t full_since, slept_since, awake_since; /* before the next record */
};

/** struct vnc_tap_entry - what a pump has to say at one stage; each tap makes an event of it. */
struct vnc_tap_entry {
	uint8_t stage;
	uint8_t drop;
	uint16_t flags;
	uint32_t seq, len, index, value;
	uint64_t time, before, generation;
	const struct vnc_vnet_hdr *vnet; /* NULL: none */
	const struct vnc_span *span;     /* two pieces with the packet's bytes; NULL: none */
	uint32_t skip;                   /* bytes in them ahead of the packet */
};

/** vnc_tapped() - does any tap want @stage of the current record?  A @drop is in every sample. */
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

/** vnc_tap_begin() - record @seq is now the current one. Return: the time, or 0 when no tap wants it. */
static inline uint64_t vnc_tap_begin(struct vnc_taps *t, uint32_t seq)
{
	return VNC_TAPS && __builtin_expect(t->stages, 0) ? vnc_tap_choose(t, seq) : 0;
}

void vnc_tap_write(struct vnc_taps *t, const struct vnc_tap_entry *entry);

#endif
