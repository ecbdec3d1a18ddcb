/* SPDX-License-Identifier: MIT */
/* ring_model SEED STEPS: the ring against a list of what was put into it, in one thread. Prints "ok" at the end. */
#include "harness.h"
#include "vnc_ring.h"
#include <string.h>

#define MOST 1024 /* records: more than any ring here holds */

struct model {
	struct vnc_prod_line prod_line;
	struct vnc_cons_line cons_line;
	struct vnc_producer p;
	struct vnc_consumer c;
	/* the model: records committed and not released, oldest first; how many of them are published */
	struct { uint32_t len, tag; } record[MOST];
	uint32_t first, count, visible;
	uint32_t kept; /* bytes released but not published */
	uint32_t used; /* bytes of the records, and @kept */
	uint32_t tag;
	uint64_t random;
};

static uint8_t byte_of(uint32_t tag, uint32_t at)
{
	return (uint8_t)(tag * 31 + at * 7 + (at >> 8));
}

static void fill(const struct vnc_span span[2], uint32_t len, uint32_t tag, uint8_t *scratch, const struct model *w)
{
	for (uint32_t n = 0; n < len; n++)
		scratch[n] = byte_of(tag, n);
	vnc_ring_write(&w->p, span, scratch, len);
}

static int same(const struct vnc_span a[2], const struct vnc_span b[2])
{
	return a[0].base == b[0].base && a[0].len == b[0].len && a[1].base == b[1].base && a[1].len == b[1].len;
}

static uint32_t some_len(struct model *w)
{
	uint32_t near;

	switch (below(&w->random, 4)) {
	case 0: /* around a multiple of a line */
		near = (1 + below(&w->random, w->p.frame_max / VNC_LINE)) * VNC_LINE - 18 + below(&w->random, 5);
		return near < 1 ? 1 : near > w->p.frame_max ? w->p.frame_max : near;
	case 1:
		return 1 + below(&w->random, w->p.frame_max);
	default:
		return 1 + below(&w->random, 200 < w->p.frame_max ? 200 : w->p.frame_max);
	}
}

static void push(struct model *w)
{
	uint32_t most = some_len(w), len = 1 + below(&w->random, most);
	uint32_t prod = w->prod_line.prod;
	struct vnc_span span[2], again[2];
	uint8_t *scratch;

	len = below(&w->random, 2) ? most : len; /* a pump reserves the maximum and commits less */
	if (w->used + vnc_record_bytes(most) > w->p.size) {
		CHECK(vnc_ring_reserve(&w->p, most, span) == VNC_FULL);
		return;
	}
	CHECK(vnc_ring_reserve(&w->p, most, span) == VNC_OK);
	CHECK(vnc_ring_reserve(&w->p, most, again) == VNC_OK);
	CHECK(same(span, again));
	CHECK(span[0].len + span[1].len == most && span[0].len >= (most < 48 ? most : 48));
	CHECK(span[0].base >= w->p.ring && span[0].base + span[0].len <= w->p.ring + w->p.size);
	CHECK(span[1].len == 0 || (span[1].base == w->p.ring && span[0].base + span[0].len == w->p.ring + w->p.size));
	scratch = malloc(len); /* of exactly this size, so that a sanitizer finds one byte too many */
	fill(span, len, ++w->tag, scratch, w);
	free(scratch);
	vnc_ring_commit(&w->p, len, len > VNC_VNET_HDR && w->tag % 2 ? VNC_REC_VNET : 0,
			len > VNC_VNET_HDR && w->tag % 2 ? VNC_VNET_HDR : 0);
	CHECK(w->prod_line.prod == prod); /* not before publish */
	CHECK(w->count < MOST);
	w->record[(w->first + w->count) % MOST].len = len;
	w->record[(w->first + w->count) % MOST].tag = w->tag;
	w->count++;
	w->used += vnc_record_bytes(len);
}

