/* SPDX-License-Identifier: MIT */
/**
 * DOC: a port whose frames are in shared memory: memif, version 2.0, as in libmemif, VPP and DPDK.
 *
 * One of the two programs, the client, makes the memory: regions that hold two rings of descriptors and their buffers.
 * Each program writes one index of each ring; an index counts slots, modulo 65536:
 *
 *   ring    the client's index                        the server's index
 *   S2M     head: slots that it has filled            tail: slots that it has emptied
 *   M2S     head: slots whose buffers it has emptied  tail: slots that it has filled
 *
 * A frame occupies one slot, or several where all but the last have VNC_MEMIF_NEXT.  The receiver of a ring sets
 * VNC_MEMIF_MASK_INT while it is awake; else the sender writes to the ring's eventfd.
 *
 * Sources: the documents of VPP and DPDK (memif poll mode driver), and the declarations of memif.h.
 */
#ifndef VNC_MEMIF_H
#define VNC_MEMIF_H
#include "vnc_rings.h"

#define VNC_MEMIF_COOKIE 0x3e31f20u
#define VNC_MEMIF_MASK_INT 1u
#define VNC_MEMIF_NEXT 1u
#define VNC_MEMIF_LOG2_MAX 15u /* of the slots of a ring: beyond it an index cannot say how many are in use */
#define VNC_MEMIF_ALIGN 16u    /* of a ring: its descriptors are read by words of their own size */

struct vnc_memif_desc {
	uint16_t flags, region;
	uint32_t length, offset, metadata;
};
_Static_assert(sizeof(struct vnc_memif_desc) == 16, "memif descriptor");

struct vnc_memif_ring {
	uint32_t cookie;
	uint16_t flags, head;
	uint8_t unused0[56];
	uint16_t tail;
	uint8_t unused1[62];
	struct vnc_memif_desc desc[];
};
_Static_assert(sizeof(struct vnc_memif_ring) == 128, "memif ring");

/** struct vnc_memif_end - this side's end of one ring. */
struct vnc_memif_end {
	struct vnc_gate gate;    /* of what follows */
	bool client;             /* slot n has the @buffer_bytes at @buffers + n * @buffer_bytes of region 0 */
	struct vnc_memif_ring *ring;
	uint16_t *own;           /* the index that this side writes */
	const uint16_t *peer;
	uint32_t size;           /* slots; a power of two */
	uint32_t buffers, buffer_bytes;
	uint16_t at;             /* the next slot to empty or to fill */
	uint16_t ahead;          /* by which @own is ahead of @at: all slots, where this side gives out the buffers */
	uint16_t behind;         /* by which @peer is behind the slots that may be used: likewise */
	uint16_t pending;        /* receiving: slots of the last frame, which are not given back yet */
};

/** struct vnc_memif - both ends, between the pumps and the thread that connects. */
struct vnc_memif {
	struct vnc_rings rings;
	struct vnc_memif_end in, out;
};

/** struct vnc_memif_slot - what a descriptor said when it was read. */
struct vnc_memif_slot {
	struct vnc_rings_region *region;
	uint8_t *base;
	uint32_t len;
	bool more; /* the frame goes on in the next slot */
};

/* ---- an end -------------------------------------------------------------------------------------- */

/* Return: how many slots may be emptied or filled from @at on; -1 where the peer's index is impossible. */
static inline int32_t vnc_memif_slots(const struct vnc_memif_end *e)
{
	uint16_t peer = __atomic_load_n(e->peer, __ATOMIC_ACQUIRE);
	uint16_t slots = (uint16_t)(peer + e->behind - e->at);

	return slots > e->size ? -1 : slots;
}

static inline struct vnc_memif_desc *vnc_memif_desc(const struct vnc_memif_end *e, uint32_t at)
{
	return &e->ring->desc[at & (e->size - 1)];
}

static inline uint32_t vnc_memif_buffer(const struct vnc_memif_end *e, uint32_t at)
{
	return e->buffers + (at & (e->size - 1)) * e->buffer_bytes;
}

/* Read the descriptor of slot @at. Return: VNC_RINGS_SOUND, or what is wrong with it. */
static inline enum vnc_rings_fault vnc_memif_load(struct vnc_memif *m, const struct vnc_memif_end *e, uint32_t at,
						  struct vnc_memif_slot *slot)
{
	const struct vnc_memif_desc *d = vnc_memif_desc(e, at);
	uint32_t offset, number = 0;

	slot->len = __atomic_load_n(&d->length, __ATOMIC_RELAXED);
	slot->more = __atomic_load_n(&d->flags, __ATOMIC_RELAXED) & VNC_MEMIF_NEXT;
	if (e->client) { /* it knows where its buffers are */
		offset = vnc_memif_buffer(e, at);
		if (e == &m->out)
			slot->len = e->buffer_bytes;
		else if (slot->len > e->buffer_bytes)
			return VNC_RINGS_BAD_SPAN;
	} else {
		offset = __atomic_load_n(&d->offset, __ATOMIC_RELAXED);
		number = __atomic_load_n(&d->region, __ATOMIC_RELAXED);
	}
	if (number >= m->rings.regions)
		return VNC_RINGS_BAD_REGION;
	slot->region = &m->rings.region[number];
	if (slot->len > slot->region->size || offset > slot->region->size - slot->len)
		return VNC_RINGS_BAD_SPAN;
	slot->base = slot->region->base + offset;
	return VNC_RINGS_SOUND;
}

/* Let the peer see that the slots before @at are done with. */
static inline void vnc_memif_publish(struct vnc_memif_end *e, uint32_t slots)
{
	e->at = (uint16_t)(e->at + slots);
	__atomic_store_n(e->own, (uint16_t)(e->at + e->ahead), __ATOMIC_RELEASE);
}

/* ---- waiting ------------------------------------------------------------------------------------- */

/** vnc_memif_ready() - is there something to read? */
static inline bool vnc_memif_ready(struct vnc_memif *m)
{
	bool ready;

	if (!vnc_gate_enter(&m->in.gate))
		return false;
	ready = vnc_memif_slots(&m->in) != 0;
	vnc_gate_leave(&m->in.gate);
	return ready;
}

/** vnc_memif_mask() - from now on the peer notifies this side of frames, or does not where @masked. */
static inline void vnc_memif_mask(struct vnc_memif *m, bool masked)
{
	if (!vnc_gate_enter(&m->in.gate))
		return;
	__atomic_store_n(&m->in.ring->flags, masked ? VNC_MEMIF_MASK_INT : 0, __ATOMIC_RELAXED);
	vnc_full_fence(VNC_COHERENT); /* as (F): the ring is read again after it */
	vnc_gate_leave(&m->in.gate);
}

#endif
