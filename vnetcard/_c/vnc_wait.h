/* SPDX-License-Identifier: MIT */
/**
 * DOC: waiting for a word of the window to change.
 *
 * ADAPTIVE spins for a few microseconds and then sleeps, POLL never sleeps, SLEEP sleeps at once.  To sleep is to wait
 * on a futex, the word itself, where the peer can wake it (shared RAM, and a peer under the same kernel), or for an
 * interrupt; else it is a timed wait that grows from 20 us to 4 ms.
 */
#ifndef VNC_WAIT_H
#define VNC_WAIT_H
#include "vnc_barrier.h"
#include "vnc_clock.h"
#include "vnc_yield.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum vnc_wait_mode { VNC_WAIT_ADAPTIVE, VNC_WAIT_POLL, VNC_WAIT_SLEEP };

/* Long enough to catch a packet that is already on its way, short enough to leave the core to the thread that is to
 * send that packet: on two cores, 300 rounds cost a fifth of the throughput (docs/performance.md).  Device memory is
 * polled less often, and longer, because there a wake-up comes late or not at all.  The thread that is to send the
 * packet may wait for this very core, so we yield it a few times before we sleep: then it need not wake us. */
#define VNC_SPIN_ROUNDS 40
#define VNC_SPIN_ROUNDS_DEVICE 300
#define VNC_YIELDS 3

/* The longest sleep.  No wake-up is lost (barriers E and F), but a hostile peer may never send one. */
#define VNC_SLEEP_NS 100000000L
/* The same on a link at rest, where each sleep that ends wakes a processor. */
#define VNC_REST_NS 2000000000L

/** vnc_futex_wait() - sleep until vnc_futex_wake() if *@word is @seen, at most @ns. Return: 1 when the time is up. */
static inline int vnc_futex_wait(const uint32_t *word, uint32_t seen, long ns)
{
	struct timespec limit = {.tv_sec = ns / 1000000000L, .tv_nsec = ns % 1000000000L};

	return syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0) < 0 && errno == ETIMEDOUT;
}

/** vnc_futex_wake() - wake every thread that sleeps on @word, in this process or another. */
static inline void vnc_futex_wake(const uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

/**
 * struct vnc_irq_trigger - what interrupts a pump in another process or machine, which no futex reaches: an eventfd, or
 * a register in the file of a device.
 */
struct vnc_irq_trigger {
	int fd;         /* -1: none */
	int64_t at;     /* offset of the register in @fd; -1: @fd is an eventfd */
	uint32_t value; /* to write into the register */
};

/** vnc_irq_raise() - interrupt, after everything that was stored before; a system call orders both domains. */
static inline void vnc_irq_raise(const struct vnc_irq_trigger *irq)
{
	uint64_t one = 1;
	ssize_t done;

	if (irq->at < 0)
		done = write(irq->fd, &one, sizeof(one));
	else
		done = pwrite(irq->fd, &irq->value, sizeof(irq->value), irq->at);
	(void)done; /* EAGAIN: an interrupt is pending already; else the device is gone, which the agent notices */
}

/* Yield until *@word leaves @seen: then 1. */
static inline int vnc_yield_until_changed(const uint32_t *word, uint32_t seen, struct vnc_yields *yields,
					  uint64_t moved)
{
	uint64_t began;
	int n;

	if (vnc_yields_begin(yields, moved))
		return 0;
	for (n = 0; n < VNC_YIELDS && !yields->late; n++) {
		began = yields->sparing ? vnc_clock_ns(CLOCK_MONOTONIC) : 0;
		sched_yield();
		if (yields->sparing)
			vnc_yield_took(yields, vnc_clock_ns(CLOCK_MONOTONIC) - began);
		if (vnc_get32(VNC_COHERENT, word) != seen)
			return 1;
	}
	return 0;
}

/**
 * vnc_spin_until_changed() - poll *@word for a few microseconds, then yield.
 * @moved: a count of the packets that the thread has moved.
 * Return: 1 once the word left @seen, else 0.
 */
static inline int vnc_spin_until_changed(enum vnc_domain domain, const uint32_t *word, uint32_t seen,
					 struct vnc_yields *yields, uint64_t moved)
{
	/* A load of device memory is a transaction over PCIe: few of them, at growing intervals. */
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
	return domain == VNC_COHERENT && vnc_yield_until_changed(word, seen, yields, moved);
}

#define VNC_PAUSE_FIRST_NS 20000L
#define VNC_PAUSE_BUSY_NS 500000L
#define VNC_PAUSE_IDLE_NS 4000000L
/* A pause of this share of the usual gap makes a packet wait for half of that: a 128th of the time between packets. */
#define VNC_PAUSES_PER_GAP 64
#define VNC_GAP_MAX_NS 20000000L

/** struct vnc_pause - timed waiting of one thread, which alone uses it. */
struct vnc_pause {
	uint64_t moved;  /* the caller's count of what has moved, when it was last noted */
	long next_ns;    /* length of the next pause; 0: the shortest */
	long waited_ns;  /* in pauses since something has moved */
	long gap_ns;     /* a mean of the last such waits; 0: none, or longer than VNC_GAP_MAX_NS */
};

/** vnc_pause_note() - begin again with a short pause if @moved, a count, is another than at the last call. */
static inline void vnc_pause_note(struct vnc_pause *p, uint64_t moved)
{
	if (moved == p->moved)
		return;
	p->moved = moved;
	p->next_ns = 0;
	if (!p->waited_ns)
		return;
	if (p->waited_ns > VNC_GAP_MAX_NS)
		p->gap_ns = 0;
	else
		p->gap_ns = p->gap_ns ? p->gap_ns + (p->waited_ns - p->gap_ns) / 4 : p->waited_ns;
	p->waited_ns = 0;
}

/**
 * vnc_pause() - one step of timed waiting.
 *
 * Until twice the usual gap has passed, the pauses are short against it.  Then they double up to half a millisecond,
 * which keeps request and response quick, and grow by a 512th from there, so that it takes about two seconds without a
 * packet until they are long enough to cost almost no CPU.
 */
static inline void vnc_pause(struct vnc_pause *p)
{
	long least = p->gap_ns / VNC_PAUSES_PER_GAP;
	struct timespec length = {0};

	if (least < VNC_PAUSE_FIRST_NS)
		least = VNC_PAUSE_FIRST_NS;
	length.tv_nsec = p->next_ns < least ? least : p->next_ns;
	nanosleep(&length, NULL);
	if (p->waited_ns <= 2 * VNC_GAP_MAX_NS)
		p->waited_ns += length.tv_nsec;
	p->next_ns = length.tv_nsec;
	if (p->waited_ns <= 2 * p->gap_ns)
		return;
	p->next_ns += p->next_ns < VNC_PAUSE_BUSY_NS ? p->next_ns : p->next_ns / 512;
	if (p->next_ns > VNC_PAUSE_IDLE_NS)
		p->next_ns = VNC_PAUSE_IDLE_NS;
}

#endif
