/* SPDX-License-Identifier: MIT */
/**
 * DOC: whether it pays to stay awake for the answer to what was just sent.
 *
 * Where an answer comes within some tens of microseconds, waiting awake for it is cheaper than to sleep and be woken,
 * which takes as long.  Where none comes, each try is waste: after a miss the next chances are let go by, each time
 * twice as many.
 */
#ifndef VNC_PATIENCE_H
#define VNC_PATIENCE_H
#include <stdbool.h>
#include <stdint.h>

#define VNC_PATIENCE_NS 50000u  /* longest wait: what a wake-up across cores may take, twice */
#define VNC_PATIENCE_LEAST 5000u
#define VNC_PATIENCE_SKIPS 255u

struct vnc_patience {
	uint32_t expected_ns; /* until the answer came, the last times; 0: never yet */
	uint32_t skips;       /* chances to let go by after the next miss */
	uint32_t left;        /* of them */
};

/** vnc_patience_ns() - how long to wait this time; 0: not at all. */
static inline uint32_t vnc_patience_ns(struct vnc_patience *p)
{
	uint32_t wait = p->expected_ns ? 2 * p->expected_ns + VNC_PATIENCE_LEAST : VNC_PATIENCE_NS;

	if (p->left) {
		p->left--;
		return 0;
	}
	return wait < VNC_PATIENCE_NS ? wait : VNC_PATIENCE_NS;
}

/** vnc_patience_paid() - the answer came after @ns. */
static inline void vnc_patience_paid(struct vnc_patience *p, uint32_t ns)
{
	p->expected_ns = p->expected_ns ? p->expected_ns - p->expected_ns / 8 + ns / 8 : ns;
	p->skips /= 2;
}

/** vnc_patience_missed() - it did not come in time. */
static inline void vnc_patience_missed(struct vnc_patience *p)
{
	p->skips = 2 * p->skips + 1 < VNC_PATIENCE_SKIPS ? 2 * p->skips + 1 : VNC_PATIENCE_SKIPS;
	p->left = p->skips;
	p->expected_ns = 0;
}

#endif
