/* SPDX-License-Identifier: MIT */
/* memcpy and memset where there is no C library.  -fno-tree-loop-distribute-patterns keeps them from calling
 * themselves. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t len)
{
	const uint8_t *from = src;
	uint8_t *to = dst;

	while (len--)
		*to++ = *from++;
	return dst;
}

void *memset(void *dst, int byte, size_t len)
{
	uint8_t *to = dst;

	while (len--)
		*to++ = (uint8_t)byte;
	return dst;
}
