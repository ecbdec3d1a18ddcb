/* SPDX-License-Identifier: MIT */
/* Fuzz harness: the writer of taps against readers that write anything anywhere in the segment. */
#include "fuzz.h"
#include "vnc_tap.h"

#define SIZE VNC_RING_MIN
#define TAPS 2u
#define NOTED_MAX 4096u

struct lines {
	struct vnc_tap_prod own;
	struct vnc_tap_cons reader;
};

static struct lines *lines[TAPS];
static struct vnc_tap tap[TAPS];
static struct vnc_taps taps;

/* The honest reader of tap 0: which events it expects. */
static struct {
	uint32_t cons, first, count;
	struct {
		uint32_t seq, kept, number;
		uint8_t stage;
	} event[NOTED_MAX];
} due;
static uint32_t number; /* of the entry */

void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	unsigned int n = where & 1;

	switch (where >> 1 & 3) {
	case 0:
	case 1:
		*good = tap[n].prod;
		return &lines[n]->reader.cons;
	case 2:
		*good = tap[n].prod;
		return &lines[n]->own.prod;
	default:
		*bits = 64;
		return tap[n].ring + where / 8 * 8;
	}
}

static uint8_t fill_of(uint32_t of, uint32_t at)
{
	return (uint8_t)(of * 31 + at);
}

/* An honest reader checks and frees up to @most events of tap 0. */
static void consume(uint32_t most)
{
	struct vnc_tap_event *event;
	uint32_t n;

	for (; most && fuzz_clean && due.cons != lines[0]->own.prod; most--) {
		event = (struct vnc_tap_event *)(void *)(tap[0].ring + (due.cons & (SIZE - 1)));
		CHECK(due.count && event->size % VNC_LINE == 0 && event->size >= sizeof(*event));
		CHECK(event->seq == due.event[due.first].seq && event->stage == due.event[due.first].stage);
		CHECK(event->kept == due.event[due.first].kept && event->size <= tap[0].prod - due.cons);
		CHECK(event->kept <= event->size - sizeof(*event));
		for (n = 0; n < event->kept; n++)
			CHECK(tap[0].ring[(due.cons + sizeof(*event) + n) & (SIZE - 1)] ==
			      fill_of(due.event[due.first].number, n));
		due.cons += event->size;
		due.first = (due.first + 1) % NOTED_MAX;
		due.count--;
	}
	if (fuzz_clean)
		*fuzz_raw32(&lines[0]->reader.cons) = due.cons;
}

/* Is an entry in the sample of tap @n?  A batch is if any of its records is. */
static bool wanted(unsigned int n, const struct vnc_tap_entry *entry)
{
	bool batch = entry->stage == VNC_TAP_PUBLISH || entry->stage == VNC_TAP_RELEASE;
	uint32_t sample = tap[n].sample, past = entry->seq % sample;

	if (!(tap[n].stages >> entry->stage & 1))
		return false;
	return past == 0 || entry->drop || (batch && sample - past < entry->len);
}

static void write_entry(void)
{
	uint8_t how = fuzz_byte();
	uint32_t first = fuzz_byte(), second = fuzz_u16() % 2000, skip = how & 1 ? VNC_VNET_HDR : 0, n, kept;
	uint8_t *a = malloc(first ? first : 1), *b = malloc(second ? second : 1);
	const struct vnc_span span[2] = {{a, first}, {b, second}};
	struct vnc_vnet_hdr hdr = {.gso_size = 7};
	struct vnc_tap_entry entry = {
		.stage = how / 8 % 6, .drop = how & 2 ? 9 : 0, .seq = fuzz_byte(), .span = how & 4 ? span : NULL,
		.vnet = skip ? &hdr : NULL, .skip = skip,
	};
	uint64_t before[TAPS] = {tap[0].written, tap[1].written}, missed = tap[0].missed;

	CHECK(a && b);
	for (n = 0; n < first + second; n++)
		*(n < first ? a + n : b + (n - first)) = fill_of(number, n - skip);
	entry.len = fuzz_byte() & 1 ? fuzz_u16() : first + second > skip ? first + second - skip : 0;
	kept = entry.span && first + second > skip && (tap[0].bytes_of >> entry.stage & 1) ? first + second - skip : 0;
	kept = kept < entry.len ? kept : entry.len;
	kept = kept < tap[0].snap ? kept : tap[0].snap;
	vnc_tap_write(&taps, &entry);
	for (n = 0; n < TAPS; n++)
		CHECK(tap[n].written - before[n] <= wanted(n, &entry));
	CHECK(tap[0].written + tap[0].missed - before[0] - missed == wanted(0, &entry));
	if (tap[0].written != before[0]) {
		CHECK(due.count < NOTED_MAX || !fuzz_clean);
		n = (due.first + due.count++) % NOTED_MAX;
		due.event[n].seq = entry.seq;
		due.event[n].stage = entry.stage;
		due.event[n].kept = kept;
		due.event[n].number = number;
	}
	number++;
	free(a);
	free(b);
}

static void choose(void)
{
	uint32_t seq = fuzz_byte();
	uint64_t now;

	if (fuzz_byte() & 1)
		taps.full_since = 1;
	if (fuzz_byte() & 1)
		taps.slept_since = 1, taps.awake_since = 1u << fuzz_byte() % 32;
	now = vnc_tap_begin(&taps, seq);
	CHECK(!(taps.record & ~taps.stages) && !(taps.record & ~taps.batch) && (!taps.record || now));
	CHECK(!vnc_tapped(&taps, 0, 0) || (taps.record & 1));
}

static void set_up(void)
{
	unsigned int n;

	memset(&taps, 0, sizeof(taps));
	memset(&due, 0, sizeof(due));
	number = 0;
	for (n = 0; n < TAPS; n++) {
		lines[n] = (struct lines *)(void *)(fuzz_lines() + n * sizeof(struct lines));
		tap[n] = (struct vnc_tap){.ring = fuzz_ring() + n * SIZE, .size = SIZE, .own = &lines[n]->own,
					  .reader = &lines[n]->reader};
		tap[n].stages = fuzz_byte();
		tap[n].bytes_of = fuzz_byte();
		tap[n].snap = fuzz_u16();
		tap[n].sample = 1 + fuzz_byte() % 8;
		taps.tap[n] = &tap[n];
		taps.stages |= tap[n].stages;
		fuzz_area(&lines[n]->own, sizeof(lines[n]->own), OURS);
		fuzz_area(&lines[n]->reader, sizeof(lines[n]->reader), PEERS);
		fuzz_area(tap[n].ring, SIZE, OURS);
	}
	taps.count = TAPS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int n;

	fuzz_begin(data, size);
	set_up();
	while (fuzz_more()) {
		switch (fuzz_byte() % 5) {
		case 0:
		case 1:
			write_entry();
			break;
		case 2:
			fuzz_poke_op();
			break;
		case 3:
			choose();
			break;
		default:
			consume(fuzz_byte() % 8);
		}
		for (n = 0; n < TAPS; n++) {
			CHECK(tap[n].prod % VNC_LINE == 0);
			CHECK(fuzz_ours_poked || lines[n]->own.prod == tap[n].prod);
			CHECK(!fuzz_clean || tap[n].prod - lines[n]->reader.cons <= SIZE);
		}
	}
	return 0;
}
