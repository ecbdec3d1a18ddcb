/* SPDX-License-Identifier: MIT */
/**
 * DOC: surviving the removal of a device whose memory is mapped.
 *
 * The kernel takes such a mapping away, and the next access is a SIGBUS.  Whoever has guarded the range gets what
 * the bus itself would give instead: a page that reads as all ones and swallows what is written.  What that means
 * is then found out in the ordinary way, by looking at the words.
 */
#ifndef VNC_SIGBUS_H
#define VNC_SIGBUS_H
#include <stddef.h>
#include <stdint.h>

void vnc_guard_add(uint8_t *base, size_t size);
void vnc_guard_remove(const uint8_t *base);

#endif
