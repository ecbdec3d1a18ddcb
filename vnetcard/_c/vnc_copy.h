/* SPDX-License-Identifier: MIT */
/**
 * DOC: copies between ordinary memory and a window.
 *
 * In the device domain (vnc_access.h) every access is an aligned 8-byte load or store, or, in copies of records on x86
 * with SSE4.1, an aligned one of 16 bytes.  Records start at multiples of 64 and payloads at multiples of 16, so window
 * addresses are always aligned.  The length is rounded up to 8, for which a record's padding has room.
 *
 * A load of 8 bytes from write-combining memory is a read across the bus of its own.  MOVNTDQA reads the whole line
 * into a buffer, from which the next three loads are served (Intel SDM, volume 1, 12.10.3).  What such a buffer holds
 * may be older than what an index read meanwhile covers, so a full fence comes first.
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

#if defined(__x86_64__) && __STDC_HOSTED__
#include <smmintrin.h>
#define VNC_WIDE_COPIES 1

/* Copy what can be copied by stores of 16 bytes, to the 8-byte aligned window address @dst. Return: bytes copied. */
static inline uint32_t vnc_wide_store(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	uint32_t at = (uintptr_t)dst & 8;

	if (len < at + 16)
		return 0;
	if (at) {
		uint64_t word;

		memcpy(&word, src, 8);
		vnc_put64(VNC_DEVICE, (uint64_t *)(void *)dst, word);
	}
	for (; len - at >= 16; at += 16) {
		__m128i sixteen = _mm_loadu_si128((const __m128i *)(const void *)(src + at));

		_mm_store_si128((__m128i *)(void *)(dst + at), sixteen);
	}
	return at;
}

/* Copy what can be copied by loads of 16 bytes, from the 8-byte aligned window address @src. Return: bytes copied. */
__attribute__((target("sse4.1"))) static inline uint32_t vnc_wide_load(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	uint32_t at = (uintptr_t)src & 8;

	if (len < at + 16)
		return 0;
	VNC_DEVICE_MB();
	if (at) {
		uint64_t word = vnc_get64(VNC_DEVICE, (const uint64_t *)(const void *)src);

		memcpy(dst, &word, 8);
	}
	for (; len - at >= 16; at += 16) {
		__m128i sixteen = _mm_stream_load_si128((__m128i *)(uintptr_t)(src + at));

		_mm_storeu_si128((__m128i *)(void *)(dst + at), sixteen);
	}
	return at;
}

static inline int vnc_wide_loads(void)
{
	return __builtin_cpu_supports("sse4.1");
}
#else
#define VNC_WIDE_COPIES 0
#endif

/** vnc_put_words() - copy @len bytes to the 8-byte aligned window address @dst, never more than 8 at once. */
static inline void vnc_put_words(enum vnc_domain domain, uint8_t *dst, const uint8_t *src, uint32_t len)
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

/** vnc_get_words() - copy @len bytes from the 8-byte aligned window address @src, never more than 8 at once. */
static inline void vnc_get_words(enum vnc_domain domain, uint8_t *dst, const uint8_t *src, uint32_t len)
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

/** vnc_copy_to_window() - as vnc_put_words(), by stores of 16 bytes where the CPU has them. */
static inline void vnc_copy_to_window(enum vnc_domain domain, uint8_t *dst, const uint8_t *src, uint32_t len)
{
	uint32_t done = 0;

#if VNC_WIDE_COPIES
	if (domain == VNC_DEVICE)
		done = vnc_wide_store(dst, src, len);
#endif
	vnc_put_words(domain, dst + done, src + done, len - done);
}

/** vnc_copy_from_window() - as vnc_get_words(), by loads of 16 bytes where the CPU has them. */
static inline void vnc_copy_from_window(enum vnc_domain domain, uint8_t *dst, const uint8_t *src, uint32_t len)
{
	uint32_t done = 0;

#if VNC_WIDE_COPIES
	if (domain == VNC_DEVICE && vnc_wide_loads())
		done = vnc_wide_load(dst, src, len);
#endif
	vnc_get_words(domain, dst + done, src + done, len - done);
}

#endif
