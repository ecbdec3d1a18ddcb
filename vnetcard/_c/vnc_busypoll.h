/* SPDX-License-Identifier: MIT */
/**
 * DOC: whether to busy-poll for the answer to what was just sent.
 *
 * Where an answer comes within some tens of microseconds, polling for it costs less than to sleep and be woken, which
 * takes as long.  Where none comes, polling is wasted: after a miss the next opportunities are skipped, twice as many
 * each time.
 */
#ifndef VNC_BUSYPOLL_H
#define VNC_BUSYPOLL_H
#include <stdbool.h>
#include <stdint.h>

#define VNC_BUSYPOLL_NS 50000u  /* the longest: twice what a wake-up across cores may take */
#define VNC_BUSYPOLL_MIN_NS 5000u
#define VNC_BUSYPOLL_SKIPS_MAX 255u

struct vnc_busypoll {
	uint32_t expected_ns; /* average time until an answer; 0: none since the last miss */
	uint32_t skips;       /* opportunities to skip after the next miss, about half */
	uint32_t left;        /* opportunities still to skip */
};

/** vnc_busypoll_ns() - how long to poll this time; 0: not at all. */
static inline uint32_t vnc_busypoll_ns(struct vnc_busypoll *p)
{
	uint32_t wait = p->expected_ns ? 2 * p->expected_ns + VNC_BUSYPOLL_MIN_NS : VNC_BUSYPOLL_NS;

	if (p->left) {
		p->left--;
		return 0;
	}
	return wait < VNC_BUSYPOLL_NS ? wait : VNC_BUSYPOLL_NS;
}

/** vnc_busypoll_hit() - the answer came after @ns. */
static inline void vnc_busypoll_hit(struct vnc_busypoll *p, uint32_t ns)
{
	p->expected_ns = p->expected_ns ? p->expected_ns - p->expected_ns / 8 + ns / 8 : ns;
	p->skips /= 2;
}

/** vnc_busypoll_missed() - no answer came in time. */
static inline void vnc_busypoll_missed(struct vnc_busypoll *p)
{
	p->skips = 2 * p->skips + 1 < VNC_BUSYPOLL_SKIPS_MAX ? 2 * p->skips + 1 : VNC_BUSYPOLL_SKIPS_MAX;
	p->left = p->skips;
	p->expected_ns = 0;
}

#endif
