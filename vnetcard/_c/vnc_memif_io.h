/* SPDX-License-Identifier: MIT */
/**
 * DOC: frames into and out of the rings of vnc_memif.h, for pumps: what readv() and writev() are for a descriptor.
 *
 * A frame is copied once.  One that was read stays in its slots until the pump has counted it: no process that is
 * killed has given back what it did not count.
 */
#ifndef VNC_MEMIF_IO_H
#define VNC_MEMIF_IO_H
#include "vnc_memif.h"

#define VNC_MEMIF_CHAIN 64u /* most slots of one frame that is sent */

/* ---- receiving ----------------------------------------------------------------------------------- */

/* Copy the oldest frame. Return: its length, at most what @c has room for; -1 with EAGAIN. */
static inline ssize_t vnc_memif_get(struct vnc_memif *m, struct vnc_memif_end *e, struct vnc_cursor *c)
{
	int32_t slots = vnc_memif_slots(e);
	struct vnc_memif_slot slot = {.more = true};
	enum vnc_rings_fault fault;
	ssize_t len = 0;
	int32_t n;

	errno = EAGAIN;
	if (slots <= 0)
		return slots ? vnc_rings_fail(&m->rings, &e->gate, VNC_RINGS_BAD_INDEX, EAGAIN) : -1;
	for (n = 0; slot.more; n++) {
		fault = n == slots ? VNC_RINGS_BAD_CHAIN : vnc_memif_load(m, e, e->at + (uint32_t)n, &slot);
		if (fault)
			return vnc_rings_fail(&m->rings, &e->gate, fault, EAGAIN);
		len += vnc_cursor_copy(c, slot.base, slot.len, false);
		if (vnc_rings_lost(slot.region))
			return vnc_rings_fail(&m->rings, &e->gate, VNC_RINGS_LOST, EAGAIN);
	}
	e->pending = (uint16_t)n;
	return len;
}

/**
 * vnc_memif_readv() - copy the oldest frame to @iov, as readv() does; it stays in the ring until vnc_memif_release().
 * Return: its length, at most that of @iov; -1 with EAGAIN where there is none.
 */
static inline ssize_t vnc_memif_readv(struct vnc_memif *m, const struct iovec *iov, int n)
{
	struct vnc_cursor c = {.iov = iov, .left = n};
	ssize_t got;

	if (!vnc_gate_enter(&m->in.gate)) {
		errno = EAGAIN;
		return -1;
	}
	got = vnc_memif_get(m, &m->in, &c);
	vnc_gate_leave(&m->in.gate);
	return got;
}

/** vnc_memif_release() - give the slots of the frame back that was read last. */
static inline void vnc_memif_release(struct vnc_memif *m)
{
	struct vnc_memif_end *e = &m->in;
	struct vnc_memif_desc *d;
	uint32_t n;

	if (!vnc_gate_enter(&e->gate))
		return;
	for (n = 0; e->client && n < e->pending; n++) {
		d = vnc_memif_desc(e, e->at + n);
		__atomic_store_n(&d->length, e->buffer_bytes, __ATOMIC_RELAXED);
		__atomic_store_n(&d->flags, 0, __ATOMIC_RELAXED);
	}
	if (e->pending)
		vnc_memif_publish(e, e->pending);
	e->pending = 0;
	vnc_gate_leave(&e->gate);
}

/* ---- sending ------------------------------------------------------------------------------------- */

/* Find room for @len bytes. Return: the number of slots, with what they are in @slot; -1 with errno. */
static inline int32_t vnc_memif_reserve(struct vnc_memif *m, struct vnc_memif_end *e, uint64_t len,
					struct vnc_memif_slot *slot)
{
	int32_t slots = vnc_memif_slots(e), n;
	enum vnc_rings_fault fault;
	uint64_t room = 0;

