/* SPDX-License-Identifier: MIT */
/* Fuzz harness: the consuming end of vnc_ring.h against a producer that writes anything anywhere. */
#include "fuzz.h"

#define SENT_MAX 512u

struct lines {
	struct vnc_prod_line peer;
	struct vnc_cons_line own;
};

static struct lines *lines;
static struct vnc_consumer c;
static struct vnc_view view;
static bool peeked;

/* The honest producer: what it has sent, oldest first. */
static struct {
	uint32_t prod, seq, len[SENT_MAX];
	uint32_t first, count; /* of those not released */
} sent;

static uint8_t fill_of(uint32_t seq, uint32_t at)
{
	return (uint8_t)(seq * 31 + at);
}

void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	uint32_t start = c.cons & (c.size - 1);

	switch (where % 8) {
	case 0:
		*good = c.cons;
		return &lines->peer.prod;
	case 1:
		return &lines->peer.need_wakeup;
	case 2:
		*good = lines->own.cons;
		return &lines->own.cons;
	case 3: /* anything in the ring */
		*bits = 64;
		return c.ring + (where / 8 * 8) * (c.size / 256);
	case 4:
		*good = *fuzz_raw32(c.ring + start);
		return c.ring + start;
	case 5: /* flags, hdr_len */
		*good = *fuzz_raw32(c.ring + start + 4);
		return c.ring + start + 4;
	case 6: /* seq, crc32c */
		*bits = 64;
		*good = *fuzz_raw64(c.ring + start + 8);
		return c.ring + start + 8;
	default:
		*bits = 64;
		*good = *fuzz_raw64(c.ring + start);
		return c.ring + start;
	}
}

static void check_indices(void)
{
	CHECK(c.cons % VNC_LINE == 0 && c.prod % VNC_LINE == 0 && c.prod - c.cons <= c.size);
	CHECK(c.cons - c.published <= c.size);
	if (!fuzz_ours_poked)
		CHECK(lines->own.cons == c.published);
}

/* ---- the honest producer ----------------------------------------------------------------------- */

static void push(void)
{
	uint8_t kind = fuzz_byte();
	uint32_t head = kind & 1 ? VNC_VNET_HDR : 0, len = 1 + head + fuzz_u16() % c.frame_max, n;
	uint8_t *place = c.ring + (sent.prod & (c.size - 1));

	len = len < c.frame_max ? len : c.frame_max;
	if (len <= head || sent.count == SENT_MAX ||
	    vnc_record_bytes(len) > c.size - (sent.prod - *fuzz_raw32(&lines->own.cons)))
		return;
	*fuzz_raw64(place) = len | (uint64_t)(kind & 1) << 32 | (uint64_t)head << 48;
	*fuzz_raw64(place + 8) = sent.seq;
	for (n = 0; n < len; n++)
		c.ring[(sent.prod + VNC_RECORD_HEADER + n) & (c.size - 1)] = fill_of(sent.seq, n);
	sent.len[(sent.first + sent.count++) % SENT_MAX] = len;
	sent.prod += vnc_record_bytes(len);
	sent.seq++;
	if (kind & 2)
		return; /* published with the next one */
	*fuzz_raw32(&lines->peer.prod) = sent.prod;
}

/* ---- operations -------------------------------------------------------------------------------- */

static void reset(uint32_t index)
{
	vnc_consumer_reset(&c, index);
	lines->peer = (struct vnc_prod_line){.prod = index};
	memset(&sent, 0, sizeof(sent));
	sent.prod = index;
	peeked = false;
	fuzz_ours_poked = false;
	fuzz_forget_pokes();
}

/* What vnc_consumer_refresh() must say of @prod. */
static enum vnc_ring_result judged_index(uint32_t prod)
{
	uint64_t ahead = (uint32_t)(prod - c.cons), known = (uint32_t)(c.prod - c.cons);

	if (prod % 64 || ahead > c.size || ahead < known)
		return VNC_BAD_INDEX;
	return ahead ? VNC_OK : VNC_EMPTY;
}

static void refresh(void)
{
	struct vnc_consumer before = c;
	enum vnc_ring_result got, judged = judged_index(lines->peer.prod);
	uint32_t pokes = fuzz_pokes;

	fuzz_watch(&lines->peer.prod, NULL);
	got = vnc_consumer_refresh(&c);
	CHECK(fuzz_watched == 1);
	CHECK(got == VNC_OK || got == VNC_EMPTY || got == VNC_BAD_INDEX);
	CHECK(got == judged || pokes != fuzz_pokes);
	if (got == VNC_BAD_INDEX)
		CHECK(!memcmp(&before, &c, sizeof(c)));
	else
		CHECK(c.prod - c.cons >= before.prod - before.cons && (c.prod == c.cons) == (got == VNC_EMPTY));
	if (fuzz_clean)
		CHECK(got != VNC_BAD_INDEX && c.prod == lines->peer.prod);
}

