/* SPDX-License-Identifier: MIT */
/**
 * DOC: surviving the loss of mapped memory: a device that is removed, a file that is truncated.
 *
 * The next access to such memory raises SIGBUS.  In a range that was added here the access gets what a bus without the
 * device gives: a page that reads as all ones and discards what is written.  The caller then finds out in the ordinary
 * way, by the words that it reads, or by the range's flag.  A system call does not raise the signal but fails with
 * EFAULT; its caller sets the flag.
 */
#ifndef VNC_SIGBUS_H
#define VNC_SIGBUS_H
#include <stddef.h>
#include <stdint.h>

uint32_t *vnc_sigbus_add(uint8_t *base, size_t size);
void vnc_sigbus_remove(const uint8_t *base);

#endif
