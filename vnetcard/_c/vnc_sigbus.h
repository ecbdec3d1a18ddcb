/* SPDX-License-Identifier: MIT */
/**
 * DOC: surviving the removal of a device whose memory is mapped.
 *
 * The kernel removes such a mapping, and the next access raises SIGBUS.  In a range that was added here the access
 * gets what the bus itself would give: a page that reads as all ones and discards what is written.  The caller then
 * finds out in the ordinary way, by the words that it reads.
 */
#ifndef VNC_SIGBUS_H
#define VNC_SIGBUS_H
#include <stddef.h>
#include <stdint.h>

void vnc_sigbus_add(uint8_t *base, size_t size);
void vnc_sigbus_remove(const uint8_t *base);

#endif
