/* SPDX-License-Identifier: MIT */
/**
 * DOC: a port whose frames are in the split virtqueues of a virtio network device: the device's side of vhost-user.
 *
 * The driver (a guest, or DPDK's virtio_user) makes both queues in its memory; each has three parts:
 *
 *   descriptors   the driver writes: address, length and direction of a buffer, which buffer follows
 *   avail         the driver writes: the heads of the chains that the device may use, and how many there have been
 *   used          the device writes: the chains that it is done with, and how many there have been
 *
 * Behind the ring of avail the driver says after which chain it wants an interrupt, and behind that of used the device
 * after which it wants a kick, where both have event_idx; else the flags of these rings say whether.
 *
 * Chains are used in the order in which they were made available, so that one count, @at, serves for both: the chains
 * before it are used.  What the driver sends is in the transmit queue (@in), the chains of the receive queue (@out) are
 * room for what it gets.  A frame is preceded by a struct virtio_net_hdr, of which the pumps get the first 10 bytes as
 * they do from a TUN; the last two are the number of chains of a frame.
 *
 * Sources: VIRTIO 1.2, 2.7 (split virtqueues) and 5.1 (network device); the vhost-user protocol as QEMU documents it.
 */
#ifndef VNC_VHOST_H
#define VNC_VHOST_H
#include "vnc_rings.h"

#define VNC_VHOST_NEXT 1u     /* the chain goes on with descriptor @next */
#define VNC_VHOST_WRITE 2u    /* the device writes the buffer, else it reads it */
#define VNC_VHOST_INDIRECT 4u /* the buffer is a table of descriptors: the rest of the chain */
#define VNC_VHOST_NO_INTERRUPT 1u /* of avail: the driver polls */
#define VNC_VHOST_NO_NOTIFY 1u    /* of used: the device polls */
#define VNC_VHOST_SIZE_MAX 32768u /* chains of a queue */
#define VNC_VHOST_HEADER 10u      /* bytes of a struct virtio_net_hdr that a pump gets */
#define VNC_VHOST_HEADER_MAX 12u  /* with the number of chains */

struct vnc_vhost_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
_Static_assert(sizeof(struct vnc_vhost_desc) == 16, "virtq_desc");

struct vnc_vhost_avail {
	uint16_t flags, idx, ring[];
};
_Static_assert(sizeof(struct vnc_vhost_avail) == 4, "virtq_avail");

struct vnc_vhost_used_elem {
	uint32_t id, len;
};

struct vnc_vhost_used {
	uint16_t flags, idx;
	struct vnc_vhost_used_elem ring[];
};
_Static_assert(sizeof(struct vnc_vhost_used) == 4, "virtq_used");

/** struct vnc_vhost_end - one queue. */
struct vnc_vhost_end {
	struct vnc_gate gate; /* of what follows; after a detach @at stays */
	const struct vnc_vhost_desc *desc;
	const struct vnc_vhost_avail *avail;
	struct vnc_vhost_used *used;
	uint32_t size; /* a power of two */
	uint16_t at;
	uint16_t notified; /* @at when the driver's wish for an interrupt was last read */
	uint16_t head;    /* receiving: of the chain that was read last */
	uint16_t pending; /* receiving: 1 while that chain is not given back */
};

/** struct vnc_vhost - both queues, between the pumps and the thread that connects. */
struct vnc_vhost {
	struct vnc_rings rings;
	struct vnc_vhost_end in, out;
	uint64_t guest[VNC_RINGS_REGIONS]; /* of the regions: where the driver's addresses have them */
	uint32_t header; /* bytes of the header: 10, or 12 with the number of chains */
	bool mergeable;  /* a frame may take several chains */
	bool indirect;   /* a chain may be in a table of its own */
	bool event_idx;  /* each side says after which chain it wants to be notified, instead of whether it does */
	uint32_t paused; /* 1 while the rings are detached for a moment: frames wait, instead of being dropped */
};

