/* SPDX-License-Identifier: MIT */
/* The ring of vnetcard as ring.c uses it: at most BATCH records between two publications. */
#include "vnc_ring.h"
#include <stdbool.h>

struct transport {
	struct vnc_queue_lines {
		_Alignas(64) struct vnc_prod_line prod;
		_Alignas(64) struct vnc_cons_line cons;
	} lines;
	_Alignas(128) struct vnc_producer producer; /* each on a core of its own */
	_Alignas(128) struct vnc_consumer consumer;
};

static size_t transport_bytes(uint32_t ring, uint32_t size)
{
	(void)size;
	return ((sizeof(struct transport) + 4095) & ~4095ul) + ring;
}

static void transport_init(struct transport *t, uint32_t ring, uint32_t size)
{
	uint8_t *memory = (uint8_t *)t + ((sizeof(*t) + 4095) & ~4095ul);

	(void)size;
	t->producer = (struct vnc_producer){
		.ring = memory, .size = ring, .frame_max = 65536, .own = &t->lines.prod, .peer = &t->lines.cons};
	t->consumer = (struct vnc_consumer){
		.ring = memory, .size = ring, .frame_max = 65536, .own = &t->lines.cons, .peer = &t->lines.prod};
	vnc_producer_reset(&t->producer, 0);
	vnc_consumer_reset(&t->consumer, 0);
}

static bool transport_put(struct transport *t, const uint8_t *from, uint32_t size)
{
	struct vnc_span span[2];

	if (vnc_ring_reserve(&t->producer, size, span) != VNC_OK)
		return false;
	vnc_ring_write(&t->producer, span, from, size);
	vnc_ring_commit(&t->producer, size, 0, 0);
	return true;
}

static void transport_flush(struct transport *t)
{
	vnc_producer_publish(&t->producer);
}

static bool transport_get(struct transport *t, uint8_t *to, uint32_t size)
{
	struct vnc_view view;

	if (vnc_ring_peek(&t->consumer, &view) != VNC_OK &&
	    (vnc_consumer_refresh(&t->consumer) != VNC_OK || vnc_ring_peek(&t->consumer, &view) != VNC_OK))
		return false;
	if (view.len != size)
		return false; /* does not happen; alarm() would end the program */
	vnc_ring_read(&t->consumer, &view, to);
	vnc_ring_release(&t->consumer, size);
	return true;
}

static void transport_freed(struct transport *t)
{
	vnc_consumer_publish(&t->consumer);
}
