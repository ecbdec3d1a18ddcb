/* SPDX-License-Identifier: MIT */
/**
 * DOC: attaching the rings of vnc_memif.h, and taking them away, in the thread that connects; the pumps may run.
 */
#ifndef VNC_MEMIF_ATTACH_H
#define VNC_MEMIF_ATTACH_H
#include "vnc_memif.h"
#include <fcntl.h>
#include <poll.h>

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

	if (place->region >= m->regions || place->log2 > VNC_MEMIF_LOG2_MAX || place->offset % VNC_MEMIF_ALIGN)
		return NULL;
	bytes = sizeof(*ring) + (sizeof(ring->desc[0]) << place->log2);
	size = m->region[place->region].size;
	if (bytes > size || place->offset > size - bytes)
		return NULL;
	ring = (struct vnc_memif_ring *)(void *)(m->region[place->region].base + place->offset);
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
	e->unnotified = 0;
}

/* Are the buffers of @e in region 0? */
static inline bool vnc_memif_buffers_fit(const struct vnc_memif *m, const struct vnc_memif_end *e)
{
	uint64_t bytes = (uint64_t)e->size * e->buffer_bytes, size = m->region[0].size;

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
	while (__atomic_exchange_n(&e->locked, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	e->attached = true;
	vnc_memif_publish(e, 0);
	vnc_memif_leave(e);
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
	m->out.fd = fd;
	if (!vnc_memif_buffers_fit(m, &m->in) || !vnc_memif_buffers_fit(m, &m->out))
		return false;
	if (client)
		vnc_memif_give_buffers(&m->in);
	__atomic_store_n(&from->flags, 0, __ATOMIC_RELAXED); /* the pump may sleep: the first frame is to wake it */
	m->fault = VNC_MEMIF_SOUND;
	vnc_memif_start(&m->out);
	vnc_memif_start(&m->in);
	return true;
}

/* A hostile peer can make the eventfd that a pump writes to block, but it cannot keep it from being read. */
static inline void vnc_memif_unblock(int fd)
{
	struct pollfd full = {.fd = fd, .events = POLLIN};
	int flags = fcntl(fd, F_GETFL);
	uint64_t drain;

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (poll(&full, 1, 1) > 0 && read(fd, &drain, sizeof(drain)) < 0) {
		/* EAGAIN: its owner was faster */
	}
}

static inline void vnc_memif_stop(struct vnc_memif_end *e)
{
	while (__atomic_exchange_n(&e->locked, 1, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&e->writes, __ATOMIC_RELAXED) & 1)
			vnc_memif_unblock(e->fd);
		sched_yield();
	}
	e->attached = false;
	vnc_memif_leave(e);
}

/** vnc_memif_detach() - take the rings away; returns once no pump uses them, so that the regions can be unmapped. */
static inline void vnc_memif_detach(struct vnc_memif *m)
{
	vnc_memif_stop(&m->in);
	vnc_memif_stop(&m->out);
}

#endif
