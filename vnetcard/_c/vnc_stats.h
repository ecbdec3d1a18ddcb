/* SPDX-License-Identifier: MIT */
/**
 * DOC: what a pump notes of its own doing, for people; it decides nothing.
 *
 * A *batch* is what a pump moves between two waits.  How large it was is counted when it ends, before a wait that costs
 * far more; one batch in VNC_TIMED is timed, and stands for the others.  No record costs anything more.
 *
 * Of each kind of drop and violation the pump keeps the last one: when, how long, and its first bytes.
 */
#ifndef VNC_STATS_H
#define VNC_STATS_H
#include "vnc_barrier.h"
#include "vnc_layout.h"
#include <string.h>
#include <time.h>

#ifndef VNC_STATS
#define VNC_STATS 1 /* 0: without them, to measure what they cost (benchmarks/notes.py) */
#endif
#define VNC_TIMED 8
#define VNC_SAMPLE_BYTES 64
#define VNC_SAMPLES 8

/** struct vnc_sample - the last packet of its kind; written by the pump, read by the agent, word by word. */
struct vnc_sample {
	uint64_t at_ns; /* CLOCK_REALTIME, to a few milliseconds; 0: there was none */
	uint64_t len;
	uint64_t bytes[VNC_SAMPLE_BYTES / 8];
};

struct vnc_stats {
	uint64_t *batches; /* in the window: VNC_BATCH_WORDS counters by size */
	uint64_t counted[VNC_BATCH_WORDS];
	uint64_t records;  /* moved until the last batch ended */
	unsigned int ended; /* batches */
	uint64_t began_ns; /* of the batch under way; 0: it is not timed */
	uint64_t busy_ns;
	uint64_t high_water;
	uint32_t forget;   /* the agent's wish: begin the high-water mark anew */
	struct vnc_sample samples[VNC_SAMPLES];
};

static inline uint64_t vnc_clock_ns(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/** vnc_batch_begins() - a wait is over. */
static inline void vnc_batch_begins(struct vnc_stats *notes)
{
	notes->began_ns = VNC_STATS && notes->ended % VNC_TIMED == 0 ? vnc_clock_ns(CLOCK_MONOTONIC) : 0;
}

/** vnc_batch_ends() - @records have been moved in all. Return: whether any since the last batch. */
static inline int vnc_batch_ends(struct vnc_stats *notes, enum vnc_domain domain, uint64_t records)
{
	uint64_t count = records - notes->records;
	unsigned int which;

	if (!VNC_STATS || !count)
		return 0;
	which = 63u - (unsigned int)__builtin_clzll(count); /* 1, 2-3, 4-7 and so on */
	which = which < VNC_BATCH_WORDS ? which : VNC_BATCH_WORDS - 1;
	notes->records = records;
	notes->ended++;
	if (notes->began_ns)
		notes->busy_ns += VNC_TIMED * (vnc_clock_ns(CLOCK_MONOTONIC) - notes->began_ns);
	vnc_put64(domain, &notes->batches[which], ++notes->counted[which]);
	return 1;
}

/** vnc_keep_sample() - the last of kind @which: @len bytes, of which @have are at @bytes, in memory of this process. */
static inline void vnc_keep_sample(struct vnc_stats *notes, unsigned int which, const void *bytes, uint32_t have,
				   uint32_t len)
{
	struct vnc_sample *sample = &notes->samples[which];
	uint64_t copy[VNC_SAMPLE_BYTES / 8] = {0};
	unsigned int n;

	have = have < len ? have : len;
	memcpy(copy, bytes, have < sizeof(copy) ? have : sizeof(copy));
	for (n = 0; n < VNC_SAMPLE_BYTES / 8; n++)
		__atomic_store_n(&sample->bytes[n], copy[n], __ATOMIC_RELAXED);
	__atomic_store_n(&sample->len, len, __ATOMIC_RELAXED);
	__atomic_store_n(&sample->at_ns, vnc_clock_ns(CLOCK_REALTIME_COARSE), __ATOMIC_RELEASE);
}

#endif
