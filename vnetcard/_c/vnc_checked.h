/* SPDX-License-Identifier: MIT */
/**
 * DOC: memory that behaves as badly as device memory may, for tests: windows `check:`, domain VNC_CHECKED.
 *
 * The caller gets a *front*: addresses behind which there is nothing.  Who goes by vnc_access.h reaches the
 * memory at the *back*; whatever else touches the front (memcpy, memset, an odd pointer) faults, and a system
 * call is answered EFAULT, as the strictest device memory does.
 *
 *        store ---> pending stores of this thread ---- barrier, chance ---> back <--- load
 *        (front)      in any order, merged by word                                   (front)
 *
 * A store waits: for ever, unless a barrier (WMB, MB) follows; until then stores leave in any order, some at
 * once and some not.  That is what write-combining and posted writes may do.  A load first lets the pending
 * store of its own word go, and is counted by its line.  It may also have been done long before its turn, by a
 * speculating CPU: then it gives what stood there at the last RMB of its thread (windows up to 64 KiB).
 */
#ifndef VNC_CHECKED_H
#define VNC_CHECKED_H
#include <stddef.h>
#include <stdint.h>

#ifndef VNC_CHECKED_WINDOWS
#define VNC_CHECKED_WINDOWS 0 /* firmware has none */
#endif

uint8_t *vnc_checked_open(uint8_t *back, size_t size, uint64_t seed);
void vnc_checked_close(uint8_t *front);
uint64_t vnc_checked_load(const void *at, unsigned int bytes);
void vnc_checked_store(void *at, uint64_t value, unsigned int bytes);
void vnc_checked_barrier(void);
void vnc_checked_rmb(void);
uint64_t vnc_checked_loads(const uint8_t *front, size_t offset, size_t bytes);

#endif