/** struct vnc_vhost_walk - where in a chain of descriptors a reader is. */
struct vnc_vhost_walk {
	const struct vnc_vhost_desc *table;
	uint32_t entries; /* of @table */
	uint32_t at;
	uint32_t left; /* descriptors that the chain may still have */
	bool write, indirect, more;
};

/** struct vnc_vhost_span - what a descriptor said when it was read. */
struct vnc_vhost_span {
	const struct vnc_rings_region *region;
	uint8_t *base;
	uint32_t len;
};

/* Return: how many chains may be used from @at on; -1 where the driver's index is impossible. */
static inline int32_t vnc_vhost_chains(const struct vnc_vhost_end *e)
{
	uint16_t chains = (uint16_t)(__atomic_load_n(&e->avail->idx, __ATOMIC_ACQUIRE) - e->at);

	return chains > e->size ? -1 : chains;
}

/* Where @len bytes at the driver's address @addr are. Return: VNC_RINGS_SOUND, or what is wrong with it. */
static inline enum vnc_rings_fault vnc_vhost_find(const struct vnc_vhost *v, uint64_t addr, uint32_t len,
						  struct vnc_vhost_span *span)
{
	const struct vnc_rings_region *region;
	uint64_t offset;
	uint32_t n;

	for (n = 0; n < v->rings.regions; n++) {
		region = &v->rings.region[n];
		offset = addr - v->guest[n];
		if (addr < v->guest[n] || offset >= region->size)
			continue;
		if (len > region->size - offset)
			return VNC_RINGS_BAD_SPAN;
		*span = (struct vnc_vhost_span){region, region->base + offset, len};
		return VNC_RINGS_SOUND;
	}
	return VNC_RINGS_BAD_REGION;
}

/* Begin with the chain at slot @at of the ring. Return: its head; -1: it has no such descriptor. */
static inline int32_t vnc_vhost_begin(const struct vnc_vhost_end *e, uint32_t at, bool write,
				      struct vnc_vhost_walk *w)
{
	uint16_t head = __atomic_load_n(&e->avail->ring[at & (e->size - 1)], __ATOMIC_RELAXED);

	*w = (struct vnc_vhost_walk){.table = e->desc, .entries = e->size, .at = head, .left = e->size,
				     .write = write, .more = true};
	return head < e->size ? head : -1;
}

/* Continue in the table at @addr, of @len bytes. */
static inline enum vnc_rings_fault vnc_vhost_enter_table(const struct vnc_vhost *v, struct vnc_vhost_walk *w,
							 uint64_t addr, uint32_t len)
{
	struct vnc_vhost_span span;
	enum vnc_rings_fault fault = vnc_vhost_find(v, addr, len, &span);

	if (fault)
		return fault;
	if (!v->indirect || !len || len % sizeof(*w->table) || (uintptr_t)span.base % sizeof(uint64_t))
		return VNC_RINGS_BAD_CHAIN;
	w->table = (const struct vnc_vhost_desc *)(const void *)span.base;
	w->entries = len / (uint32_t)sizeof(*w->table);
	w->at = 0;
	w->indirect = true;
	return VNC_RINGS_SOUND;
}

/* Read the next descriptor of a chain that has @more. Return: VNC_RINGS_SOUND, or what is wrong with it. */
static inline enum vnc_rings_fault vnc_vhost_next(const struct vnc_vhost *v, struct vnc_vhost_walk *w,
						  struct vnc_vhost_span *span)
{
	const struct vnc_vhost_desc *d;
	enum vnc_rings_fault fault;
	uint64_t addr;
	uint32_t len;
	uint16_t flags;

