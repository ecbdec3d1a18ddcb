/* SPDX-License-Identifier: MIT */
/**
 * DOC: copies between ordinary memory and a window.
 *
 * In the device domain (vnc_access.h) every access is an aligned 8-byte load or store.  Records
 * start at multiples of 64 and payloads at multiples of 16, so window addresses are always aligned.  The
 * length is rounded up to 8, for which a record's padding has room.
 */
#ifndef VNC_COPY_H
#define VNC_COPY_H
#include "vnc_barrier.h"
#if __STDC_HOSTED__
#include <string.h>
#else /* a bare-metal compiler may have no C library; GCC and Clang call these in any case */
void *memcpy(void *restrict dst, const void *restrict src, size_t len);
void *memset(void *dst, int byte, size_t len);
#endif

/** vnc_copy_to_window() - copy @len bytes to the 8-byte aligned window address @dst. */
static inline void vnc_copy_to_window(enum vnc_domain domain, uint8_t *dst, const uint8_t *src, uint32_t len)
{
	uint64_t word;
	uint32_t at;

	if (domain == VNC_COHERENT) {
		memcpy(dst, src, len);
		return;
	}
	for (at = 0; at < len; at += 8) {
		word = 0;
		memcpy(&word, src + at, len - at < 8 ? len - at : 8);
		vnc_put64(domain, (uint64_t *)(void *)(dst + at), word);
	}
}

/** vnc_copy_from_window() - copy @len bytes from the 8-byte aligned window address @src. */
static inline void vnc_copy_from_window(enum vnc_domain domain, uint8_t *dst, const uint8_t *src, uint32_t len)
{
	uint64_t word;
	uint32_t at;

	if (domain == VNC_COHERENT) {
		memcpy(dst, src, len);
		return;
	}
	for (at = 0; at < len; at += 8) {
		word = vnc_get64(domain, (const uint64_t *)(const void *)(src + at));
		memcpy(dst + at, &word, len - at < 8 ? len - at : 8);
	}
}

#endif
