/* SPDX-License-Identifier: MIT */
/* What the harnesses of vhost-user share: a device, and a driver's queues between two pages that fault. */
#ifndef VHOST_RIG_H
#define VHOST_RIG_H
#define _GNU_SOURCE
#include "harness.h"
#include "vnc_vhost_attach.h"
#include "vnc_vhost_io.h"
#include <sys/eventfd.h>
#include <sys/mman.h>

#define RIG_SIZE 8u
#define RIG_BUFFER 256u
#define RIG_HEADER 12u
#define RIG_PAGE 4096u
#define RIG_TX 0u      /* offsets in the region: the queue of what the driver sends */
#define RIG_RX 512u    /* and receives */
#define RIG_TABLES 1024u
#define RIG_BUFFERS 4096u
#define RIG_BYTES (RIG_BUFFERS + 2 * RIG_SIZE * RIG_BUFFER)
#define RIG_PAGES (RIG_BYTES / RIG_PAGE)
#define RIG_GUEST 0x100000000ull /* where the driver has the region */
#define RIG_USER 0x7f0000000000ull

_Static_assert(RIG_BYTES % RIG_PAGE == 0, "the region ends with a page");

struct rig_queue {
	struct vnc_vhost_desc *desc;
	struct vnc_vhost_avail *avail;
	struct vnc_vhost_used *used;
	uint64_t buffers; /* offset in the region */
	uint16_t offered, taken;
};

struct vhost_rig {
	uint8_t *region;
	struct vnc_vhost device;
	struct rig_queue tx, rx; /* of the driver */
	int kick, call, attention; /* eventfds */
};

static inline void rig_queue_at(struct vhost_rig *r, struct rig_queue *q, uint32_t at, uint32_t buffers)
{
	q->desc = (struct vnc_vhost_desc *)(void *)(r->region + at);
	q->avail = (struct vnc_vhost_avail *)(void *)(r->region + at + 128);
	q->used = (struct vnc_vhost_used *)(void *)(r->region + at + 256);
	q->buffers = buffers;
	q->offered = q->taken = 0;
}

static inline void rig_map(struct vhost_rig *r)
{
	uint8_t *base = mmap(NULL, (RIG_PAGES + 2) * RIG_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(base != MAP_FAILED);
	CHECK(!mprotect(base + RIG_PAGE, RIG_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE));
	r->region = base + RIG_PAGE;
	r->kick = eventfd(0, EFD_NONBLOCK);
	r->call = eventfd(0, EFD_NONBLOCK);
	r->attention = eventfd(0, EFD_NONBLOCK);
}

/* Make the chain of @head available. */
static inline void rig_offer(struct rig_queue *q, uint16_t head)
{
	__atomic_store_n(&q->avail->ring[q->offered % RIG_SIZE], head, __ATOMIC_RELAXED);
	__atomic_store_n(&q->avail->idx, ++q->offered, __ATOMIC_RELEASE);
}

static inline void rig_describe(struct vnc_vhost_desc *d, uint64_t offset, uint32_t len, uint16_t flags, uint16_t next)
{
	__atomic_store_n(&d->addr, RIG_GUEST + offset, __ATOMIC_RELAXED);
	__atomic_store_n(&d->len, len, __ATOMIC_RELAXED);
	__atomic_store_n(&d->flags, flags, __ATOMIC_RELAXED);
	__atomic_store_n(&d->next, next, __ATOMIC_RELAXED);
}

/* Queues as after a reset of the driver, with room for what it receives; the device is attached to them. */
static inline void rig_attach(struct vhost_rig *r, bool event_idx)
{
	static const uint64_t user[1] = {RIG_USER};
	struct vnc_vhost *v = &r->device;
	const uint64_t at[2] = {RIG_USER + RIG_TX, RIG_USER + RIG_RX};
	const struct vnc_vhost_queue tx = {RIG_SIZE, at[0], at[0] + 128, at[0] + 256, r->call};
	const struct vnc_vhost_queue rx = {RIG_SIZE, at[1], at[1] + 128, at[1] + 256, r->call};
	uint16_t n;

	memset(r->region, 0, RIG_BUFFERS);
	rig_queue_at(r, &r->tx, RIG_TX, RIG_BUFFERS);
	rig_queue_at(r, &r->rx, RIG_RX, RIG_BUFFERS + RIG_SIZE * RIG_BUFFER);
	for (n = 0; n < RIG_SIZE; n++) {
		rig_describe(&r->rx.desc[n], r->rx.buffers + n * RIG_BUFFER, RIG_BUFFER, VNC_VHOST_WRITE, 0);
		rig_offer(&r->rx, n);
	}
	v->rings.attention_fd = r->attention;
	v->rings.region[0] = (struct vnc_rings_region){r->region, RIG_BYTES, NULL};
	v->rings.regions = 1;
	v->guest[0] = RIG_GUEST;
	v->header = RIG_HEADER;
	v->mergeable = v->indirect = true;
	v->event_idx = event_idx;
	CHECK(vnc_vhost_attach(v, user, &tx, &rx));
}

/* How many chains the device has used that the driver has not taken. */
static inline uint16_t rig_used(const struct rig_queue *q)
{
	return (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) - q->taken);
}