static void pop(struct model *w)
{
	uint32_t len = w->record[w->first].len, tag = w->record[w->first].tag, cons = w->cons_line.cons;
	struct vnc_view view, again;
	uint8_t *out;

	if (vnc_ring_peek(&w->c, &view) == VNC_EMPTY) {
		CHECK(vnc_consumer_refresh(&w->c) == (w->visible ? VNC_OK : VNC_EMPTY));
		if (!w->visible) {
			CHECK(vnc_ring_peek(&w->c, &view) == VNC_EMPTY);
			return;
		}
	}
	CHECK(vnc_ring_peek(&w->c, &view) == VNC_OK);
	CHECK(vnc_ring_peek(&w->c, &again) == VNC_OK);
	CHECK(same(view.span, again.span) && again.len == len && again.flags == view.flags);
	CHECK(view.len == len && view.span[0].len + view.span[1].len == len);
	CHECK(view.hdr_len == (len > VNC_VNET_HDR && tag % 2 ? VNC_VNET_HDR : 0));
	out = malloc(len);
	vnc_ring_read(&w->c, &view, out);
	for (uint32_t n = 0; n < len; n++)
		CHECK(out[n] == byte_of(tag, n));
	free(out);
	vnc_ring_release(&w->c, view.len);
	CHECK(w->cons_line.cons == cons); /* not before publish */
	w->first = (w->first + 1) % MOST;
	w->count--;
	w->visible--;
	w->kept += vnc_record_bytes(len);
}

static void step(struct model *w)
{
	switch (below(&w->random, 6)) {
	case 0:
	case 1:
		push(w);
		break;
	case 2:
	case 3:
		pop(w);
		break;
	case 4:
		CHECK(vnc_producer_publish(&w->p) == (w->visible != w->count));
		CHECK(!vnc_producer_publish(&w->p));
		w->visible = w->count;
		break;
	default:
		CHECK(vnc_consumer_publish(&w->c) == (w->kept != 0));
		CHECK(!vnc_consumer_publish(&w->c));
		w->used -= w->kept;
		w->kept = 0;
	}
	CHECK(w->p.prod - w->c.cons == w->used - w->kept);
}

static void play(enum vnc_domain domain, uint32_t size, uint32_t start, uint32_t steps, uint64_t seed)
{
	struct model *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);

	memset(w, 0, sizeof(*w));
	w->random = seed;
	w->p = (struct vnc_producer){.ring = aligned_alloc(64, size), .size = size, .domain = domain,
				     .frame_max = size - VNC_RECORD_HEADER, .own = &w->prod_line,
				     .peer = &w->cons_line};
	w->c = (struct vnc_consumer){.ring = w->p.ring, .size = size, .domain = domain,
				     .frame_max = w->p.frame_max, .own = &w->cons_line, .peer = &w->prod_line};
	memset(w->p.ring, 0xa5, size);
	vnc_producer_reset(&w->p, start);
	vnc_consumer_reset(&w->c, start);
	while (steps--)
		step(w);
	CHECK(w->tag > 0);
	free(w->p.ring);
	free(w);
}

/* Every alignment of the ordinary memory, every length; nothing but the rounded-up bytes at @start is written. */
static void copies(enum vnc_domain domain, uint32_t start)
{
	uint32_t room, touched;

	for (uint32_t align = 0; align < 8; align++) {
		for (uint32_t len = 0; len < 200; len++) {
			uint8_t *window = aligned_alloc(64, 256), *plain = malloc(align + len + !len);

			for (uint32_t n = 0; n < len; n++)
				plain[align + n] = byte_of(align, n);
			memset(window, 0xee, 256);
			vnc_copy_to_window(domain, window + start, plain + align, len);
			room = (len + 7) & ~7u;
			touched = domain == VNC_DEVICE ? room : len;
			for (uint32_t n = 0; n < 256; n++)
				if (n < start || n >= start + touched)
					CHECK(window[n] == 0xee);
			memset(plain, 0, align + len);
			vnc_copy_from_window(domain, plain + align, window + start, len);
			for (uint32_t n = 0; n < align + len; n++)
				CHECK(plain[n] == (n < align ? 0 : byte_of(align, n - align)));
			free(window);
			free(plain);
		}
	}
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = {VNC_RING_MIN, 16384};
	uint64_t seed = seeded(argc > 1 ? argv[1] : "1");
	uint32_t steps = argc > 2 ? (uint32_t)atoi(argv[2]) : 100000;

	for (int domain = VNC_COHERENT; domain <= VNC_DEVICE; domain++) {
		copies((enum vnc_domain)domain, 8);
		copies((enum vnc_domain)domain, 16);
		for (unsigned int n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
			play((enum vnc_domain)domain, sizes[n], 0, steps, rnd(&seed));
			play((enum vnc_domain)domain, sizes[n], 0u - sizes[n] * 3 + VNC_LINE, steps, rnd(&seed));
			play((enum vnc_domain)domain, sizes[n], 0u - VNC_LINE, steps, rnd(&seed));
		}
	}
	puts("ok");
	return 0;
}
