/* SPDX-License-Identifier: MIT */
/* Fuzz harness: the producing end of vnc_ring.h against a consumer that writes anything anywhere. */
#include "fuzz.h"

#define SENT_MAX 512u

struct lines {
	struct vnc_prod_line own;
	struct vnc_cons_line peer;
};

static struct lines *lines;
static struct vnc_producer p;
static struct vnc_span span[2];
static uint32_t reserved; /* bytes; 0: nothing */

/* The honest consumer, and the records that it expects. */
static struct {
	uint32_t cons, seq, first, count, len[SENT_MAX];
} due;

static uint8_t fill_of(uint32_t seq, uint32_t at)
{
	return (uint8_t)(seq * 29 + at);
}

void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	switch (where % 4) {
	case 0:
		*good = p.published;
		return &lines->peer.cons;
	case 1:
		*good = p.cons;
		return &lines->peer.cons;
	case 2:
		return where & 4 ? &lines->own.need_wakeup : &lines->peer.need_wakeup;
	default:
		*bits = 64;
		*good = p.published;
		return where & 4 ? (void *)&lines->own.prod : p.ring + where / 8 * 8 * (p.size / 256);
	}
}

static void check_indices(void)
{
	CHECK(p.prod % VNC_LINE == 0 && p.published % VNC_LINE == 0 && p.cons % VNC_LINE == 0);
	CHECK(p.prod - p.cons <= p.size && p.published - p.cons <= p.prod - p.cons);
	CHECK(vnc_producer_room(&p) == p.size - (p.prod - p.cons));
	if (!fuzz_ours_poked)
		CHECK(lines->own.prod == p.published);
}

static void reset(uint32_t index)
{
	vnc_producer_reset(&p, index);
	lines->peer = (struct vnc_cons_line){.cons = index};
	memset(&due, 0, sizeof(due));
	due.cons = index;
	reserved = 0;
	fuzz_ours_poked = false;
	fuzz_forget_pokes();
}

/* ---- the honest consumer ----------------------------------------------------------------------- */

static void consume(void)
{
	uint32_t most = fuzz_byte() % 16, len, n;
	const uint8_t *place;

	for (; most && fuzz_clean && due.cons != lines->own.prod; most--) {
		place = p.ring + (due.cons & (p.size - 1));
		len = due.len[due.first % SENT_MAX];
		CHECK(due.count && *fuzz_raw64(place) == (len | (uint64_t)(len & 1) << 32 |
							   (uint64_t)(len & 1 ? VNC_VNET_HDR : 0) << 48));
		CHECK(*fuzz_raw64(place + 8) == due.seq);
		for (n = 0; n < len; n++)
			CHECK(p.ring[(due.cons + VNC_RECORD_HEADER + n) & (p.size - 1)] == fill_of(due.seq, n));
		due.cons += vnc_record_bytes(len);
		due.seq++;
		due.first++;
		due.count--;
	}
	*fuzz_raw32(&lines->peer.cons) = due.cons;
}

/* ---- operations -------------------------------------------------------------------------------- */

static void check_spans(uint32_t len)
{
	uint32_t start = (p.prod + VNC_RECORD_HEADER) & (p.size - 1);

	CHECK(len && len <= p.frame_max && vnc_record_bytes(len) <= vnc_producer_room(&p));
	CHECK(span[0].len + span[1].len == len && span[0].base == p.ring + start);
	CHECK(fuzz_inside(span[0].base, span[0].len, p.ring, p.size));
	CHECK(fuzz_inside(span[1].base, span[1].len, p.ring, start));
}

static void reserve(void)
{
	uint32_t len = fuzz_byte() ? fuzz_u16() % (p.frame_max + 2) : fuzz_u32();
	struct vnc_producer before = p;
	enum vnc_ring_result got;

	fuzz_watch(&lines->peer.cons, NULL);
	got = vnc_ring_reserve(&p, len, span);
	CHECK(fuzz_watched <= 1);
	CHECK((got == VNC_BAD_LEN) == (len == 0 || len > p.frame_max || (uint64_t)len + VNC_RECORD_HEADER > p.size));
	reserved = 0;
	if (got == VNC_OK) {
		check_spans(len);
		reserved = len;
	} else if (got == VNC_FULL) {
		CHECK(vnc_producer_room(&p) < vnc_record_bytes(len));
	} else {
		CHECK((got == VNC_BAD_LEN || got == VNC_BAD_INDEX) && !memcmp(&before, &p, sizeof(p)));
	}
	CHECK(before.prod == p.prod && before.published == p.published && before.seq == p.seq);
	if (fuzz_clean)
		CHECK(got != VNC_BAD_INDEX && (got != VNC_FULL || p.cons == lines->peer.cons));
}

static void commit(void)
{
	uint32_t len = reserved, n;
	uint8_t *from;

	if (!reserved || due.count == SENT_MAX)
		return;
	len -= fuzz_byte() % reserved; /* a packet may be shorter than what was reserved */
	from = malloc(len);
	CHECK(from);
	for (n = 0; n < len; n++)
		from[n] = fill_of(p.seq, n);
	vnc_ring_write(&p, span, from, len);
	vnc_ring_commit(&p, len, len & 1, len & 1 ? VNC_VNET_HDR : 0);
	free(from);
	due.len[(due.first + due.count++) % SENT_MAX] = len;
	reserved = 0;
}

static void refresh(void)
{
	struct vnc_producer before = p;
	uint32_t pokes = fuzz_pokes, cons = lines->peer.cons, waiting = p.published - p.cons;
	bool good = cons % 64 == 0 && (uint32_t)(p.published - cons) <= waiting;
	enum vnc_ring_result got;

	fuzz_watch(&lines->peer.cons, NULL);
	got = vnc_producer_refresh(&p);
	CHECK(fuzz_watched == 1);
	CHECK(good == (got == VNC_OK) || pokes != fuzz_pokes);
	CHECK(got == VNC_OK || (got == VNC_BAD_INDEX && !memcmp(&before, &p, sizeof(p))));
	if (fuzz_clean)
		CHECK(got == VNC_OK && p.cons == lines->peer.cons);
}

static void operation(void)
{
	bool new;

	switch (fuzz_byte() % 9) {
	case 0:
	case 1:
		reserve();
		break;
	case 2:
	case 3:
		commit();
		break;
	case 4:
		new = p.published != p.prod;
		CHECK(vnc_producer_publish(&p) == new && p.published == p.prod);
		break;
	case 5:
		fuzz_poke_op();
		break;
	case 6:
		consume();
		break;
	case 7:
		refresh();
		if (vnc_consumer_sleeps(&p) && fuzz_clean)
			CHECK(lines->peer.need_wakeup);
		break;
	default:
		reset(fuzz_index());
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(data, size);
	lines = (struct lines *)(void *)fuzz_lines();
	p = (struct vnc_producer){.ring = fuzz_ring(), .own = &lines->own, .peer = &lines->peer};
	p.size = VNC_RING_MIN << fuzz_byte() % 3;
	p.domain = fuzz_byte() % 3;
	p.frame_max = 1 + fuzz_u16() % (2 * p.size);
	fuzz_area(&lines->own, sizeof(lines->own), OURS);
	fuzz_area(&lines->peer, sizeof(lines->peer), PEERS);
	fuzz_area(p.ring, p.size, OURS);
	reset(fuzz_index());
	while (fuzz_more()) {
		operation();
		check_indices();
	}
	return 0;
}
