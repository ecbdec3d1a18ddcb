/* SPDX-License-Identifier: MIT */
/**
 * DOC: attaching the rings of vnc_memif.h, and taking them away, in the thread that connects; the pumps may run.
 */
#ifndef VNC_MEMIF_ATTACH_H
#define VNC_MEMIF_ATTACH_H
#include "vnc_memif.h"

/** struct vnc_memif_place - where a ring is, as the client has said; @log2: of its slots. */
struct vnc_memif_place {
	uint32_t region, offset, log2;
};

/** struct vnc_memif_buffers - where in region 0 a client's buffers start, and the bytes of one; 0: a server's. */
struct vnc_memif_buffers {
	uint32_t receive, send, bytes;
};

/* Return: the ring at @place; NULL where it is none. */
static inline struct vnc_memif_ring *vnc_memif_ring_at(const struct vnc_memif *m, const struct vnc_memif_place *place)
{
	struct vnc_memif_ring *ring;
	uint64_t bytes, size;

	if (place->region >= m->rings.regions || place->log2 > VNC_MEMIF_LOG2_MAX || place->offset % VNC_MEMIF_ALIGN)
		return NULL;
	bytes = sizeof(*ring) + (sizeof(ring->desc[0]) << place->log2);
	size = m->rings.region[place->region].size;
	if (bytes > size || place->offset > size - bytes)
		return NULL;
	ring = (struct vnc_memif_ring *)(void *)(m->rings.region[place->region].base + place->offset);
	return __atomic_load_n(&ring->cookie, __ATOMIC_RELAXED) == VNC_MEMIF_COOKIE ? ring : NULL;
}

/* Set @e up for @ring, of which nothing was used yet. */
static inline void vnc_memif_set_end(struct vnc_memif_end *e, struct vnc_memif_ring *ring, uint32_t log2, bool client,
				     bool in)
{
	uint16_t size = (uint16_t)(1u << log2);

	e->ring = ring;
	e->own = client ? &ring->head : &ring->tail;
	e->peer = client ? &ring->tail : &ring->head;
	e->size = size;
	e->client = client;
	e->at = e->pending = 0;
	e->ahead = client && in ? size : 0;
	e->behind = client && !in ? size : 0;
	e->gate.unnotified = 0;
}

/* Are the buffers of @e in region 0? */
static inline bool vnc_memif_buffers_fit(const struct vnc_memif *m, const struct vnc_memif_end *e)
{
	uint64_t bytes = (uint64_t)e->size * e->buffer_bytes, size = m->rings.region[0].size;

	return bytes <= size && e->buffers <= size - bytes;
}

/* Let the peer have the buffers of @e, which receives. */
static inline void vnc_memif_give_buffers(struct vnc_memif_end *e)
{
	struct vnc_memif_desc *d;
	uint32_t n;

	for (n = 0; n < e->size; n++) {
		d = vnc_memif_desc(e, n);
		__atomic_store_n(&d->flags, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&d->region, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&d->length, e->buffer_bytes, __ATOMIC_RELAXED);
		__atomic_store_n(&d->offset, vnc_memif_buffer(e, n), __ATOMIC_RELAXED);
	}
}

static inline void vnc_memif_start(struct vnc_memif_end *e)
{
	vnc_gate_lock(&e->gate);
	e->gate.attached = true;
	vnc_memif_publish(e, 0);
	vnc_gate_leave(&e->gate);
}

/**
 * vnc_memif_attach() - from now on pumps may use the rings @receive and @send; @m has regions, and is detached.
 * @fd: the eventfd that wakes the peer.
 * Return: whether the rings and @buffers are in the regions; else nothing is attached.
 */
static inline bool vnc_memif_attach(struct vnc_memif *m, const struct vnc_memif_place *receive,
				    const struct vnc_memif_place *send, const struct vnc_memif_buffers *buffers, int fd)
{
	struct vnc_memif_ring *from = vnc_memif_ring_at(m, receive), *to = vnc_memif_ring_at(m, send);
	bool client = buffers->bytes;

	if (!from || !to)
		return false;
	vnc_memif_set_end(&m->in, from, receive->log2, client, true);
	vnc_memif_set_end(&m->out, to, send->log2, client, false);
	m->in.buffers = buffers->receive;
	m->out.buffers = buffers->send;
	m->in.buffer_bytes = m->out.buffer_bytes = buffers->bytes;
	m->out.gate.fd = fd;
	if (!vnc_memif_buffers_fit(m, &m->in) || !vnc_memif_buffers_fit(m, &m->out))
		return false;
	if (client)
		vnc_memif_give_buffers(&m->in);
	__atomic_store_n(&from->flags, 0, __ATOMIC_RELAXED); /* the pump may sleep: the first frame is to wake it */
	m->rings.fault = VNC_RINGS_SOUND;
	vnc_memif_start(&m->out);
	vnc_memif_start(&m->in);
	return true;
}

/** vnc_memif_detach() - take the rings away; returns once no pump uses them, so that the regions can be unmapped. */
static inline void vnc_memif_detach(struct vnc_memif *m)
{
	vnc_gate_stop(&m->in.gate);
	vnc_gate_stop(&m->out.gate);
}

#endif
