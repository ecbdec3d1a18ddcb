/* SPDX-License-Identifier: MIT */
/**
 * DOC: one direction of a link: a ring of records between one producer and one consumer.
 *
 * The ring is header-only and uses neither allocation nor system calls, so firmware can use it too
 * (`-ffreestanding`; memcpy is its only external function).  Indices are free-running u32 byte counts and
 * are compared by unsigned difference alone, so that 2^32 needs no special case.
 *
 *   reserve -> fill the spans -> commit ... commit -> publish       (producer)
 *   refresh -> peek -> use the spans -> release ... -> publish      (consumer)
 *
 * The peer is hostile: its index and its headers are read once, checked, and only the checked copy is
 * used.  An error leaves the end as it was; the caller decides what follows (a new epoch).
 */
#ifndef VNC_RING_H
#define VNC_RING_H
#include "vnc_barrier.h"
#include "vnc_copy.h"
#include "vnc_layout.h"

enum vnc_ring_result {
	VNC_OK = 0,
	VNC_FULL,       /* no room for a record of this length now */
	VNC_EMPTY,      /* every published record was released */
	VNC_BAD_INDEX,  /* the peer's index left the ring, went back, or is not a multiple of 64 */
	VNC_BAD_LEN,    /* a record's length is 0, above the maximum, or above what is published */
	VNC_BAD_HEADER, /* unknown flags, or hdr_len does not fit them */
	VNC_BAD_SEQ,    /* a record is missing or occurs twice */
};

/** struct vnc_span - a contiguous piece of a ring. */
struct vnc_span {
	uint8_t *base;
	uint32_t len;
};

/** struct vnc_producer - the producing end; private to its owner except for what @ring, @own and @peer point to. */
struct vnc_producer {
	uint8_t *ring;
	uint32_t size; /* a power of two */
	uint32_t frame_max;
	enum vnc_domain domain;
	struct vnc_prod_line *own;
	const struct vnc_cons_line *peer;
	uint32_t prod;      /* end of the committed records */
	uint32_t published; /* end of the records that the peer may read */
	uint32_t cons;      /* last valid snapshot of the peer's index */
	uint32_t seq;
};

/** struct vnc_consumer - the consuming end. */
struct vnc_consumer {
	uint8_t *ring;
	uint32_t size;
	uint32_t frame_max;
	enum vnc_domain domain;
	struct vnc_cons_line *own;
	const struct vnc_prod_line *peer;
	uint32_t cons;      /* start of the first record not released */
	uint32_t published; /* the value that the peer may read */
	uint32_t prod;      /* last valid snapshot of the peer's index */
	uint32_t seq;
};

/** struct vnc_view - a checked record: its header, as it was checked, and its payload. */
struct vnc_view {
	uint32_t len;
	uint16_t flags;
	uint16_t hdr_len;
	struct vnc_span span[2]; /* span[1].len is 0 unless the payload wraps */
};

/** vnc_record_bytes() - the bytes that a record with @len payload bytes occupies in a ring. */
static inline uint32_t vnc_record_bytes(uint32_t len)
{
	return (VNC_RECORD_HEADER + len + VNC_LINE - 1) & ~(VNC_LINE - 1);
}

static inline void vnc_split(uint8_t *ring, uint32_t size, uint32_t at, uint32_t len, struct vnc_span span[2])
{
	uint32_t start = at & (size - 1);
	uint32_t first = size - start < len ? size - start : len;

	span[0].base = ring + start;
	span[0].len = first;
	span[1].base = ring;
	span[1].len = len - first;
}

/* ---- producer ---------------------------------------------------------------------------------- */

/** vnc_producer_reset() - start a generation at @index, and write it into the window. */
static inline void vnc_producer_reset(struct vnc_producer *p, uint32_t index)
{
	p->prod = p->published = p->cons = index;
	p->seq = 0;
	vnc_store32(p->domain, &p->own->need_wakeup, 0);
	vnc_store32(p->domain, &p->own->prod, index);
}

