/* SPDX-License-Identifier: MIT */
/** DOC: the kernel's clocks in nanoseconds. */
#ifndef VNC_CLOCK_H
#define VNC_CLOCK_H
#include <stdint.h>
#include <time.h>

static inline uint64_t vnc_clock_ns(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
