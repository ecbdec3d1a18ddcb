/* SPDX-License-Identifier: MIT */
/**
 * DOC: the only functions that access words of a window.
 *
 * There are two domains.  COHERENT memory is ordinary RAM that both sides cache (POSIX shm, files).  DEVICE memory
 * is behind PCIe (a BAR), or is mapped uncached.  Its rules, which every access below follows:
 *
 *   - 4 or 8 bytes, naturally aligned: ARM64 faults on anything else in Device-nGnRE memory; on x86 also 16
 *     (vnc_copy.h)
 *   - never memset (`dc zva` faults) nor memcpy (unaligned tails; `rep movsb` on x86 moves single bytes)
 *   - never a system call that reads or writes there (readv, writev: the kernel copies as it likes)
 *   - no read that can be avoided: it takes 1-2 us, until the far end answers
 *
 * A machine of 32 bits moves 8 bytes as two aligned words of 4.  No decision of a peer depends on such a word being
 * whole: a record is complete before its index is published, and a ledger has a checksum.
 *
 * CHECKED memory is ordinary memory that enforces these rules, for tests: vnc_checked.h; it exists in test builds only.
 * Code that finds a domain other than COHERENT follows the rules.  Ordering is in vnc_barrier.h.
 */
#ifndef VNC_ACCESS_H
#define VNC_ACCESS_H
#include "vnc_checked.h"
#include <stdint.h>

enum vnc_domain { VNC_COHERENT = 0, VNC_DEVICE = 1, VNC_CHECKED = 2 };

#define VNC_IS_CHECKED(domain) (VNC_CHECKED_WINDOWS && (domain) == VNC_CHECKED)

static inline uint32_t vnc_get32(enum vnc_domain domain, const uint32_t *at)
{
	if (VNC_IS_CHECKED(domain))
		return (uint32_t)vnc_checked_load(at, 4);
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static inline uint64_t vnc_get64(enum vnc_domain domain, const uint64_t *at)
{
	if (VNC_IS_CHECKED(domain))
		return vnc_checked_load(at, 8);
#if __SIZEOF_POINTER__ < 8
	/* The writer stores the upper half first: new lower halves never come with older upper ones. */
	uint32_t low = __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE);
	uint32_t high = __atomic_load_n((const uint32_t *)(const void *)at + 1, __ATOMIC_RELAXED);

	return low | (uint64_t)high << 32;
#else
	return __atomic_load_n(at, __ATOMIC_RELAXED);
#endif
}

static inline void vnc_put32(enum vnc_domain domain, uint32_t *at, uint32_t value)
{
	if (VNC_IS_CHECKED(domain))
		vnc_checked_store(at, value, 4);
	else
		__atomic_store_n(at, value, __ATOMIC_RELAXED);
}

static inline void vnc_put64(enum vnc_domain domain, uint64_t *at, uint64_t value)
{
#if __SIZEOF_POINTER__ < 8
	(void)domain;
	__atomic_store_n((uint32_t *)(void *)at + 1, (uint32_t)(value >> 32), __ATOMIC_RELAXED);
	__atomic_store_n((uint32_t *)(void *)at, (uint32_t)value, __ATOMIC_RELEASE);
#else
	if (VNC_IS_CHECKED(domain))
		vnc_checked_store(at, value, 8);
	else
		__atomic_store_n(at, value, __ATOMIC_RELAXED);
#endif
}

#endif