/** vnc_producer_room() - bytes free by the last snapshot. */
static inline uint32_t vnc_producer_room(const struct vnc_producer *p)
{
	return p->size - (p->prod - p->cons);
}

/** vnc_producer_refresh() - take a new snapshot of the peer's index. Return: VNC_OK or VNC_BAD_INDEX. */
static inline enum vnc_ring_result vnc_producer_refresh(struct vnc_producer *p)
{
	uint32_t cons = vnc_load32(p->domain, &p->peer->cons); /* (D) pairs with (C) */

	/* It may only have moved from the last snapshot towards what was published. */
	if ((cons & (VNC_LINE - 1)) || p->published - cons > p->published - p->cons)
		return VNC_BAD_INDEX;
	p->cons = cons;
	return VNC_OK;
}

/**
 * vnc_ring_reserve() - reserve room for a record of up to @len payload bytes.
 * @span: out; the place of the payload, in two pieces where the ring ends.
 *
 * Nothing changes until vnc_ring_commit(); reserving again gives the same place.
 * Return: VNC_OK, VNC_FULL, VNC_BAD_LEN (@len is 0, above frame_max, or larger than the ring), VNC_BAD_INDEX.
 */
static inline enum vnc_ring_result vnc_ring_reserve(struct vnc_producer *p, uint32_t len, struct vnc_span span[2])
{
	uint32_t need = vnc_record_bytes(len);
	enum vnc_ring_result got;

	if (len == 0 || len > p->frame_max || need > p->size)
		return VNC_BAD_LEN;
	if (vnc_producer_room(p) < need) {
		got = vnc_producer_refresh(p);
		if (got != VNC_OK)
			return got;
		if (vnc_producer_room(p) < need)
			return VNC_FULL;
	}
	vnc_split(p->ring, p->size, p->prod + VNC_RECORD_HEADER, len, span);
	return VNC_OK;
}

/** vnc_ring_write() - copy @len bytes into @span, which vnc_ring_reserve() has set. */
static inline void vnc_ring_write(const struct vnc_producer *p, const struct vnc_span span[2], const uint8_t *src,
				  uint32_t len)
{
	uint32_t first = len < span[0].len ? len : span[0].len;

	vnc_copy_to_window(p->domain, span[0].base, src, first);
	vnc_copy_to_window(p->domain, span[1].base, src + first, len - first);
}

/** vnc_ring_commit() - write the header of a record of @len bytes; the peer can read it after publish. */
static inline void vnc_ring_commit(struct vnc_producer *p, uint32_t len, uint16_t flags, uint16_t hdr_len)
{
	uint64_t *head = (uint64_t *)(void *)(p->ring + (p->prod & (p->size - 1)));

	/* Two aligned 8-byte stores, as device memory wants it: len, flags, hdr_len; then seq, crc32c. */
	vnc_put64(p->domain, &head[0], len | (uint64_t)flags << 32 | (uint64_t)hdr_len << 48);
	vnc_put64(p->domain, &head[1], p->seq);
	p->prod += vnc_record_bytes(len);
	p->seq++;
}

/** vnc_producer_publish() - make every committed record readable. Return: whether there was a new one. */
static inline int vnc_producer_publish(struct vnc_producer *p)
{
	if (p->published == p->prod)
		return 0;
	p->published = p->prod;
	vnc_store32(p->domain, &p->own->prod, p->prod); /* (A) pairs with (B) */
	return 1;
}

/** vnc_consumer_sleeps() - after a publish: must the consumer be woken? */
static inline int vnc_consumer_sleeps(const struct vnc_producer *p)
{
	vnc_full_fence(p->domain); /* (E) pairs with (F): see vnc_barrier.h */
	return vnc_load32(p->domain, &p->peer->need_wakeup) != 0;
}

/* ---- consumer ---------------------------------------------------------------------------------- */

