/* SPDX-License-Identifier: MIT */
/**
 * DOC: doorbells: registers that notify a DMA engine of a new index.
 *
 * On a board a doorbell is one store into a register, or, where a driver does not allow it to be mapped, one write into
 * the driver's file.  In a simulation (vnetcard/window/sim_bus.py) the register is a word of shared memory with a count
 * beside it, and the simulator, which may sleep, is woken:
 *
 *        the thread that rings                      simulator
 *   store register, release   (I)              store sleep_word = 1
 *   count_word + 1                             (K) full fence
 *   (J) full fence                             load every count; if none has moved:
 *   load sleep_word                                futex wait on wake_word
 *   if 1: wake_word + 1, futex wake
 *
 * J and K are partners as E and F are: one of the two sees the other.
 */
#ifndef VNC_DOORBELL_H
#define VNC_DOORBELL_H
#include "vnc_barrier.h"
#include "vnc_wait.h"
#include <stdbool.h>
#include <stddef.h>

/** struct vnc_doorbell - a register in memory or in a file, or neither: there is none. */
struct vnc_doorbell {
	bool in_file;               /* the register is at @at in @fd */
	int fd;
	int64_t at;
	enum vnc_domain domain;     /* of @reg */
	uint32_t *reg;              /* the register in memory; NULL: there is none */
	/* of a simulated register, else NULL: */
	uint32_t *count_word;       /* how often it was rung */
	uint32_t *wake_word;        /* futex on which the simulator sleeps */
	const uint32_t *sleep_word; /* 1: it sleeps, or is about to */
};

/** vnc_has_doorbell() - does @d have a register? */
static inline bool vnc_has_doorbell(const struct vnc_doorbell *d)
{
	return d->reg || d->in_file;
}

/** vnc_ring_doorbell() - write @value into the register, after everything that was stored before. */
static inline void vnc_ring_doorbell(const struct vnc_doorbell *d, uint32_t value)
{
	if (d->in_file) {
		vnc_full_fence(VNC_DEVICE); /* (I), ahead of the store that the driver does */
		if (pwrite(d->fd, &value, sizeof(value), d->at) < 0) {
			/* The device is gone or fails: the agent finds out when it next reads the registers. */
		}
		return;
	}
	vnc_store32(d->domain, d->reg, value); /* (I): after the index, (A) or (C) */
	if (d->count_word)
		__atomic_fetch_add(d->count_word, 1, __ATOMIC_RELEASE);
	if (!d->wake_word)
		return;
	vnc_full_fence(VNC_COHERENT); /* (J) pairs with (K): else it sleeps on, and the packet waits */
	if (vnc_load32(VNC_COHERENT, d->sleep_word)) {
		__atomic_fetch_add(d->wake_word, 1, __ATOMIC_RELEASE);
		vnc_futex_wake(d->wake_word);
	}
}

#endif
