/* SPDX-License-Identifier: MIT */
/* The two ends of a ring, as Producer, Consumer and Pump need them: checked sizes, and pointers into the window. */
#include "core_py.h"

/* Is @size the size of a ring? Return: 0, or -1 with an exception. */
int core_check_ring(unsigned long long size)
{
	if (size >= VNC_RING_MIN && size <= VNC_RING_MAX && !(size & (size - 1)))
		return 0;
	PyErr_Format(PyExc_ValueError, "ring of %llu bytes: it must be a power of two from %u to %u", size,
		     VNC_RING_MIN, VNC_RING_MAX);
	return -1;
}

static int check_end(const struct core_end *end)
{
	if (core_check_ring(end->size) < 0)
		return -1;
	if (end->frame_max < 1 || end->frame_max > VNC_FRAME_MAX || vnc_record_bytes(end->frame_max) > end->size) {
		PyErr_Format(PyExc_ValueError, "frame_max %u: it must be from 1 to %u and fit the ring", end->frame_max,
			     VNC_FRAME_MAX);
		return -1;
	}
	return 0;
}

/* Set up @p or @c, whichever is not NULL, in @m. Return: 0, or -1 with an exception. */
int core_setup_end(MemoryObject *m, const struct core_end *end, struct vnc_producer *p, struct vnc_consumer *c)
{
	void *ring, *own, *peer;

	if (check_end(end) < 0 || !(ring = core_at(m, end->ring, end->size, VNC_LINE)) ||
	    !(own = core_at(m, end->own, VNC_LINE, VNC_LINE)) || !(peer = core_at(m, end->peer, VNC_LINE, VNC_LINE)))
		return -1;
	if (p)
		*p = (struct vnc_producer){.ring = ring,
					   .size = (uint32_t)end->size,
					   .frame_max = end->frame_max,
					   .domain = m->domain,
					   .own = own,
					   .peer = peer};
	else
		*c = (struct vnc_consumer){.ring = ring,
					   .size = (uint32_t)end->size,
					   .frame_max = end->frame_max,
					   .domain = m->domain,
					   .own = own,
					   .peer = peer};
	return 0;
}
