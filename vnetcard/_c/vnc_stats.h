/* SPDX-License-Identifier: MIT */
/**
 * DOC: the statistics of a pump.
 *
 * They are for people; the pump decides nothing by them.  Four kinds: counters in the window (struct vnc_tx_stats,
 * struct vnc_rx_stats of vnc_layout.h), a histogram of batch sizes, the high-water mark of the ring, and samples.
 *
 * A *batch* is what a pump moves between two waits.  Its size is counted when it ends, ahead of a wait that costs far
 * more.  One batch in VNC_TIMED_BATCH is timed, and its time counts for all of them.  A record costs nothing extra.
 *
 * A *sample* is the last packet of a kind of drop or violation: when it was dropped, its length, its first bytes.
 */
#ifndef VNC_STATS_H
#define VNC_STATS_H
#include "vnc_barrier.h"
#include "vnc_clock.h"
#include "vnc_layout.h"
#include <stdbool.h>
#include <string.h>

#ifndef VNC_STATS
#define VNC_STATS 1 /* 0: without batches, to measure what they cost (benchmarks/pump_stats.py) */
#endif
#define VNC_STATS_WORDS (VNC_STATS_BYTES / 8)
#define VNC_STATS_LIMIT (UINT64_C(1) << 62) /* no count, nor a time in ns since 1970 before the year 2116 */
#define VNC_TIMED_BATCH 8
#define VNC_SAMPLE_BYTES 64
#define VNC_SAMPLES 12

/** struct vnc_sample - the last packet of its kind; written by the pump, read by the agent, one word at a time. */
struct vnc_sample {
	uint64_t at_ns; /* CLOCK_REALTIME, to a few milliseconds; 0: none */
	uint64_t len;
	uint64_t bytes[VNC_SAMPLE_BYTES / 8];
};

struct vnc_stats {
	enum vnc_domain domain;
	uint64_t *shared;                       /* the counters in the window */
	uint64_t now[VNC_STATS_WORDS];          /* their values */
	uint64_t *shared_batches;               /* the histogram in the window */
	uint64_t batches[VNC_BATCH_WORDS];      /* its values */
	uint64_t records;                       /* moved when the last batch ended */
	unsigned int batches_ended;
	uint64_t batch_began_ns;                /* 0: this batch is not timed */
	uint64_t busy_ns;
	uint64_t high_water;
	uint32_t reset_high_water;              /* set by the agent, cleared by the pump */
	struct vnc_sample samples[VNC_SAMPLES];
};

/**
 * vnc_stats_open() - continue with the counters and the histogram that an earlier owner left in the window.
 * Return: false if they cannot be that owner's; then they begin at 0.
 */
static inline bool vnc_stats_open(struct vnc_stats *s, enum vnc_domain domain, uint64_t *shared, uint64_t *batches)
{
	bool plausible = true;
	unsigned int n;

	s->domain = domain;
	s->shared = shared;
	s->shared_batches = batches;
	for (n = 0; n < VNC_STATS_WORDS; n++) {
		s->now[n] = vnc_get64(domain, &shared[n]);
		plausible &= s->now[n] < VNC_STATS_LIMIT;
	}
	for (n = 0; n < VNC_BATCH_WORDS; n++) {
		s->batches[n] = vnc_get64(domain, &batches[n]);
		plausible &= s->batches[n] < VNC_STATS_LIMIT;
	}
	return plausible;
}

/** vnc_stats_intact() - is in the window what this process counts? Wrong for a moment while it counts. */
static inline bool vnc_stats_intact(const struct vnc_stats *s)
{
	unsigned int n;

	for (n = 0; n < VNC_STATS_WORDS; n++)
		if (vnc_get64(s->domain, &s->shared[n]) != __atomic_load_n(&s->now[n], __ATOMIC_RELAXED))
			return false;
	for (n = 0; n < VNC_BATCH_WORDS; n++)
		if (vnc_get64(s->domain, &s->shared_batches[n]) != __atomic_load_n(&s->batches[n], __ATOMIC_RELAXED))
			return false;
	return true;
}

/** vnc_stats_ahead() - does the window show more than was ever counted? */
static inline bool vnc_stats_ahead(const struct vnc_stats *s)
{
	unsigned int n;

	for (n = 0; n < VNC_STATS_WORDS; n++)
		if (vnc_get64(s->domain, &s->shared[n]) > s->now[n])
			return true;
	for (n = 0; n < VNC_BATCH_WORDS; n++)
		if (vnc_get64(s->domain, &s->shared_batches[n]) > s->batches[n])
			return true;
	return false;
}

/** vnc_stats_publish() - write all of them into the window. */
static inline void vnc_stats_publish(const struct vnc_stats *s)
{
	unsigned int n;

	for (n = 0; n < VNC_STATS_WORDS; n++)
		vnc_put64(s->domain, &s->shared[n], s->now[n]);
	for (n = 0; n < VNC_BATCH_WORDS; n++)
		vnc_put64(s->domain, &s->shared_batches[n], s->batches[n]);
}

/** vnc_stats_restart() - begin at 0. */
static inline void vnc_stats_restart(struct vnc_stats *s)
{
	memset(s->now, 0, sizeof(s->now));
	memset(s->batches, 0, sizeof(s->batches));
	vnc_stats_publish(s);
}

/** vnc_stats_set() - set counter @which, which only this thread writes and others read, to @value. */
static inline void vnc_stats_set(struct vnc_stats *s, unsigned int which, uint64_t value)
{
	__atomic_store_n(&s->now[which], value, __ATOMIC_RELAXED);
	vnc_put64(s->domain, &s->shared[which], value);
}

/** vnc_stats_count() - add one to counter @which. */
static inline void vnc_stats_count(struct vnc_stats *s, unsigned int which)
{
	vnc_stats_set(s, which, s->now[which] + 1);
}

/** vnc_stats_begin_batch() - a wait is over. */
static inline void vnc_stats_begin_batch(struct vnc_stats *s)
{
	bool timed = VNC_STATS && s->batches_ended % VNC_TIMED_BATCH == 0;

	s->batch_began_ns = timed ? vnc_clock_ns(CLOCK_MONOTONIC) : 0;
}

/**
 * vnc_stats_end_batch() - a wait follows.
 * @records: moved since the counters were first opened.
 * Return: whether any was moved in this batch.
 */
static inline bool vnc_stats_end_batch(struct vnc_stats *s, uint64_t records)
{
	uint64_t count = records - s->records;
	unsigned int which;

	if (!VNC_STATS || !count)
		return false;
	which = 63u - (unsigned int)__builtin_clzll(count); /* 1, 2-3, 4-7 and so on */
	which = which < VNC_BATCH_WORDS ? which : VNC_BATCH_WORDS - 1;
	s->records = records;
	s->batches_ended++;
	if (s->batch_began_ns)
		s->busy_ns += VNC_TIMED_BATCH * (vnc_clock_ns(CLOCK_MONOTONIC) - s->batch_began_ns);
	__atomic_store_n(&s->batches[which], s->batches[which] + 1, __ATOMIC_RELAXED);
	vnc_put64(s->domain, &s->shared_batches[which], s->batches[which]);
	return true;
}

/**
 * vnc_stats_sample() - keep the last packet of kind @which.
 * @bytes: in memory of this process.
 * @have: bytes that are there; may be fewer than @len.
 */
static inline void vnc_stats_sample(struct vnc_stats *s, unsigned int which, const void *bytes, uint32_t have,
				    uint32_t len)
{
	struct vnc_sample *sample = &s->samples[which];
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
