/* SPDX-License-Identifier: MIT */
/* Writing events into taps; see vnc_tap.h.  Not on the fast path: without a tap nothing here is called. */
#include "vnc_tap.h"

/* Copy @len bytes of the packet of @entry to @index of the ring, which may wrap. */
static void put_bytes(struct vnc_tap *t, uint32_t index, const struct vnc_tap_entry *entry, uint32_t len)
{
	const struct vnc_span *span = entry->span;
	uint32_t skip = entry->skip, n;
	struct vnc_span to[2];

	vnc_split(t->ring, t->size, index, len, to);
	for (n = 0; n < len;) {
		const uint8_t *from = skip < span[0].len ? span[0].base + skip : span[1].base + (skip - span[0].len);
		uint32_t here = skip < span[0].len ? span[0].len - skip : len - n;
		struct vnc_span *place = n < to[0].len ? &to[0] : &to[1];
		uint32_t at = n < to[0].len ? n : n - to[0].len;

		here = here < len - n ? here : len - n;
		here = here < place->len - at ? here : place->len - at;
		memcpy(place->base + at, from, here);
		n += here;
		skip += here;
	}
}

static void put(struct vnc_tap *t, const struct vnc_tap_entry *entry)
{
	uint32_t all = entry->span ? entry->span[0].len + entry->span[1].len : 0;
	uint32_t kept = 0, size, used;
	struct vnc_tap_event *event;

	if (all > entry->skip && (t->bytes_of >> entry->stage & 1)) {
		kept = entry->len < t->snap ? entry->len : t->snap;
		kept = kept < all - entry->skip ? kept : all - entry->skip; /* a packet that was too big is cut */
	}
	size = (uint32_t)sizeof(*event) + ((kept + VNC_LINE - 1) & ~(VNC_LINE - 1));
	used = t->prod - vnc_load32(VNC_COHERENT, &t->reader->cons); /* after its reads of what it frees */
	if (used > t->size || t->size - used < size) {
		__atomic_store_n(&t->own->missed, ++t->missed, __ATOMIC_RELAXED);
		return;
	}
	event = (struct vnc_tap_event *)(void *)(t->ring + (t->prod & (t->size - 1)));
	memset(event, 0, sizeof(*event));
	event->size = size;
	event->stage = entry->stage;
	event->drop = entry->drop;
	event->flags = entry->flags;
	event->time = entry->time;
	event->generation = entry->generation;
	event->seq = entry->seq;
	event->len = entry->len;
	event->index = entry->index;
	event->kept = kept;
	event->before = entry->before;
	event->value = entry->value;
	event->queue = t->queue;
	if (entry->vnet) {
		event->flags |= VNC_TAP_VNET;
		memcpy(event->vnet, entry->vnet, sizeof(event->vnet));
	}
	if (kept)
		put_bytes(t, t->prod + (uint32_t)sizeof(*event), entry, kept);
	t->prod += size;
	__atomic_store_n(&t->own->noted, ++t->written, __ATOMIC_RELAXED);
	vnc_store32(VNC_COHERENT, &t->own->prod, t->prod);
}

/* Microseconds from @since to @until, at most what a u32 holds. */
static uint32_t us(uint64_t since, uint64_t until)
{
	uint64_t gone = until > since ? (until - since) / 1000 : 0;

	return gone < UINT32_MAX ? (uint32_t)gone : UINT32_MAX;
}

/**
 * vnc_tap_choose() - which stages of record @seq any tap wants, and how the pump waited before it.
 * Return: the time, or 0 when no tap wants it.
 */
uint64_t vnc_tap_choose(struct vnc_taps *t, uint32_t seq)
{
	uint64_t now = 0;
	uint32_t n;

	if (seq != t->seq)
		t->waited_us = 0;
	t->seq = seq;
	if (!t->batch)
		t->first = seq;
	t->record = 0;
	for (n = 0; n < t->count; n++)
		if (seq % t->tap[n]->sample == 0)
			t->record |= t->tap[n]->stages;
	t->batch |= t->record;
	if (t->record || t->full_since)
		now = vnc_tap_now();
	if (t->full_since)
		t->waited_us = us(t->full_since, now);
	t->woken = t->awake_since;
	t->slept_us = t->woken ? us(t->slept_since, t->woken) : 0;
	t->full_since = t->awake_since = 0;
	return now;
}

/* Is the record of @entry, or one of its records, in the sample of @t? */
static bool sampled(const struct vnc_tap *t, const struct vnc_tap_entry *entry)
{
	uint32_t past = entry->seq % t->sample; /* records since the last one that is */

	if (past == 0 || entry->drop)
		return true;
	if (entry->stage != VNC_TAP_PUBLISH && entry->stage != VNC_TAP_RELEASE)
		return false;
	return t->sample - past < entry->len;
}

/** vnc_tap_write() - write @entry into every tap that wants it. */
void vnc_tap_write(struct vnc_taps *t, const struct vnc_tap_entry *entry)
{
	uint32_t n;

	for (n = 0; n < t->count; n++)
		if ((t->tap[n]->stages >> entry->stage & 1) && sampled(t->tap[n], entry))
			put(t->tap[n], entry);
}