	for (;;) {
		if (w->at >= w->entries || !w->left)
			return VNC_RINGS_BAD_CHAIN;
		w->left--;
		d = &w->table[w->at];
		addr = __atomic_load_n(&d->addr, __ATOMIC_RELAXED);
		len = __atomic_load_n(&d->len, __ATOMIC_RELAXED);
		flags = __atomic_load_n(&d->flags, __ATOMIC_RELAXED);
		if (!(flags & VNC_VHOST_INDIRECT))
			break;
		fault = w->indirect || (flags & VNC_VHOST_NEXT) ? VNC_RINGS_BAD_CHAIN :
								  vnc_vhost_enter_table(v, w, addr, len);
		if (fault)
			return fault;
		w->left++; /* the one that names the table has no buffer */
	}
	w->more = flags & VNC_VHOST_NEXT;
	w->at = w->more ? __atomic_load_n(&d->next, __ATOMIC_RELAXED) : w->at;
	if (!(flags & VNC_VHOST_WRITE) == w->write)
		return VNC_RINGS_BAD_CHAIN;
	return vnc_vhost_find(v, addr, len, span);
}

/* Write that the chain of @head, with @len bytes in it, is used, @ahead chains after @at. */
static inline void vnc_vhost_use(struct vnc_vhost_end *e, uint32_t ahead, uint16_t head, uint32_t len)
{
	struct vnc_vhost_used_elem *used = &e->used->ring[(e->at + ahead) & (e->size - 1)];

	__atomic_store_n(&used->id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&used->len, len, __ATOMIC_RELAXED);
}

/* Let the driver see that @chains more are used. */
static inline void vnc_vhost_publish(struct vnc_vhost_end *e, uint32_t chains)
{
	e->at = (uint16_t)(e->at + chains);
	__atomic_store_n(&e->used->idx, e->at, __ATOMIC_RELEASE);
	e->gate.unnotified++;
}

/* ---- waiting ------------------------------------------------------------------------------------- */

/** vnc_vhost_ready() - is there something to read? */
static inline bool vnc_vhost_ready(struct vnc_vhost *v)
{
	bool ready;

	if (!vnc_gate_enter(&v->in.gate))
		return false;
	ready = vnc_vhost_chains(&v->in) != 0;
	vnc_gate_leave(&v->in.gate);
	return ready;
}

/* Where the device says which chain's index is the first after which it wants a kick. */
static inline uint16_t *vnc_vhost_kick_after(struct vnc_vhost_end *e)
{
	return (uint16_t *)(void *)&e->used->ring[e->size];
}

/** vnc_vhost_mask() - from now on the driver notifies this side of frames, or does not where @masked. */
static inline void vnc_vhost_mask(struct vnc_vhost *v, bool masked)
{
	if (!vnc_gate_enter(&v->in.gate))
		return;
	if (!v->event_idx)
		__atomic_store_n(&v->in.used->flags, masked ? VNC_VHOST_NO_NOTIFY : 0, __ATOMIC_RELAXED);
	else if (!masked) /* and no kick after that one */
		__atomic_store_n(vnc_vhost_kick_after(&v->in), v->in.at, __ATOMIC_RELAXED);
	vnc_full_fence(VNC_COHERENT); /* as (F): the ring is read again after it */
	vnc_gate_leave(&v->in.gate);
}

/* Does the driver want an interrupt for the chains that were used since the last call? */
static inline bool vnc_vhost_wanted(const struct vnc_vhost *v, struct vnc_vhost_end *e)
{
	uint16_t used = (uint16_t)(e->at - e->notified), after;

	if (!v->event_idx)
		return !(__atomic_load_n(&e->avail->flags, __ATOMIC_RELAXED) & VNC_VHOST_NO_INTERRUPT);
	after = __atomic_load_n(&e->avail->ring[e->size], __ATOMIC_RELAXED);
	e->notified = e->at;
	return (uint16_t)(e->at - after - 1) < used; /* the chain of that index is one of them */
}

/** vnc_vhost_notify() - interrupt a driver that wants it, if chains of @e were used since the last call. */
static inline void vnc_vhost_notify(const struct vnc_vhost *v, struct vnc_vhost_end *e)
{
	if (!vnc_gate_enter(&e->gate))
		return;
	if (e->gate.unnotified) {
		vnc_full_fence(VNC_COHERENT); /* as (E): between the index and the driver's wish */
		if (vnc_vhost_wanted(v, e))
			vnc_gate_signal(&e->gate);
	}
	e->gate.unnotified = 0;
	vnc_gate_leave(&e->gate);
}

#endif
