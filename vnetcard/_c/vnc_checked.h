/* SPDX-License-Identifier: MIT */
/**
 * DOC: memory for tests, which uses every freedom that device memory has: windows `check:`, domain VNC_CHECKED.
 *
 * The caller gets a *front*: addresses that are mapped to nothing.  An access through vnc_access.h reaches the memory
 * at the *back*.  Any other access to the front (memcpy, memset, a wrong pointer) faults, and a system call returns
 * EFAULT, as with the strictest device memory.
 *
 *        store ---> pending stores of this thread ---- barrier, chance ---> back <--- load
 *        (front)      in any order, merged by word                                   (front)
 *
 * A store stays pending until a barrier (WMB, MB), without one indefinitely; meanwhile stores leave at random, in any
 * order.  Write-combining and posted writes may do this.  A load first lets the pending store of its own word leave,
 * and is counted by its line.  A load may also be early, as with a speculating CPU: then it returns what was there at
 * the last RMB of its thread (windows up to 64 KiB).
 *
 * Only builds with VNC_CHECKED_WINDOWS=1 have it: tests (VNETCARD_CHECKED=1 in setup.py), never a release or firmware.
 */
#ifndef VNC_CHECKED_H
#define VNC_CHECKED_H
#include <stddef.h>
#include <stdint.h>

#ifndef VNC_CHECKED_WINDOWS
#define VNC_CHECKED_WINDOWS 0
#endif

uint8_t *vnc_checked_open(uint8_t *back, size_t size, uint64_t seed);
void vnc_checked_close(uint8_t *front);
uint64_t vnc_checked_load(const void *at, unsigned int bytes);
void vnc_checked_store(void *at, uint64_t value, unsigned int bytes);
void vnc_checked_barrier(void);
void vnc_checked_rmb(void);
uint64_t vnc_checked_loads(const uint8_t *front, size_t offset, size_t bytes);

#endif
