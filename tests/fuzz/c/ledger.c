/* SPDX-License-Identifier: MIT */
/*
 * Fuzz harness: the ledger.  A reader while its writer, which is another process, is stopped between any two stores;
 * then also while a hostile process scribbles over both slots.  The writer's own values never depend on the window.
 */
#include "fuzz.h"
#include "vnc_ledger.h"

#define STEPS (VNC_LEDGER_WORDS + 1) /* stores of one update */
#define TRIES 64u

static uint64_t *shared;
static enum vnc_domain domain;

/* The writer, one store at a time: word n of version v is v << 8 | n. */
static struct {
	uint64_t version; /* the one that is being written */
	uint32_t step;    /* stores of it that are done */
} writer;

static void writer_stores(void)
{
	uint64_t *slot = shared + VNC_LEDGER_WORDS * (writer.version & 1);
	uint64_t whole[VNC_LEDGER_WORDS] = {writer.version};
	unsigned int n;

	for (n = 1; n < VNC_LEDGER_CHECKSUM; n++)
		whole[n] = writer.version << 8 | n;
	whole[VNC_LEDGER_CHECKSUM] = vnc_ledger_sum(whole);
	if (writer.step == 0)
		slot[0] = 0;
	else if (writer.step < VNC_LEDGER_WORDS)
		slot[writer.step] = whole[writer.step];
	else
		slot[0] = writer.version;
	if (++writer.step == STEPS) {
		writer.step = 0;
		writer.version++;
	}
}

/* A poke at place 0 to 127 lets the writer go on; others are hostile. */
void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	unsigned int n;

	if (where < 128) {
		for (n = 0; n <= where; n++)
			writer_stores();
		return NULL;
	}
	*bits = 64;
	*good = writer.version;
	return &shared[where % (2 * VNC_LEDGER_WORDS)];
}

static void read_ledger(void)
{
	bool complete = writer.version > 1;
	uint64_t out[VNC_LEDGER_WORDS];
	enum vnc_ledger_state state;
	unsigned int n;

	fuzz_watch(&shared[0], &shared[VNC_LEDGER_WORDS]);
	state = vnc_ledger_read(domain, shared, out);
	CHECK(fuzz_watched <= 4 * TRIES + 4); /* it ends whatever the peer does */
	if (state == VNC_LEDGER_WHOLE || state == VNC_LEDGER_OLDER)
		CHECK(out[VNC_LEDGER_CHECKSUM] == vnc_ledger_sum(out));
	if (state == VNC_LEDGER_RUINED || state == VNC_LEDGER_EMPTY)
		CHECK(!out[0] && !out[VNC_LEDGER_INDEX]);
	if (!fuzz_clean)
		return;
	CHECK(state == VNC_LEDGER_WHOLE || (state == VNC_LEDGER_EMPTY && !complete));
	/* The script cannot let the writer overtake the reader as often as it tries. */
	CHECK(out[0] ? out[0] <= writer.version : !complete);
	for (n = 1; out[0] && n < VNC_LEDGER_CHECKSUM; n++)
		CHECK(out[n] == (out[0] << 8 | n)); /* all of one update */
}

/* A new owner continues with what the last one left, and writes an update of its own. */
static void take_over(void)
{
	struct vnc_ledger ledger;
	uint64_t now[VNC_LEDGER_WORDS];
	unsigned int n;

	vnc_ledger_open(&ledger, domain, shared);
	for (n = 1; n < VNC_LEDGER_CHECKSUM; n++)
		ledger.now[n] = ledger.now[0] << 8 | n;
	for (n = fuzz_byte() % 4; n; n--) {
		memcpy(now, ledger.now, sizeof(now));
		vnc_ledger_flip(&ledger);
		CHECK(!memcmp(now + 1, ledger.now + 1, sizeof(now) - 2 * sizeof(now[0]))); /* but stamp and checksum */
		CHECK(ledger.now[0] == now[0] + 1);
	}
	memset(shared, 0, 2 * VNC_LEDGER_WORDS * sizeof(*shared));
	writer.version = 1;
	writer.step = 0;
	fuzz_forget_pokes();
}

/* What a writer flips is what a reader then gets. */
static void flip_and_read(void)
{
	struct vnc_ledger ledger;
	uint64_t out[VNC_LEDGER_WORDS];
	unsigned int n;

	vnc_ledger_open(&ledger, domain, shared);
	fuzz_forget_pokes();
	for (n = 1; n < VNC_LEDGER_WORDS; n++)
		ledger.now[n] = fuzz_u16();
	ledger.now[0] &= 0xffff;
	if (ledger.now[0] < (shared[0] | shared[VNC_LEDGER_WORDS]) && !fuzz_clean)
		return;
	memset(shared, 0, 2 * VNC_LEDGER_WORDS * sizeof(*shared));
	vnc_ledger_flip(&ledger);
	vnc_ledger_flip(&ledger);
	vnc_ledger_read(domain, shared, out);
	CHECK(!memcmp(out, ledger.now, sizeof(out)));
	memset(shared, 0, 2 * VNC_LEDGER_WORDS * sizeof(*shared));
	writer.version = 1;
	writer.step = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(data, size);
	shared = (uint64_t *)(void *)fuzz_lines();
	domain = fuzz_byte() % 3;
	writer.version = 1;
	writer.step = 0;
	fuzz_area(shared, 2 * VNC_LEDGER_WORDS * sizeof(*shared), OURS);
	while (fuzz_more())
		switch (fuzz_byte() % 5) {
		case 0:
		case 1:
			fuzz_poke_op();
			break;
		case 2:
			take_over();
			break;
		case 3:
			flip_and_read();
			break;
		default:
			read_ledger();
		}
	return 0;
}
