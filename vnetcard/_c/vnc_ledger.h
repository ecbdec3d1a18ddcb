/* SPDX-License-Identifier: MIT */
/**
 * DOC: the ledger: counters that survive kill -9 and never show half an update.
 *
 * A ledger has two slots of sixteen u64 in shared memory; the one with the higher stamp is valid.  An update
 * is made in the private copy, written to the older slot, and becomes valid by the store of its stamp.  That
 * is one store, so a writer killed at any instruction leaves one whole, consistent slot.  For this only the
 * compiler must not reorder; release on the stamp also serves readers on other cores.
 *
 * The owner uses its private copy alone: what a hostile peer writes into the shared slots changes figures
 * that people read, never what the pump does.
 *
 * In the device domain the stores below reach the memory one after the other as well, so a ledger there is
 * whole too.  But there a packet is not counted at the instant at which it is taken: a pump reads it into
 * private memory first (vnc_tx.c), and a process killed between that read and the flip takes one packet with
 * it that no ledger contains.  That is at most one packet per kill, and only on the tx side.
 */
#ifndef VNC_LEDGER_H
#define VNC_LEDGER_H
#include "vnc_barrier.h"
#include "vnc_layout.h"

enum { VNC_LEDGER_STAMP, VNC_LEDGER_GENERATION, VNC_LEDGER_GEN_RECORDS, VNC_LEDGER_INDEX };

struct vnc_ledger {
	enum vnc_domain domain;
	uint64_t *shared; /* two slots */
	uint64_t now[VNC_LEDGER_WORDS];
};

/** vnc_ledger_read() - a consistent copy of the newer slot of @shared into @out. */
static inline void vnc_ledger_read(enum vnc_domain domain, const uint64_t *shared, uint64_t *out)
{
	const uint64_t *slot;
	uint64_t a, b, stamp;
	unsigned int tries, n;

	/* A writer seldom overtakes a reader twice in a row; a hostile one may, and gets 64 tries.  Memory that
	 * was never written takes all of them, and gives zeros. */
	for (tries = 0; tries < 64; tries++) {
		a = vnc_load64(domain, &shared[0]);
		b = vnc_load64(domain, &shared[VNC_LEDGER_WORDS]);
		slot = b > a ? shared + VNC_LEDGER_WORDS : shared;
		stamp = b > a ? b : a;
		for (n = 0; n < VNC_LEDGER_WORDS; n++)
			out[n] = vnc_load64(domain, &slot[n]);
		out[VNC_LEDGER_STAMP] = stamp;
		/* Stamp 0 twice is no proof: an update may have begun, ended, and the next one begun in between. */
		if (stamp && vnc_get64(domain, &slot[0]) == stamp)
			return;
	}
}

/** vnc_ledger_open() - continue with what an earlier owner left at @shared. */
static inline void vnc_ledger_open(struct vnc_ledger *l, enum vnc_domain domain, uint64_t *shared)
{
	l->domain = domain;
	l->shared = shared;
	vnc_ledger_read(domain, shared, l->now);
}

/** vnc_ledger_flip() - make the private copy the valid one. */
static inline void vnc_ledger_flip(struct vnc_ledger *l)
{
	uint64_t *slot = l->shared + VNC_LEDGER_WORDS * (++l->now[VNC_LEDGER_STAMP] & 1);
	unsigned int n;

	/* Invalid first: a reader that found this slot to be the newer one may still be reading it.  Every store
	 * below is a release, so a reader that loads a new word also loads a changed stamp; in the device domain
	 * one barrier before all of them does the same. */
	vnc_put64(l->domain, &slot[0], 0);
	vnc_wmb(l->domain);
	for (n = 1; n < VNC_LEDGER_WORDS; n++)
		if (l->domain == VNC_COHERENT)
			vnc_store64(l->domain, &slot[n], l->now[n]);
		else
			vnc_put64(l->domain, &slot[n], l->now[n]);
	vnc_store64(l->domain, &slot[0], l->now[0]);
}

#endif
