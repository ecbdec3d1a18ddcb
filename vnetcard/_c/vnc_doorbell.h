/* SPDX-License-Identifier: MIT */
/**
 * DOC: doorbells - telling a DMA engine of a new index.
 *
 * On a board a doorbell is one store into a register, or, where a driver does not let it be mapped, one write into the
 * driver's file.  In a simulation (vnetcard/window/sim_bus.py) the register is
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
#include <stdbool.h>
#include <stddef.h>

/** struct vnc_doorbell - one of @word and @in_file, or there is none; the others are NULL where the register is real. */
struct vnc_doorbell {
	bool in_file;           /* the register is at @at in @fd */
	int fd;
	int64_t at;
	enum vnc_domain domain; /* of @word */
	uint32_t *word;         /* the register, or what stands for it */
	uint32_t *rung;         /* how often it was rung */
	uint32_t *bell;         /* on this the simulator sleeps */
	const uint32_t *asleep; /* 1: it sleeps, or is about to */
};

/** vnc_has_doorbell() - is there one? */
static inline bool vnc_has_doorbell(const struct vnc_doorbell *d)
{
	return d->word || d->in_file;
}

/** vnc_ring_doorbell() - @value is in the register after everything that was stored before. */
static inline void vnc_ring_doorbell(const struct vnc_doorbell *d, uint32_t value)
{
	if (d->in_file) {
		vnc_full_fence(VNC_DEVICE); /* (I), for the store that the driver will do */
		if (pwrite(d->fd, &value, sizeof(value), d->at) < 0) {
			/* The device is gone, or in trouble: the agent's next look at its registers says so */
		}
		return;
	}
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
