/* SPDX-License-Identifier: MIT */
/* DPDK's rte_ring, single producer and consumer, as ring.c uses it: pointers to buffers, in bursts of BATCH. */
#include <rte_ring.h>
#include <stdbool.h>
#include <string.h>

/* The ring's capacity, plus the buffers that both ends may hold. */
struct transport {
	struct rte_ring *ring;
	uint8_t *buffers;
	uint32_t stride, count;
	_Alignas(128) uint32_t next, filled;
	void *outgoing[BATCH];
	_Alignas(128) uint32_t have, taken;
	void *incoming[BATCH];
};

static uint32_t slots(uint32_t ring, uint32_t size)
{
	uint32_t slots = 2;

	while (slots * 2ull * ((size + 63) & ~63u) <= ring)
		slots *= 2;
	return slots;
}

static size_t transport_bytes(uint32_t ring, uint32_t size)
{
	uint32_t n = slots(ring, size);

	return sizeof(struct transport) + 64 + (size_t)rte_ring_get_memsize(n) + 64 +
	       (size_t)(n + 3 * BATCH) * ((size + 63) & ~63u);
}

static void transport_init(struct transport *t, uint32_t ring, uint32_t size)
{
	uint32_t n = slots(ring, size);

	t->ring = (struct rte_ring *)(((uintptr_t)(t + 1) + 63) & ~(uintptr_t)63);
	if (rte_ring_init(t->ring, "bench", n, RING_F_SP_ENQ | RING_F_SC_DEQ))
		abort();
	t->buffers = (uint8_t *)(((uintptr_t)t->ring + (uintptr_t)rte_ring_get_memsize(n) + 63) & ~(uintptr_t)63);
	t->stride = (size + 63) & ~63u;
	t->count = n + 3 * BATCH;
}

static bool transport_put(struct transport *t, const uint8_t *from, uint32_t size)
{
	uint8_t *buffer = t->buffers + (size_t)t->next * t->stride;

	if (t->filled == BATCH)
		return false;
	memcpy(buffer, from, size);
	t->outgoing[t->filled++] = buffer;
	t->next = t->next + 1 == t->count ? 0 : t->next + 1;
	return true;
}

static void transport_flush(struct transport *t)
{
	uint32_t done = rte_ring_sp_enqueue_burst(t->ring, t->outgoing, t->filled, NULL);

	memmove(t->outgoing, t->outgoing + done, (t->filled - done) * sizeof(void *));
	t->filled -= done;
}

static bool transport_get(struct transport *t, uint8_t *to, uint32_t size)
{
	if (t->taken == t->have) {
		t->taken = 0;
		t->have = rte_ring_sc_dequeue_burst(t->ring, t->incoming, BATCH, NULL);
		if (!t->have)
			return false;
	}
	memcpy(to, t->incoming[t->taken++], size);
	return true;
}

static void transport_freed(struct transport *t)
{
	(void)t; /* a dequeued buffer comes round again only after the whole ring */
}