static inline struct vnc_vhost_used_elem rig_take(struct rig_queue *q)
{
	const struct vnc_vhost_used_elem *used = &q->used->ring[q->taken++ % RIG_SIZE];

	return (struct vnc_vhost_used_elem){__atomic_load_n(&used->id, __ATOMIC_RELAXED),
					    __atomic_load_n(&used->len, __ATOMIC_RELAXED)};
}

/* Send @len bytes of @frame, with a header, as the driver.  Return: false while its queue is in use. */
static inline bool rig_send(struct vhost_rig *r, const uint8_t *frame, uint32_t len)
{
	uint8_t *buffers = r->region + r->tx.buffers;
	uint32_t chain = (RIG_HEADER + len + RIG_BUFFER - 1) / RIG_BUFFER, n, left = RIG_HEADER + len, part;

	while (rig_used(&r->tx))
		rig_take(&r->tx);
	if (r->tx.taken != r->tx.offered)
		return false;
	memset(buffers, 0, RIG_HEADER);
	memcpy(buffers + RIG_HEADER, frame, len);
	for (n = 0; n < chain; n++, left -= part) {
		part = left < RIG_BUFFER ? left : RIG_BUFFER;
		rig_describe(&r->tx.desc[n], r->tx.buffers + n * RIG_BUFFER, part, n + 1 < chain ? VNC_VHOST_NEXT : 0,
			     (uint16_t)(n + 1));
	}
	rig_offer(&r->tx, 0);
	return true;
}

/* Receive a frame as the driver into @frame, which holds RIG_SIZE * RIG_BUFFER bytes.  Return: its length, or -1. */
static inline int32_t rig_receive(struct vhost_rig *r, uint8_t *frame)
{
	uint8_t *buffers = r->region + r->rx.buffers;
	struct vnc_vhost_used_elem used;
	uint32_t chains, n, len = 0, skip;

	if (!rig_used(&r->rx))
		return -1;
	for (chains = 1, n = 0; n < chains; n++) {
		used = rig_take(&r->rx);
		CHECK(used.id < RIG_SIZE && used.len <= RIG_BUFFER);
		if (!n)
			chains = buffers[used.id * RIG_BUFFER + 10] | (uint32_t)buffers[used.id * RIG_BUFFER + 11] << 8;
		skip = n ? 0 : RIG_HEADER;
		memcpy(frame + len, buffers + used.id * RIG_BUFFER + skip, used.len - skip);
		len += used.len - skip;
		rig_offer(&r->rx, (uint16_t)used.id);
	}
	return (int32_t)len;
}

#endif
