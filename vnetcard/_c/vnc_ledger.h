/* SPDX-License-Identifier: MIT */
/**
 * DOC: counters that survive kill -9 and never show half an update.
 *
 * Two slots of sixteen u64 in shared memory; the one with the higher stamp counts.  An update is made in
 * the private copy, written to the older slot, and becomes valid by the store of its stamp: one store,
 * so that a writer killed at any instruction leaves one whole, consistent slot.  Only the compiler has to
 * be kept from reordering for that; release on the stamp also serves readers on other cores.
 *
 * The private copy rules while the owner lives: what a hostile peer writes into the shared slots changes
 * figures that people read, never what the pump does.
 */
#ifndef VNC_LEDGER_H
#define VNC_LEDGER_H
#include "vnc_layout.h"

enum { VNC_LEDGER_STAMP, VNC_LEDGER_GENERATION, VNC_LEDGER_GEN_RECORDS, VNC_LEDGER_INDEX };

struct vnc_ledger {
	uint64_t *shared; /* two slots */
	uint64_t now[VNC_LEDGER_WORDS];
};

/** vnc_ledger_read() - a consistent copy of the newer slot of @shared into @out. */
static inline void vnc_ledger_read(const uint64_t *shared, uint64_t *out)
{
	const uint64_t *slot;
	uint64_t a, b, stamp;
	unsigned int tries, n;

	/* A reader can be overtaken twice in a row only by luck; a hostile writer gets 64 tries. */
	for (tries = 0; tries < 64; tries++) {
		a = __atomic_load_n(&shared[0], __ATOMIC_ACQUIRE);
		b = __atomic_load_n(&shared[VNC_LEDGER_WORDS], __ATOMIC_ACQUIRE);
		slot = b > a ? shared + VNC_LEDGER_WORDS : shared;
		stamp = b > a ? b : a;
		for (n = 0; n < VNC_LEDGER_WORDS; n++)
			out[n] = __atomic_load_n(&slot[n], __ATOMIC_ACQUIRE);
		out[VNC_LEDGER_STAMP] = stamp;
		if (__atomic_load_n(&slot[0], __ATOMIC_RELAXED) == stamp)
			return;
	}
}

/** vnc_ledger_open() - take over what an earlier owner left at @shared. */
static inline void vnc_ledger_open(struct vnc_ledger *l, uint64_t *shared)
{
	l->shared = shared;
	vnc_ledger_read(shared, l->now);
}

/** vnc_ledger_flip() - make the private copy the valid one. */
static inline void vnc_ledger_flip(struct vnc_ledger *l)
{
	uint64_t *slot = l->shared + VNC_LEDGER_WORDS * (++l->now[VNC_LEDGER_STAMP] & 1);
	unsigned int n;

	/* Invalid first: the slot may be under the eyes of a reader that took it for the newer one a moment
	 * ago.  Every store below is a release, so whoever meets a new word also meets a changed stamp. */
	__atomic_store_n(&slot[0], 0, __ATOMIC_RELAXED);
	for (n = 1; n < VNC_LEDGER_WORDS; n++)
		__atomic_store_n(&slot[n], l->now[n], __ATOMIC_RELEASE);
	__atomic_store_n(&slot[0], l->now[0], __ATOMIC_RELEASE);
}

#endif
