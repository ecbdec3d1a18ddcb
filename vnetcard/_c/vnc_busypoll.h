/* SPDX-License-Identifier: MIT */
/**
 * DOC: whether it pays to stay awake for the answer to what was just sent.
 *
 * Where an answer comes within some tens of microseconds, waiting awake for it is cheaper than to sleep and be woken,
 * which takes as long.  Where none comes, each try is waste: after a miss the next chances are let go by, each time
 * twice as many.
 */
#ifndef VNC_BUSYPOLL_H
#define VNC_BUSYPOLL_H
#include <stdbool.h>
#include <stdint.h>

#define VNC_BUSYPOLL_NS 50000u  /* longest wait: what a wake-up across cores may take, twice */
#define VNC_BUSYPOLL_LEAST 5000u
#define VNC_BUSYPOLL_SKIPS 255u

struct vnc_busypoll {
	uint32_t expected_ns; /* until the answer came, the last times; 0: never yet */
	uint32_t skips;       /* chances to let go by after the next miss */
	uint32_t left;        /* of them */
};

/** vnc_busypoll_ns() - how long to wait this time; 0: not at all. */
static inline uint32_t vnc_busypoll_ns(struct vnc_busypoll *p)
{
	uint32_t wait = p->expected_ns ? 2 * p->expected_ns + VNC_BUSYPOLL_LEAST : VNC_BUSYPOLL_NS;

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

/** vnc_busypoll_missed() - it did not come in time. */
static inline void vnc_busypoll_missed(struct vnc_busypoll *p)
{
	p->skips = 2 * p->skips + 1 < VNC_BUSYPOLL_SKIPS ? 2 * p->skips + 1 : VNC_BUSYPOLL_SKIPS;
	p->left = p->skips;
	p->expected_ns = 0;
}

#endif
