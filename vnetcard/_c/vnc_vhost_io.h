/* SPDX-License-Identifier: MIT */
/**
 * DOC: frames into and out of the queues of vnc_vhost.h, for pumps: what readv() and writev() are for a TUN with a
 * virtio_net_hdr of 10 bytes in front of each packet.
 *
 * A frame is copied once.  One that was read stays in its chain until the pump has counted it: no process that is
 * killed has given back what it did not count.
 */
#ifndef VNC_VHOST_IO_H
#define VNC_VHOST_IO_H
#include "vnc_vhost.h"

#define VNC_VHOST_CHAINS 64u /* most chains of one frame that is sent */
#define VNC_VHOST_SPANS 128u /* and most of their buffers */

/*
 * Copy @span, which is @seen bytes into header and frame, to @c; or where there is @chains, the number of them in
 * little-endian order, from @c.  Return: how many bytes of @c there were.
 */
static inline uint32_t vnc_vhost_copy(const struct vnc_vhost *v, const struct vnc_vhost_span *span, uint32_t *seen,
				      struct vnc_cursor *c, const uint8_t *chains)
{
	uint32_t done = 0, copied = 0, n;

	while (done < span->len) {
		n = span->len - done;
		if (*seen >= VNC_VHOST_HEADER && *seen < v->header) { /* not the pumps' */
			if (chains)
				span->base[done] = chains[*seen - VNC_VHOST_HEADER];
			n = 1;
		} else {
			if (*seen < VNC_VHOST_HEADER && n > VNC_VHOST_HEADER - *seen)
				n = VNC_VHOST_HEADER - *seen;
			copied += vnc_cursor_copy(c, span->base + done, n, chains);
		}
		if (*seen < v->header)
			*seen += n;
		done += n;
	}
	return copied;
}

/* ---- receiving ----------------------------------------------------------------------------------- */

/* Copy the oldest frame. Return: its length with the header, at most what @c has room for; -1 with EAGAIN. */
static inline ssize_t vnc_vhost_get(struct vnc_vhost *v, struct vnc_vhost_end *e, struct vnc_cursor *c)
{
	int32_t chains = vnc_vhost_chains(e), head;
	struct vnc_vhost_span span;
	struct vnc_vhost_walk w;
	enum vnc_rings_fault fault;
	uint32_t seen = 0;
	ssize_t len = 0;

	errno = EAGAIN;
	if (chains <= 0)
		return chains ? vnc_rings_fail(&v->rings, &e->gate, VNC_RINGS_BAD_INDEX, EAGAIN) : -1;
	head = vnc_vhost_begin(e, e->at, false, &w);
	while (w.more) {
		fault = head < 0 ? VNC_RINGS_BAD_INDEX : vnc_vhost_next(v, &w, &span);
		if (fault)
			return vnc_rings_fail(&v->rings, &e->gate, fault, EAGAIN);
		len += vnc_vhost_copy(v, &span, &seen, c, NULL);
		if (vnc_rings_lost(span.region))
			return vnc_rings_fail(&v->rings, &e->gate, VNC_RINGS_LOST, EAGAIN);
	}
	e->head = (uint16_t)head;
	e->pending = 1;
	return len;
}

/**
 * vnc_vhost_readv() - copy the oldest frame, behind its header, to @iov, as readv() does; it stays in the queue until
 * vnc_vhost_release().
 * Return: the length with the header, at most that of @iov; -1 with EAGAIN where there is none.
 */
static inline ssize_t vnc_vhost_readv(struct vnc_vhost *v, const struct iovec *iov, int n)
{
	struct vnc_cursor c = {.iov = iov, .left = n};
	ssize_t got;

	if (!vnc_gate_enter(&v->in.gate)) {
		errno = EAGAIN;
		return -1;
	}
	got = vnc_vhost_get(v, &v->in, &c);
	vnc_gate_leave(&v->in.gate);
	return got;
}

/** vnc_vhost_release() - give the chain of the frame back that was read last; vnc_vhost_notify() must follow soon. */
static inline void vnc_vhost_release(struct vnc_vhost *v)
{
	struct vnc_vhost_end *e = &v->in;
	bool many;

	if (!vnc_gate_enter(&e->gate))
		return;
	if (e->pending) {
		vnc_vhost_use(e, 0, e->head, 0);
		vnc_vhost_publish(e, 1);
	}
	e->pending = 0;
	many = e->gate.unnotified >= VNC_RINGS_BATCH;
	vnc_gate_leave(&e->gate);
	if (many)
		vnc_vhost_notify(v, e);
}

/* ---- sending ------------------------------------------------------------------------------------- */

/** struct vnc_vhost_room - chains that a frame goes into, and their buffers. */
struct vnc_vhost_room {
	uint32_t chains, spans;
	uint16_t head[VNC_VHOST_CHAINS];
	uint64_t bytes[VNC_VHOST_CHAINS]; /* of each chain */
	struct vnc_vhost_span span[VNC_VHOST_SPANS];
};

