/* SPDX-License-Identifier: MIT */
/* lwIP's compiler and machine: little-endian, GCC or Clang, no console. */
#ifndef ARCH_CC_H
#define ARCH_CC_H
#include <stdint.h>

uint32_t platform_random(void);

#define LWIP_RAND() platform_random()
#define LWIP_NO_CTYPE_H 1
#define LWIP_PLATFORM_DIAG(x) ((void)0)
#define LWIP_PLATFORM_ASSERT(x) __builtin_trap()
#define BYTE_ORDER LITTLE_ENDIAN

#endif
