/* SPDX-License-Identifier: MIT */
/* Writing events into the rings of all who look; see vnc_tap.h.  Off the fast path: nobody looks, nobody comes here. */
#include "vnc_tap.h"

/* Copy @len bytes of the packet in @note to @index of the ring, around its end if need be. */
static void put_bytes(struct vnc_tap *t, uint32_t index, const struct vnc_note *note, uint32_t len)
{
	const struct vnc_span *span = note->span;
	uint32_t skip = note->skip, n;
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

static void put(struct vnc_tap *t, const struct vnc_note *note)
{
	uint32_t all = note->span ? note->span[0].len + note->span[1].len : 0;
	uint32_t kept = 0, size, used;
	struct vnc_tap_event *event;

	if (all > note->skip && (t->bytes_of >> note->stage & 1)) {
		kept = note->len < t->snap ? note->len : t->snap;
		kept = kept < all - note->skip ? kept : all - note->skip; /* a packet that was too big is cut */
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
	event->stage = note->stage;
	event->drop = note->drop;
	event->flags = note->flags;
	event->time = note->time;
	event->generation = note->generation;
	event->seq = note->seq;
	event->len = note->len;
	event->index = note->index;
	event->kept = kept;
	event->before = note->before;
	event->value = note->value;
	event->queue = t->queue;
	if (note->vnet) {
		event->flags |= VNC_TAP_VNET;
		memcpy(event->vnet, note->vnet, sizeof(event->vnet));
	}
	if (kept)
		put_bytes(t, t->prod + (uint32_t)sizeof(*event), note, kept);
	t->prod += size;
	__atomic_store_n(&t->own->noted, ++t->noted, __ATOMIC_RELAXED);
	vnc_store32(VNC_COHERENT, &t->own->prod, t->prod);
}

/* Microseconds from @since to @until, at most what a u32 holds. */
static uint32_t us(uint64_t since, uint64_t until)
{
	uint64_t gone = until > since ? (until - since) / 1000 : 0;

	return gone < UINT32_MAX ? (uint32_t)gone : UINT32_MAX;
}

/**
 * vnc_tap_choose() - who wants to know of record @seq, and what the pump did before it.
 * Return: the time, or 0 when nobody wants to know.
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

/* Is @note, or one of the records that it is about, in the sample of @t? */
static bool sampled(const struct vnc_tap *t, const struct vnc_note *note)
{
	uint32_t past = note->seq % t->sample; /* since the last one that is */

	if (past == 0 || note->drop)
		return true;
	if (note->stage != VNC_TAP_PUBLISH && note->stage != VNC_TAP_RELEASE)
		return false;
	return t->sample - past < note->len;
}

/** vnc_tap_note() - tell all who want to know of such an event. */
void vnc_tap_note(struct vnc_taps *t, const struct vnc_note *note)
{
	uint32_t n;

	for (n = 0; n < t->count; n++)
		if ((t->tap[n]->stages >> note->stage & 1) && sampled(t->tap[n], note))
			put(t->tap[n], note);
}
