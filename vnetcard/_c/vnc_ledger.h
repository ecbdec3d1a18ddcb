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
 * that people read, never what the pump does.  The last word of a slot is a checksum of the others, so that a
 * slot that another program has overwritten is found: by a reader, by the owner while it runs, and by its
 * successor (docs/adr/0019-a-window-that-is-overwritten.md).  It protects from accidents; who writes a slot on
 * purpose can write its checksum, too.
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
#include <stdbool.h>

enum { VNC_LEDGER_STAMP, VNC_LEDGER_GENERATION, VNC_LEDGER_GEN_RECORDS, VNC_LEDGER_INDEX };

/** enum vnc_ledger_state - what vnc_ledger_read() found. */
enum vnc_ledger_state {
	VNC_LEDGER_EMPTY,     /* nothing: no owner has written it yet */
	VNC_LEDGER_WHOLE,     /* the newer slot */
	VNC_LEDGER_UNCHECKED, /* the newer slot, by an owner that knows no checksum */
	VNC_LEDGER_MOVING,    /* the newer slot, perhaps half an update: it changed during each try */
	VNC_LEDGER_OLDER,     /* the older slot, one update old: another program has overwritten the newer one */
	VNC_LEDGER_RUINED,    /* zeros: another program has overwritten both */
};

struct vnc_ledger {
	enum vnc_domain domain;
	enum vnc_ledger_state found; /* by vnc_ledger_open() */
	uint64_t *shared; /* two slots */
	uint64_t now[VNC_LEDGER_WORDS];
};

/** vnc_ledger_sum() - the checksum of the slot @words; that of zeros is not 0. */
static inline uint64_t vnc_ledger_sum(const uint64_t *words)
{
	uint64_t plain = VNC_MAGIC, weighted = 0; /* weighted: words that changed places change it */
	unsigned int n;

	for (n = 0; n < VNC_LEDGER_CHECKSUM; n++) {
		plain += words[n];
		weighted += plain;
	}
	return plain ^ (weighted << 23 | weighted >> 41);
}

/* Copy the slot with @stamp into @out. Return: whether it kept its stamp meanwhile. */
static inline bool vnc_ledger_copy(enum vnc_domain domain, const uint64_t *slot, uint64_t stamp, uint64_t *out)
{
	unsigned int n;

	for (n = 0; n < VNC_LEDGER_WORDS; n++)
		out[n] = vnc_load64(domain, &slot[n]);
	out[VNC_LEDGER_STAMP] = stamp;
	/* Stamp 0 twice is no proof: an update may have begun, ended, and the next one begun in between. */
	return stamp && vnc_get64(domain, &slot[0]) == stamp;
}

/** vnc_ledger_read() - a consistent copy of the newer slot of @shared into @out, or what is left of the ledger. */
static inline enum vnc_ledger_state vnc_ledger_read(enum vnc_domain domain, const uint64_t *shared, uint64_t *out)
{
	const uint64_t *slot = shared, *other = shared;
	uint64_t a, b, stamp = 0, before = 0, used = 0, used_too = 0;
	unsigned int tries, n;
	bool held = false;

	/* A writer seldom overtakes a reader twice in a row; a hostile one may, and gets 64 tries.  Memory that
	 * was never written, or was overwritten, takes all of them. */
	for (tries = 0; tries < 64; tries++) {
		a = vnc_load64(domain, &shared[0]);
		b = vnc_load64(domain, &shared[VNC_LEDGER_WORDS]);
		slot = b > a ? shared + VNC_LEDGER_WORDS : shared;
		other = b > a ? shared : shared + VNC_LEDGER_WORDS;
		stamp = b > a ? b : a;
		before = b > a ? a : b;
		held = vnc_ledger_copy(domain, slot, stamp, out);
		if (!held)
			continue;
		if (out[VNC_LEDGER_CHECKSUM] == vnc_ledger_sum(out))
			return VNC_LEDGER_WHOLE;
		/* Older software carries the word along as it found it, so that it is the same in both slots. */
		if ((!before || before + 1 == stamp) &&
		    vnc_get64(domain, &other[VNC_LEDGER_CHECKSUM]) == out[VNC_LEDGER_CHECKSUM])
			return VNC_LEDGER_UNCHECKED;
	}
	if (stamp && !held)
		return VNC_LEDGER_MOVING;
	if (vnc_ledger_copy(domain, other, before, out) && out[VNC_LEDGER_CHECKSUM] == vnc_ledger_sum(out))
		return VNC_LEDGER_OLDER;
	for (n = 0; n < VNC_LEDGER_WORDS; n++) {
		used |= vnc_get64(domain, &slot[n]);
		used_too |= vnc_get64(domain, &other[n]);
		out[n] = 0;
	}
	/* An owner that was killed within its first update leaves one slot without a stamp. */
	return stamp || (used && used_too) ? VNC_LEDGER_RUINED : VNC_LEDGER_EMPTY;
}

/** vnc_ledger_flip() - make the private copy the valid one. */
static inline void vnc_ledger_flip(struct vnc_ledger *l)
{
	uint64_t *slot = l->shared + VNC_LEDGER_WORDS * ((l->now[VNC_LEDGER_STAMP] + 1) & 1);
	unsigned int n;

	vnc_put64(VNC_COHERENT, &l->now[VNC_LEDGER_STAMP], l->now[VNC_LEDGER_STAMP] + 1);
	l->now[VNC_LEDGER_CHECKSUM] = vnc_ledger_sum(l->now);
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

/** vnc_ledger_open() - continue with what an earlier owner left at @shared; l->found says what that is. */
static inline void vnc_ledger_open(struct vnc_ledger *l, enum vnc_domain domain, uint64_t *shared)
{
	unsigned int n;

	l->domain = domain;
	l->shared = shared;
	l->found = vnc_ledger_read(domain, shared, l->now);
	if (l->found == VNC_LEDGER_MOVING) { /* the owner's place is this process's: it is no owner who writes there */
		l->found = VNC_LEDGER_RUINED;
		for (n = 0; n < VNC_LEDGER_WORDS; n++)
			l->now[n] = 0;
	}
	if (l->found == VNC_LEDGER_EMPTY || l->found == VNC_LEDGER_WHOLE)
		return;
	vnc_ledger_flip(l); /* over both slots: garbage with a high stamp is gone, and the next owner finds checksums */
	vnc_ledger_flip(l);
}

/**
 * vnc_ledger_intact() - is in the window what the owner of @l wrote there?
 *
 * For any thread of the owner's process, also while the owner flips it.
 */
static inline bool vnc_ledger_intact(const struct vnc_ledger *l)
{
	uint64_t first = __atomic_load_n(&l->now[VNC_LEDGER_STAMP], __ATOMIC_ACQUIRE), last;
	uint64_t out[VNC_LEDGER_WORDS];
	enum vnc_ledger_state state = vnc_ledger_read(l->domain, l->shared, out);

	last = __atomic_load_n(&l->now[VNC_LEDGER_STAMP], __ATOMIC_RELAXED);
	if (state == VNC_LEDGER_EMPTY)
		return !first;
	if (state == VNC_LEDGER_MOVING)
		return last != first;
	/* first may be that of an update whose stamp is not in the window yet */
	return state == VNC_LEDGER_WHOLE && out[0] + 1 - first <= last - first + 1;
}

#endif