/* Add the chain at @at to @room. Return: VNC_RINGS_SOUND, or what is wrong with it. */
static inline enum vnc_rings_fault vnc_vhost_add(const struct vnc_vhost *v, const struct vnc_vhost_end *e, uint32_t at,
						 struct vnc_vhost_room *room)
{
	struct vnc_vhost_walk w;
	int32_t head = vnc_vhost_begin(e, at, true, &w);
	enum vnc_rings_fault fault;
	uint64_t bytes = 0;

	if (head < 0)
		return VNC_RINGS_BAD_INDEX;
	while (w.more && room->spans < VNC_VHOST_SPANS) {
		fault = vnc_vhost_next(v, &w, &room->span[room->spans]);
		if (fault)
			return fault;
		bytes += room->span[room->spans++].len;
	}
	room->head[room->chains] = (uint16_t)head;
	room->bytes[room->chains++] = bytes;
	return VNC_RINGS_SOUND;
}

/* Find room for @len bytes. Return: 0; -1 with errno. */
static inline int vnc_vhost_reserve(struct vnc_vhost *v, struct vnc_vhost_end *e, uint64_t len,
				    struct vnc_vhost_room *room)
{
	int32_t chains = vnc_vhost_chains(e);
	uint32_t most = v->mergeable ? VNC_VHOST_CHAINS : 1;
	enum vnc_rings_fault fault;
	uint64_t bytes = 0;

	if (chains < 0)
		return vnc_rings_fail(&v->rings, &e->gate, VNC_RINGS_BAD_INDEX, EPIPE);
	while (bytes < len) {
		errno = EMSGSIZE;
		if (room->chains == most || room->chains == e->size || room->spans == VNC_VHOST_SPANS)
			return -1;
		errno = ENOBUFS;
		if ((int32_t)room->chains == chains)
			return -1;
		fault = vnc_vhost_add(v, e, e->at + room->chains, room);
		if (fault)
			return vnc_rings_fail(&v->rings, &e->gate, fault, EPIPE);
		bytes += room->bytes[room->chains - 1];
	}
	return 0;
}

/* As vnc_vhost_writev(), with the end locked; @len: of the frame, with all of the header. */
static inline int vnc_vhost_put(struct vnc_vhost *v, struct vnc_vhost_end *e, struct vnc_cursor *c, uint64_t len,
				const uint32_t *lost)
{
	struct vnc_vhost_room room;
	uint8_t chains[2];
	uint32_t seen = 0, n, used;
	uint64_t left = len;

	room.chains = room.spans = 0;
	if (vnc_vhost_reserve(v, e, len, &room) < 0)
		return -1;
	chains[0] = (uint8_t)room.chains;
	chains[1] = (uint8_t)(room.chains >> 8);
	for (n = 0; n < room.spans; n++) {
		vnc_vhost_copy(v, &room.span[n], &seen, c, chains);
		if (vnc_rings_lost(room.span[n].region))
			return vnc_rings_fail(&v->rings, &e->gate, VNC_RINGS_LOST, EPIPE);
	}
	errno = EFAULT;
	if (lost && __atomic_load_n(lost, __ATOMIC_ACQUIRE))
		return -1;
	for (n = 0; n < room.chains; n++) {
		used = (uint32_t)(left < room.bytes[n] ? left : room.bytes[n]);
		vnc_vhost_use(e, n, room.head[n], used);
		left -= used;
	}
	vnc_vhost_publish(e, room.chains);
	return 0;
}

/**
 * vnc_vhost_writev() - send @iov, a header of 10 bytes and a frame, as writev() does; vnc_vhost_notify() must follow
 * soon.
 * @lost: of the memory of @iov, as in struct vnc_rings_region.
 * Return: its length; -1 with ENOBUFS (no room now), EMSGSIZE (the driver's chains are too small for the frame), EPIPE
 * (no driver), or EFAULT (memory of @iov is missing).
 */
static inline ssize_t vnc_vhost_writev(struct vnc_vhost *v, const struct iovec *iov, int n, const uint32_t *lost)
{
	struct vnc_cursor c = {.iov = iov, .left = n};
	uint32_t len = 0;
	bool many;
	int failed;

	while (n--)
		len += (uint32_t)iov[n].iov_len;
	if (!vnc_gate_enter(&v->out.gate)) {
		errno = __atomic_load_n(&v->paused, __ATOMIC_ACQUIRE) ? ENOBUFS : EPIPE;
		return -1;
	}
	failed = vnc_vhost_put(v, &v->out, &c, (uint64_t)len + v->header - VNC_VHOST_HEADER, lost);
	many = v->out.gate.unnotified >= VNC_RINGS_BATCH;
	vnc_gate_leave(&v->out.gate);
	if (many)
		vnc_vhost_notify(v, &v->out);
	return failed ? -1 : (ssize_t)len;
}

#endif
