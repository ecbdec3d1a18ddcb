/* SPDX-License-Identifier: MIT */
/**
 * DOC: whether to yield the core before a sleep.
 *
 * The thread that is to send the next packet may wait for this very core: a thread that yields it, instead of going to
 * sleep, then need not be woken.  But all that want the core come before one that has yielded, each for up to a time
 * slice of milliseconds, while one that is woken is soon served.  Where packets are few and each is waited for, a yield
 * that has taken long is followed by waits without any, after each such yield twice as many.  One after which many
 * packets are there was none too many: there the thread that had the core was the one that sends.
 */
#ifndef VNC_YIELD_H
#define VNC_YIELD_H
#include <stdbool.h>
#include <stdint.h>

#define VNC_YIELD_LONG_NS 300000u /* what no other pump takes, and a program that has its core for itself does */
#define VNC_YIELD_SHORT_NS 5000u  /* nobody wanted the core */
#define VNC_YIELD_FEW 4u          /* packets */
#define VNC_YIELD_SKIPS_MAX 1023u

/** struct vnc_yields - of one thread, which alone uses it; zeros: it yields in each wait. */
struct vnc_yields {
	bool sparing;   /* as described above, else it yields always */
	bool late;      /* the last yield has taken long */
	uint32_t skips; /* waits without a yield after the next long one, about half */
	uint32_t left;  /* waits still without a yield */
	uint64_t moved; /* the caller's count of what has moved, when the last wait began */
};

/** vnc_yields_begin() - a wait begins; @moved is the caller's count. Return: whether it is one without a yield. */
static inline bool vnc_yields_begin(struct vnc_yields *y, uint64_t moved)
{
	if (y->late && moved - y->moved <= VNC_YIELD_FEW) {
		y->skips = 2 * y->skips + 1 < VNC_YIELD_SKIPS_MAX ? 2 * y->skips + 1 : VNC_YIELD_SKIPS_MAX;
		y->left = y->skips;
	}
	y->late = false;
	y->moved = moved;
	if (!y->left)
		return false;
	y->left--;
	return true;
}

/** vnc_yield_took() - a yield of a sparing thread has taken @ns. */
static inline void vnc_yield_took(struct vnc_yields *y, uint64_t ns)
{
	if (ns > VNC_YIELD_LONG_NS)
		y->late = true;
	else if (ns < VNC_YIELD_SHORT_NS)
		y->skips /= 2;
}

#endif
