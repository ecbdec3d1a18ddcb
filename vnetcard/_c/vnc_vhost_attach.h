/* SPDX-License-Identifier: MIT */
/**
 * DOC: attaching the queues of vnc_vhost.h, and taking them away, in the thread that connects; the pumps may run.
 */
#ifndef VNC_VHOST_ATTACH_H
#define VNC_VHOST_ATTACH_H
#include "vnc_vhost.h"
#include <time.h>

#define VNC_VHOST_PENDING_MS 1000u /* in which a pump gives back what it has read; it takes microseconds */

/** struct vnc_vhost_queue - where a queue is, by the addresses of the front-end's process. */
struct vnc_vhost_queue {
	uint32_t size; /* chains */
	uint64_t desc, avail, used;
	int fd; /* the eventfd that interrupts the driver; below 0: it polls */
};

/* Return: where the @bytes at the front-end's @addr are; NULL where they are not in one region, or not aligned.
 * @user: where the front-end's process has the regions. */
static inline void *vnc_vhost_part(const struct vnc_vhost *v, const uint64_t *user, uint64_t addr, uint64_t bytes,
				   uint32_t align)
{
	const struct vnc_rings_region *region;
	uint64_t offset;
	uint32_t n;

	for (n = 0; n < v->rings.regions; n++) {
		region = &v->rings.region[n];
		offset = addr - user[n];
		if (addr < user[n] || offset >= region->size || bytes > region->size - offset)
			continue;
		return (uintptr_t)(region->base + offset) % align ? NULL : region->base + offset;
	}
	return NULL;
}

/* Set @e up for @queue.  Chains that the device has used before, maybe for another program, are not used again.
 * Return: whether its parts are in the regions. */
static inline bool vnc_vhost_set_end(const struct vnc_vhost *v, const uint64_t *user, struct vnc_vhost_end *e,
				     const struct vnc_vhost_queue *queue)
{
	uint64_t size = queue->size, more = v->event_idx ? sizeof(uint16_t) : 0;

	if (!size || size > VNC_VHOST_SIZE_MAX || (size & (size - 1)))
		return false;
	e->desc = vnc_vhost_part(v, user, queue->desc, size * sizeof(*e->desc), 16);
	e->avail = vnc_vhost_part(v, user, queue->avail, sizeof(*e->avail) + 2 * size + more, 2);
	e->used = vnc_vhost_part(v, user, queue->used, sizeof(*e->used) + size * sizeof(e->used->ring[0]) + more, 4);
	if (!e->desc || !e->avail || !e->used)
		return false;
	e->size = queue->size;
	e->at = __atomic_load_n(&e->used->idx, __ATOMIC_RELAXED);
	e->notified = (uint16_t)(e->at - e->size);
	e->pending = 0;
	e->gate.unnotified = 1; /* what was used just before, by whoever it was, may not have been notified */
	e->gate.fd = queue->fd;
	return true;
}

static inline void vnc_vhost_start(struct vnc_vhost_end *e)
{
	vnc_gate_lock(&e->gate);
	e->gate.attached = true;
	vnc_gate_leave(&e->gate);
}

/**
 * vnc_vhost_attach() - from now on pumps may use @transmit and @receive; @v has regions, and is detached.
 * @user: where the front-end's process has the regions.
 * Return: whether the queues are in the regions; else nothing is attached.
 */
static inline bool vnc_vhost_attach(struct vnc_vhost *v, const uint64_t *user, const struct vnc_vhost_queue *transmit,
				    const struct vnc_vhost_queue *receive)
{
	if (!vnc_vhost_set_end(v, user, &v->in, transmit) || !vnc_vhost_set_end(v, user, &v->out, receive))
		return false;
	/* The pump may sleep: the first frame is to wake it.  No pump waits for a kick that says there is room. */
	__atomic_store_n(&v->in.used->flags, 0, __ATOMIC_RELAXED);
	if (v->event_idx) {
		__atomic_store_n(vnc_vhost_kick_after(&v->in), v->in.at, __ATOMIC_RELAXED);
		__atomic_store_n(vnc_vhost_kick_after(&v->out), (uint16_t)(v->out.at + 0x8000), __ATOMIC_RELAXED);
	}
	__atomic_store_n(&v->out.used->flags, VNC_VHOST_NO_NOTIFY, __ATOMIC_RELAXED);
	v->rings.fault = VNC_RINGS_SOUND;
	vnc_vhost_start(&v->out);
	vnc_vhost_start(&v->in);
	return true;
}

/* A pump that has counted a frame gives it back, or the driver would send it again after a pause. */
static inline void vnc_vhost_await_release(struct vnc_vhost_end *e)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	bool pending = true;
	uint32_t n;

	for (n = 0; n < VNC_VHOST_PENDING_MS && pending; n++) {
		vnc_gate_lock(&e->gate);
		pending = e->gate.attached && e->pending;
		e->gate.attached = pending;
		vnc_gate_leave(&e->gate);
		if (pending)
			nanosleep(&nap, NULL);
	}
}

/** vnc_vhost_detach() - take the queues away; returns once no pump uses them, so that the regions can be unmapped. */
static inline void vnc_vhost_detach(struct vnc_vhost *v)
{
	vnc_vhost_await_release(&v->in);
	vnc_gate_stop(&v->in.gate);
	vnc_gate_stop(&v->out.gate);
}

/** vnc_vhost_set_call() - from now on the driver of @e is interrupted by @fd; none below 0. The caller keeps it open
 * until the next call, or the next detach. */
static inline void vnc_vhost_set_call(struct vnc_vhost_end *e, int fd)
{
	vnc_gate_lock(&e->gate);
	e->gate.fd = fd;
	vnc_gate_leave(&e->gate);
}

#endif
