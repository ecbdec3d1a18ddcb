/* SPDX-License-Identifier: MIT */
/* memcpy and memset, and ARM's names for them (its run-time ABI, IHI 0043), where there is no C library.  The Makefile
 * keeps them from calling themselves. */
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

#if defined(__arm__)
void __aeabi_memcpy(void *restrict dst, const void *restrict src, size_t len);
void __aeabi_memset(void *dst, size_t len, int byte);
void __aeabi_memclr(void *dst, size_t len);

void __aeabi_memcpy(void *restrict dst, const void *restrict src, size_t len)
{
	memcpy(dst, src, len);
}

void __aeabi_memset(void *dst, size_t len, int byte)
{
	memset(dst, byte, len);
}

void __aeabi_memclr(void *dst, size_t len)
{
	memset(dst, 0, len);
}

__asm__(".globl __aeabi_memcpy4, __aeabi_memcpy8, __aeabi_memset4, __aeabi_memset8, __aeabi_memclr4, __aeabi_memclr8\n"
	".set __aeabi_memcpy4, __aeabi_memcpy\n"
	".set __aeabi_memcpy8, __aeabi_memcpy\n"
	".set __aeabi_memset4, __aeabi_memset\n"
	".set __aeabi_memset8, __aeabi_memset\n"
	".set __aeabi_memclr4, __aeabi_memclr\n"
	".set __aeabi_memclr8, __aeabi_memclr\n");
#endif