static void check_view(void)
{
	const struct vnc_span *span = view.span;
	uint32_t start = (c.cons + VNC_RECORD_HEADER) & (c.size - 1);

	CHECK(view.len && view.len <= c.frame_max && vnc_record_bytes(view.len) <= c.prod - c.cons);
	CHECK(view.hdr_len < view.len && view.hdr_len == (view.flags ? VNC_VNET_HDR : 0));
	CHECK(!(view.flags & ~VNC_REC_VNET));
	CHECK(span[0].len + span[1].len == view.len && span[0].base == c.ring + start);
	CHECK(fuzz_inside(span[0].base, span[0].len, c.ring, c.size));
	CHECK(fuzz_inside(span[1].base, span[1].len, c.ring, start));
	if (fuzz_clean)
		CHECK(sent.count && view.len == sent.len[sent.first % SENT_MAX]);
}

/* What vnc_ring_peek() must say of the header at @head. */
static enum vnc_ring_result judged_record(const uint8_t *head)
{
	uint64_t len = *fuzz_raw32(head), bytes = (len + 16 + 63) / 64 * 64;
	uint32_t flags = *fuzz_raw32(head + 4) & 0xffff, hdr_len = *fuzz_raw32(head + 4) >> 16;

	if (c.cons == c.prod)
		return VNC_EMPTY;
	if (!len || len > c.frame_max || bytes > c.prod - c.cons)
		return VNC_BAD_LEN;
	if (flags > 1 || hdr_len != (flags ? 10 : 0) || hdr_len >= len || *fuzz_raw32(head + 12))
		return VNC_BAD_HEADER;
	return *fuzz_raw32(head + 8) == c.seq ? VNC_OK : VNC_BAD_SEQ;
}

static enum vnc_ring_result peek(void)
{
	struct vnc_consumer before = c;
	uint8_t *head = c.ring + (c.cons & (c.size - 1));
	enum vnc_ring_result got, judged = judged_record(head);
	uint32_t pokes = fuzz_pokes;

	fuzz_watch(head, head + 8);
	got = vnc_ring_peek(&c, &view);
	CHECK(fuzz_watched == (c.cons == c.prod ? 0u : 2u));
	CHECK(!memcmp(&before, &c, sizeof(c)));
	CHECK(got != VNC_FULL && got != VNC_BAD_INDEX && (got == VNC_EMPTY) == (c.cons == c.prod));
	CHECK(got == judged || pokes != fuzz_pokes);
	peeked = got == VNC_OK;
	if (peeked)
		check_view();
	else if (fuzz_clean)
		CHECK(got == VNC_EMPTY);
	return got;
}

static void read_payload(void)
{
	uint8_t *to;
	uint32_t n;

	if (!peeked)
		return;
	to = malloc(view.len); /* exactly: a sanitizer sees one byte more */
	CHECK(to);
	vnc_ring_read(&c, &view, to);
	for (n = 0; fuzz_clean && n < view.len; n++)
		CHECK(to[n] == fill_of(c.seq, n));
	free(to);
}

static void release(void)
{
	if (!peeked)
		return;
	vnc_ring_release(&c, view.len);
	peeked = false;
	if (sent.count) {
		sent.first++;
		sent.count--;
	}
}

static void publish(void)
{
	bool due = c.published != c.cons;

	CHECK(vnc_consumer_publish(&c) == due && c.published == c.cons);
}

/* As vnc_rx_move() does. */
static void drain(void)
{
	for (;;) {
		if (c.cons == c.prod)
			refresh();
		if (peek() != VNC_OK)
			break;
		read_payload();
		release();
		publish();
	}
	if (fuzz_clean)
		CHECK(lines->peer.prod == c.cons);
}

static void operation(void)
{
	switch (fuzz_byte() % 10) {
	case 0:
	case 1:
		push();
		break;
	case 2:
		fuzz_poke_op();
		break;
	case 3:
		refresh();
		break;
	case 4:
		peek();
		break;
	case 5:
		read_payload();
		break;
	case 6:
		release();
		break;
	case 7:
		publish();
		if (!vnc_producer_sleeps(&c) && fuzz_clean)
			CHECK(!lines->peer.need_wakeup);
		break;
	case 8:
		reset(fuzz_index());
		break;
	default:
		drain();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(data, size);
	lines = (struct lines *)(void *)fuzz_lines();
	c = (struct vnc_consumer){.ring = fuzz_ring(), .own = &lines->own, .peer = &lines->peer};
	c.size = VNC_RING_MIN << fuzz_byte() % 3;
	c.domain = fuzz_byte() % 3;
	c.frame_max = 1 + fuzz_u16() % (c.size - VNC_RECORD_HEADER);
	fuzz_area(&lines->peer, sizeof(lines->peer), PEERS);
	fuzz_area(&lines->own, sizeof(lines->own), OURS);
	fuzz_area(c.ring, c.size, PEERS);
	reset(fuzz_index());
	while (fuzz_more()) {
		operation();
		check_indices();
	}
	return 0;
}