/** vnc_consumer_reset() - start a generation at @index, and write it into the window. */
static inline void vnc_consumer_reset(struct vnc_consumer *c, uint32_t index)
{
	c->cons = c->published = c->prod = index;
	c->seq = 0;
	vnc_store32(c->domain, &c->own->need_wakeup, 0);
	vnc_store32(c->domain, &c->own->cons, index);
}

/** vnc_consumer_refresh() - take a new snapshot of the peer's index. Return: VNC_OK, VNC_EMPTY, VNC_BAD_INDEX. */
static inline enum vnc_ring_result vnc_consumer_refresh(struct vnc_consumer *c)
{
	uint32_t prod = vnc_load32(c->domain, &c->peer->prod); /* (B) pairs with (A) */

	/* It stays within one ring of cons, and never goes back behind the last snapshot. */
	if ((prod & (VNC_LINE - 1)) || prod - c->cons > c->size || prod - c->cons < c->prod - c->cons)
		return VNC_BAD_INDEX;
	c->prod = prod;
	return prod == c->cons ? VNC_EMPTY : VNC_OK;
}

/**
 * vnc_ring_peek() - check the oldest record of the last snapshot, and describe it in @view.
 *
 * Peeking again gives the same record until vnc_ring_release().
 * Return: VNC_OK, VNC_EMPTY (refresh first), VNC_BAD_LEN, VNC_BAD_HEADER, VNC_BAD_SEQ.
 */
static inline enum vnc_ring_result vnc_ring_peek(const struct vnc_consumer *c, struct vnc_view *view)
{
	const uint64_t *head = (const uint64_t *)(const void *)(c->ring + (c->cons & (c->size - 1)));
	uint64_t first, second;

	if (c->cons == c->prod)
		return VNC_EMPTY;
	first = vnc_get64(c->domain, &head[0]); /* each word once: the peer may change it */
	second = vnc_get64(c->domain, &head[1]);
	view->len = (uint32_t)first;
	view->flags = (uint16_t)(first >> 32);
	view->hdr_len = (uint16_t)(first >> 48);
	if (view->len == 0 || view->len > c->frame_max || vnc_record_bytes(view->len) > c->prod - c->cons)
		return VNC_BAD_LEN;
	if ((view->flags & ~VNC_REC_VNET) || view->hdr_len != (view->flags & VNC_REC_VNET ? VNC_VNET_HDR : 0) ||
	    view->hdr_len >= view->len || second >> 32)
		return VNC_BAD_HEADER;
	if ((uint32_t)second != c->seq)
		return VNC_BAD_SEQ;
	vnc_split(c->ring, c->size, c->cons + VNC_RECORD_HEADER, view->len, view->span);
	return VNC_OK;
}

/** vnc_ring_read() - copy a record's payload to @dst, which has room for view->len bytes. */
static inline void vnc_ring_read(const struct vnc_consumer *c, const struct vnc_view *view, uint8_t *dst)
{
	vnc_copy_from_window(c->domain, dst, view->span[0].base, view->span[0].len);
	vnc_copy_from_window(c->domain, dst + view->span[0].len, view->span[1].base, view->span[1].len);
}

/** vnc_ring_release() - free the peeked record of @len bytes; the peer may reuse its space after publish. */
static inline void vnc_ring_release(struct vnc_consumer *c, uint32_t len)
{
	c->cons += vnc_record_bytes(len);
	c->seq++;
}

/** vnc_consumer_publish() - give all released space to the peer. Return: whether there was any. */
static inline int vnc_consumer_publish(struct vnc_consumer *c)
{
	if (c->published == c->cons)
		return 0;
	c->published = c->cons;
	vnc_store32(c->domain, &c->own->cons, c->cons); /* (C) pairs with (D) */
	return 1;
}

/** vnc_producer_sleeps() - after a publish: must the producer be woken? */
static inline int vnc_producer_sleeps(const struct vnc_consumer *c)
{
	vnc_full_fence(c->domain); /* (E) pairs with (F), roles swapped */
	return vnc_load32(c->domain, &c->peer->need_wakeup) != 0;
}

#endif
