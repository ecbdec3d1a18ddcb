/* SPDX-License-Identifier: MIT */
/**
 * DOC: doorbells - telling a DMA engine of a new index.
 *
 * On a board a doorbell is one store into a register.  In a simulation (vnetcard/simbus.py) the register is
 * a word of shared memory beside a count, and the simulator, which may sleep, is woken:
 *
 *        whoever rings                              simulator
 *   store word, release   (I)                  store asleep = 1
 *   count it                                   (K) full fence
 *   (J) full fence                             look at every count; none moved:
 *   load asleep                                    futex wait on bell
 *   if 1: bell + 1, futex wake
 *
 * J and K are partners as E and F are: one of the two sees the other.
 */
#ifndef VNC_DOORBELL_H
#define VNC_DOORBELL_H
#include "vnc_barrier.h"
#include "vnc_wait.h"
#include <stddef.h>

/** struct vnc_doorbell - @word NULL: there is none; the others are NULL where the register is a real one. */
struct vnc_doorbell {
	enum vnc_domain domain; /* of @word */
	uint32_t *word;         /* the register, or what stands for it */
	uint32_t *rung;         /* how often it was rung */
	uint32_t *bell;         /* on this the simulator sleeps */
	const uint32_t *asleep; /* 1: it sleeps, or is about to */
};

/** vnc_ring_doorbell() - @value is in the register after everything that was stored before. */
static inline void vnc_ring_doorbell(const struct vnc_doorbell *d, uint32_t value)
{
	vnc_store32(d->domain, d->word, value); /* (I): after the index, (A) or (C) */
	if (d->rung)
		__atomic_fetch_add(d->rung, 1, __ATOMIC_RELEASE);
	if (!d->bell)
		return;
	vnc_full_fence(VNC_COHERENT); /* (J) pairs with (K): else it sleeps on, and the packet with it */
	if (vnc_load32(VNC_COHERENT, d->asleep)) {
		__atomic_fetch_add(d->bell, 1, __ATOMIC_RELEASE);
		vnc_futex_wake(d->bell);
	}
}

#endif