	if (slots < 0)
		return vnc_rings_fail(&m->rings, &e->gate, VNC_RINGS_BAD_INDEX, EPIPE);
	for (n = 0; room < len; n++) {
		errno = EMSGSIZE;
		if (n == (int32_t)VNC_MEMIF_CHAIN || n == (int32_t)e->size)
			return -1;
		errno = ENOBUFS;
		if (n == slots)
			return -1;
		fault = vnc_memif_load(m, e, e->at + (uint32_t)n, &slot[n]);
		if (fault)
			return vnc_rings_fail(&m->rings, &e->gate, fault, EPIPE);
		room += slot[n].len;
	}
	return n;
}

/* Fill slot @at with the next bytes of @c, of which @len are left. Return: how many fitted. */
static inline uint32_t vnc_memif_fill(struct vnc_memif_end *e, uint32_t at, const struct vnc_memif_slot *slot,
				      struct vnc_cursor *c, uint64_t len)
{
	struct vnc_memif_desc *d = vnc_memif_desc(e, at);
	uint32_t n = vnc_cursor_copy(c, slot->base, slot->len, true);

	__atomic_store_n(&d->flags, n < len ? VNC_MEMIF_NEXT : 0, __ATOMIC_RELAXED);
	__atomic_store_n(&d->length, n, __ATOMIC_RELAXED);
	if (e->client) {
		__atomic_store_n(&d->region, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&d->offset, vnc_memif_buffer(e, at), __ATOMIC_RELAXED);
	}
	return n;
}

/* As vnc_memif_writev(), with @e locked. */
static inline ssize_t vnc_memif_put(struct vnc_memif *m, struct vnc_memif_end *e, struct vnc_cursor *c,
				    uint32_t len, const uint32_t *lost)
{
	struct vnc_memif_slot slot[VNC_MEMIF_CHAIN];
	int32_t slots = vnc_memif_reserve(m, e, len, slot), n;
	uint32_t left = len;

	for (n = 0; n < slots; n++) {
		left -= vnc_memif_fill(e, e->at + (uint32_t)n, &slot[n], c, left);
		if (vnc_rings_lost(slot[n].region))
			return vnc_rings_fail(&m->rings, &e->gate, VNC_RINGS_LOST, EPIPE);
	}
	errno = slots < 0 ? errno : EFAULT;
	if (slots < 0 || (lost && __atomic_load_n(lost, __ATOMIC_ACQUIRE)))
		return -1;
	vnc_memif_publish(e, (uint32_t)slots);
	e->gate.unnotified++;
	return (ssize_t)len;
}

/** vnc_memif_notify() - wake a peer that sleeps, if it was sent a frame since the last call. */
static inline void vnc_memif_notify(struct vnc_memif *m)
{
	struct vnc_memif_end *e = &m->out;

	if (!vnc_gate_enter(&e->gate))
		return;
	vnc_full_fence(VNC_COHERENT); /* as (E): between the index and the peer's flags */
	if (e->gate.unnotified && !(__atomic_load_n(&e->ring->flags, __ATOMIC_RELAXED) & VNC_MEMIF_MASK_INT))
		vnc_gate_signal(&e->gate);
	e->gate.unnotified = 0;
	vnc_gate_leave(&e->gate);
}

/**
 * vnc_memif_writev() - send @iov as one frame, as writev() does; vnc_memif_notify() must follow soon.
 * @lost: of the memory of @iov, as in struct vnc_rings_region.
 * Return: its length; -1 with ENOBUFS (the ring is full), EMSGSIZE (it can never hold the frame), EPIPE (no peer), or
 * EFAULT (memory of @iov is missing).
 */
static inline ssize_t vnc_memif_writev(struct vnc_memif *m, const struct iovec *iov, int n, const uint32_t *lost)
{
	struct vnc_cursor c = {.iov = iov, .left = n};
	uint32_t len = 0;
	ssize_t done;
	bool many;

	while (n--)
		len += (uint32_t)iov[n].iov_len;
	if (!vnc_gate_enter(&m->out.gate)) {
		errno = EPIPE;
		return -1;
	}
	done = vnc_memif_put(m, &m->out, &c, len, lost);
	many = m->out.gate.unnotified >= VNC_RINGS_BATCH;
	vnc_gate_leave(&m->out.gate);
	if (many)
		vnc_memif_notify(m);
	return done;
}

#endif
