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
 * The peer may write anything at any time: each of its words is read once, checked, and only the copy is used.  What is
 * impossible ends the connection (vnc_memif_fail()).  The thread that connects (vnetcard/port/memif.py) attaches the
 * memory and takes it away again; an end's lock keeps a pump from using it meanwhile.
 *
 * Sources: the documents of VPP and DPDK (memif poll mode driver), and the declarations of memif.h.
 */
#ifndef VNC_MEMIF_H
#define VNC_MEMIF_H
#include "vnc_barrier.h"
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <unistd.h>

#define VNC_MEMIF_COOKIE 0x3e31f20u
#define VNC_MEMIF_MASK_INT 1u
#define VNC_MEMIF_NEXT 1u
#define VNC_MEMIF_REGIONS 16u  /* most regions of a connection */
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

/** enum vnc_memif_fault - what a correct peer never does. */
enum vnc_memif_fault {
	VNC_MEMIF_SOUND = 0,
	VNC_MEMIF_BAD_INDEX,  /* its index is ahead of what the ring has */
	VNC_MEMIF_BAD_REGION, /* a descriptor names a region that there is not */
	VNC_MEMIF_BAD_SPAN,   /* a descriptor's buffer is not in its region, or longer than what it was given */
	VNC_MEMIF_BAD_CHAIN,  /* a frame's last slot is not filled */
	VNC_MEMIF_LOST,       /* a part of its memory is missing */
};

struct vnc_memif_region {
	uint8_t *base;
	uint64_t size;
	const uint32_t *lost; /* 1 once a part of it was found missing (vnc_sigbus.h); NULL: not known */
};

/** struct vnc_memif_end - this side's end of one ring. */
struct vnc_memif_end {
	uint32_t locked;         /* 1 while a thread uses what follows */
	bool attached;           /* else nothing else of it is valid */
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
	uint32_t unnotified;     /* sending: frames since the peer was last notified */
	uint32_t writes;         /* to @fd, begun and ended: odd during one, which blocks where the peer wants it to */
	int fd;                  /* sending: the eventfd that wakes the peer */
};

/** struct vnc_memif - both ends, between the pumps and the thread that connects. */
struct vnc_memif {
	struct vnc_memif_end in, out;
	struct vnc_memif_region region[VNC_MEMIF_REGIONS];
	uint32_t regions;
	uint32_t fault;   /* enum vnc_memif_fault, of this connection */
	int attention_fd; /* eventfd, written with each fault */
};

/** struct vnc_memif_slot - what a descriptor said when it was read. */
struct vnc_memif_slot {
	struct vnc_memif_region *region;
	uint8_t *base;
	uint32_t len;
	bool more; /* the frame goes on in the next slot */
};

/* ---- an end -------------------------------------------------------------------------------------- */

static inline void vnc_memif_leave(struct vnc_memif_end *e)
{
	__atomic_store_n(&e->locked, 0, __ATOMIC_RELEASE);
}

/** vnc_memif_enter() - lock @e until vnc_memif_leave(). Return: whether it is attached; else it is not locked. */
static inline bool vnc_memif_enter(struct vnc_memif_end *e)
{
	while (__atomic_exchange_n(&e->locked, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	if (e->attached)
		return true;
	vnc_memif_leave(e);
	return false;
}

/* The peer has done what it must not, or its memory is lost: @e is used no more. Return: -1 with @error in errno. */
static inline int vnc_memif_fail(struct vnc_memif *m, struct vnc_memif_end *e, enum vnc_memif_fault fault, int error)
{
	uint64_t one = 1;

	e->attached = false;
	__atomic_store_n(&m->fault, fault, __ATOMIC_RELEASE);
	if (write(m->attention_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: its counter is full, so its reader's poll() ends anyway */
	}
	errno = error;
	return -1;
}

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

/* Read the descriptor of slot @at. Return: VNC_MEMIF_SOUND, or what is wrong with it. */
static inline enum vnc_memif_fault vnc_memif_load(struct vnc_memif *m, const struct vnc_memif_end *e, uint32_t at,
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
			return VNC_MEMIF_BAD_SPAN;
	} else {
		offset = __atomic_load_n(&d->offset, __ATOMIC_RELAXED);
		number = __atomic_load_n(&d->region, __ATOMIC_RELAXED);
	}
	if (number >= m->regions)
		return VNC_MEMIF_BAD_REGION;
	slot->region = &m->region[number];
	if (slot->len > slot->region->size || offset > slot->region->size - slot->len)
		return VNC_MEMIF_BAD_SPAN;
	slot->base = slot->region->base + offset;
	return VNC_MEMIF_SOUND;
}

static inline bool vnc_memif_lost(const struct vnc_memif_region *region)
{
	return region->lost && __atomic_load_n(region->lost, __ATOMIC_ACQUIRE);
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

	if (!vnc_memif_enter(&m->in))
		return false;
	ready = vnc_memif_slots(&m->in) != 0;
	vnc_memif_leave(&m->in);
	return ready;
}

/** vnc_memif_mask() - from now on the peer notifies this side of frames, or does not where @masked. */
static inline void vnc_memif_mask(struct vnc_memif *m, bool masked)
{
	if (!vnc_memif_enter(&m->in))
		return;
	__atomic_store_n(&m->in.ring->flags, masked ? VNC_MEMIF_MASK_INT : 0, __ATOMIC_RELAXED);
	vnc_full_fence(VNC_COHERENT); /* as (F): the ring is read again after it */
	vnc_memif_leave(&m->in);
}

#endif
