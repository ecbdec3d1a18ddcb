/* SPDX-License-Identifier: MIT */
/**
 * DOC: waiting for a word of the window to change.
 *
 * SPIN_SLEEP ("adaptive") looks for a few microseconds and then sleeps, SPIN ("poll") never sleeps,
 * SLEEP ("sleep") sleeps at once.  Sleeping is a futex on the word itself where the peer can wake it
 * (shared RAM, and a peer under the same kernel), and otherwise a pause that grows from 20 us to 4 ms.
 */
#ifndef VNC_WAIT_H
#define VNC_WAIT_H
#include "vnc_barrier.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum vnc_wait_mode { VNC_WAIT_ADAPTIVE, VNC_WAIT_POLL, VNC_WAIT_SLEEP };

/* Long enough to catch a packet that is already on its way, short enough not to keep a core from whoever
 * is to send that packet: of two cores, 300 rounds cost a fifth of the throughput (docs/performance.md).
 * Device memory is looked at less often, and nobody wakes us there, or later.  Whoever is to bring the packet may be
 * waiting for this very core, and gets it a few times before we sleep: then he need not wake us. */
#define VNC_SPIN_ROUNDS 40
#define VNC_SPIN_ROUNDS_DEVICE 300
#define VNC_YIELDS 3

/* A lost wake-up cannot happen (barriers E and F); a hostile peer that never wakes anybody can. */
#define VNC_SLEEP_NS 100000000L

/** vnc_futex_wait() - sleep while *@word is @seen, at most @ns. Other words wake by vnc_futex_wake(). Return: 1 when the time was up. */
static inline int vnc_futex_wait(const uint32_t *word, uint32_t seen, long ns)
{
	struct timespec limit = {.tv_sec = ns / 1000000000L, .tv_nsec = ns % 1000000000L};

	return syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0) < 0 && errno == ETIMEDOUT;
}

/** vnc_futex_wake() - wake everybody who sleeps on @word, in this process or another. */
static inline void vnc_futex_wake(const uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

/**
 * struct vnc_irq_trigger - how a pump in another process or machine is woken, where no futex reaches it: an eventfd,
 * or a file of a device's registers, of which one raises an interrupt.
 */
struct vnc_irq_trigger {
	int fd;         /* -1: none */
	int64_t at;     /* of the register in @fd; -1: it is an eventfd */
	uint32_t value; /* for the register */
};

/** vnc_irq_raise() - after everything that was stored before; a system call is barrier enough for either domain. */
static inline void vnc_irq_raise(const struct vnc_irq_trigger *bell)
{
	uint64_t one = 1;
	ssize_t done;

	if (bell->at < 0)
		done = write(bell->fd, &one, sizeof(one));
	else
		done = pwrite(bell->fd, &bell->value, sizeof(bell->value), bell->at);
	(void)done; /* EAGAIN: 2^64 - 2 rings are waiting already; else the device is gone, which the agent sees */
}

/** vnc_spin_until_changed() - look for a few microseconds, and let others run. Return: 1 when *@word left @seen, else 0. */
static inline int vnc_spin_until_changed(enum vnc_domain domain, const uint32_t *word, uint32_t seen)
{
	/* A look at device memory is a transaction over PCIe: few of them, further and further apart. */
	int between = domain == VNC_COHERENT ? 1 : 8;
	int most = domain == VNC_COHERENT ? VNC_SPIN_ROUNDS : VNC_SPIN_ROUNDS_DEVICE;
	int rounds = 0, n;

	while (rounds < most) {
		if (vnc_get32(domain, word) != seen)
			return 1;
		for (n = 0; n < between; n++)
			vnc_cpu_relax();
		rounds += between;
		between *= domain == VNC_COHERENT ? 1 : 2;
	}
	for (n = 0; n < VNC_YIELDS && domain == VNC_COHERENT; n++) {
		sched_yield();
		if (vnc_get32(domain, word) != seen)
			return 1;
	}
	return 0;
}

#define VNC_PAUSE_FIRST_NS 20000L
#define VNC_PAUSE_BUSY_NS 500000L
#define VNC_PAUSE_IDLE_NS 4000000L

/**
 * vnc_pause() - one step of timed waiting; *@ns is the length of the next.
 *
 * It doubles up to half a millisecond, which keeps a conversation quick, and then grows by a 512th, so that it takes
 * about two seconds of silence until it is long enough to cost no CPU to speak of.
 */
static inline void vnc_pause(long *ns)
{
	struct timespec length = {.tv_nsec = *ns < VNC_PAUSE_FIRST_NS ? VNC_PAUSE_FIRST_NS : *ns};

	nanosleep(&length, NULL);
	*ns = length.tv_nsec < VNC_PAUSE_BUSY_NS ? length.tv_nsec * 2 : length.tv_nsec + length.tv_nsec / 512;
	if (*ns > VNC_PAUSE_IDLE_NS)
		*ns = VNC_PAUSE_IDLE_NS;
}

#endif
