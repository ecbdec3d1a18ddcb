/* SPDX-License-Identifier: MIT */
/* The thread of a pump and its command channel; what it does in RUN is in vnc_tx.c and vnc_rx.c. */
#include "vnc_pump.h"
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#define AGAIN 0x100u /* no command has this number */

/** vnc_pump_commanded() - is there a command other than @command? */
bool vnc_pump_commanded(const struct vnc_pump *p, uint32_t command)
{
	return __atomic_load_n(&p->command, __ATOMIC_ACQUIRE) != command;
}

/** vnc_pump_raise() - tell the agent. */
void vnc_pump_raise(struct vnc_pump *p, uint32_t event)
{
	uint64_t one = 1;

	__atomic_fetch_or(&p->events, event, __ATOMIC_RELEASE);
	if (write(p->attention_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: the agent has 2^64 - 2 reasons to look already */
	}
}

/** vnc_pump_hold() - leave RUN of one's own accord, unless the agent has commanded something else since. */
void vnc_pump_hold(struct vnc_pump *p, uint32_t event)
{
	uint32_t mode = __atomic_load_n(&p->done, __ATOMIC_RELAXED) & 0xff;
	uint32_t was = __atomic_load_n(&p->command, __ATOMIC_ACQUIRE);

	while ((was & 0xff) == mode) /* the same again is no reason to go on */
		if (__atomic_compare_exchange_n(&p->command, &was, (was & ~0xffu) | VNC_HOLD, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			break;
	vnc_pump_raise(p, event);
}

/** vnc_pump_epoch_changed() - has the peer a new epoch?  Then go to HOLD and tell the agent. */
bool vnc_pump_epoch_changed(struct vnc_pump *p)
{
	if (vnc_load32(vnc_pump_domain(p), p->link.peer_epoch) == p->link.epoch) /* (H) pairs with (G) */
		return false;
	vnc_pump_hold(p, VNC_EVENT_EPOCH);
	return true;
}

uint32_t vnc_pump_take_events(struct vnc_pump *p)
{
	return __atomic_exchange_n(&p->events, 0, __ATOMIC_ACQUIRE);
}

/* Sleep until the peer's bell, a command, or 100 ms: then true.  A ring from before the sleep ends it at once: no harm. */
static bool sleep_on_irq(struct vnc_pump *p)
{
	struct pollfd fds[2] = {{.fd = p->irq_fd, .events = POLLIN}, {.fd = p->kick_fd, .events = POLLIN}};
	uint64_t drain;

	if (poll(fds, 2, VNC_SLEEP_NS / 1000000) <= 0)
		return true;
	/* EAGAIN: heard by somebody else, who has the descriptor too */
	if ((fds[0].revents & POLLIN) && read(p->irq_fd, &drain, sizeof(drain)) > 0)
		vnc_count(p, p->tx ? VNC_TXSTAT_WAKEUPS_HEARD : VNC_RXSTAT_WAKEUPS_HEARD);
	if ((fds[1].revents & POLLIN) && read(p->kick_fd, &drain, sizeof(drain)) < 0) {
		/* As in vnc_pump_sleep_on_port() */
	}
	if ((fds[0].revents & ~POLLIN) != 0)
		vnc_pause(&p->pause_ns); /* its device is gone: do not spin on it */
	return false;
}

/** vnc_pump_sleep_on_word() - sleep until *@word leaves @seen, a command comes, or 100 ms pass. */
void vnc_pump_sleep_on_word(struct vnc_pump *p, const uint32_t *word, uint32_t seen)
{
	bool late = false;

	vnc_count(p, p->tx ? VNC_TXSTAT_SLEEPS : VNC_RXSTAT_SLEEPS);
	p->taps.slept_since = vnc_tap_clock(p->taps.stages);
	if (!p->tx)
		vnc_pump_unlock(p);
	if (p->link.belled)
		late = sleep_on_irq(p);
	else if (vnc_pump_wakeable(p))
		late = vnc_futex_wait(word, seen, VNC_SLEEP_NS);
	else
		vnc_pause(&p->pause_ns);
	if (!p->tx)
		vnc_pump_lock(p);
	p->taps.awake_since = vnc_tap_clock(p->taps.stages);
	if (!p->tx)
		seen = p->consumer.prod; /* a turn of the tx pump may have been here */
	if (late && vnc_get32(vnc_pump_domain(p), word) != seen) /* it moved, and woke nobody */
		vnc_count(p, p->tx ? VNC_TXSTAT_LATE_WAKEUPS : VNC_RXSTAT_LATE_WAKEUPS);
}

/** vnc_pump_rouse() - as vnc_pump_wake() from the other side, for @p itself, which sleeps on @word. */
void vnc_pump_rouse(struct vnc_pump *p, const uint32_t *word)
{
	uint64_t one = 1;

	if (!p->link.belled)
		vnc_futex_wake(word);
	else if (write(p->kick_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: kicked already */
	}
}

/** vnc_pump_lock() - the pump's own thread is at it again, once the other one's has ended its turn. */
void vnc_pump_lock(struct vnc_pump *p)
{
	while (__atomic_exchange_n(&p->taken, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

/** vnc_pump_unlock() - from here on, until it takes it again, a turn of the other pump may move packets. */
void vnc_pump_unlock(struct vnc_pump *p)
{
	__atomic_store_n(&p->taken, 0, __ATOMIC_RELEASE);
}

/** vnc_pump_sleep_on_port() - sleep until the port is ready for @events or a command comes. */
void vnc_pump_sleep_on_port(struct vnc_pump *p, short events)
{
	struct pollfd fds[2] = {{.fd = p->port.fd, .events = events}, {.fd = p->kick_fd, .events = POLLIN}};
	uint64_t drain;
	int ready;

	if (p->wait == VNC_WAIT_POLL)
		return;
	vnc_count(p, p->tx ? VNC_TXSTAT_SLEEPS : VNC_RXSTAT_SLEEPS);
	if (p->tx)
		vnc_pump_unlock(p);
	ready = poll(fds, 2, 1000);
	if (p->tx)
		vnc_pump_lock(p);
	if (ready <= 0)
		return;
	if ((fds[1].revents & POLLIN) && read(p->kick_fd, &drain, sizeof(drain)) < 0) {
		/* Drained here too: a kick that came after its command was seen would end every poll. */
	}
	if (!(fds[0].revents & events) && (fds[0].revents & (POLLERR | POLLHUP | POLLNVAL)))
		/* POLLERR alone: an interface that is down. It comes back; do not spin on it. */
		vnc_pause(&p->pause_ns);
}

/** vnc_pump_note_packet() - tell the taps of the packet that the pump is at; @what lacks what the pump knows. */
void vnc_pump_note_packet(struct vnc_pump *p, const struct vnc_note *what)
{
	struct vnc_note note = *what;

	note.time = note.time ? note.time : vnc_tap_now();
	note.generation = p->link.generation;
	note.index = p->tx ? p->producer.prod : p->consumer.cons;
	note.seq = p->tx ? p->producer.seq - (note.stage == VNC_TAP_COMMIT) : p->consumer.seq;
	vnc_tap_note(&p->taps, &note);
}

/** vnc_pump_note_batch() - tell the taps of what was published, at @visible, since the last time. */
void vnc_pump_note_batch(struct vnc_pump *p, unsigned int stage, uint64_t visible, uint32_t notice)
{
	uint32_t end = p->tx ? p->producer.seq : p->consumer.seq;
	struct vnc_note note = {
		.stage = (uint8_t)stage, .time = vnc_tap_now(), .before = visible,
		.generation = p->link.generation, .index = p->tx ? p->producer.prod : p->consumer.cons,
		.seq = p->taps.first, .len = end - p->taps.first, .value = notice,
	};

	p->taps.first = end;
	p->taps.batch = 0;
	vnc_tap_note(&p->taps, &note);
}

static void *vnc_pump_main(void *arg)
{
	struct vnc_pump *p = arg;
	uint64_t drain;
	uint32_t command;

	prctl(PR_SET_NAME, p->tx ? "vnc-tx" : "vnc-rx"); /* for top -H, and for observe/cpu.py */
	for (;;) {
		command = __atomic_load_n(&p->command, __ATOMIC_ACQUIRE);
		if (command != __atomic_load_n(&p->done, __ATOMIC_RELAXED)) {
			if (read(p->kick_fd, &drain, sizeof(drain)) < 0) {
				/* EAGAIN: the command was seen before its kick */
			}
			p->pause_ns = 0;
			if ((command ^ __atomic_load_n(&p->done, __ATOMIC_RELAXED)) >> 8) /* given, not the pump's own */
				p->taps = p->taps_wanted;
			vnc_rmb(vnc_pump_domain(p)); /* what the agent saw before it commanded is not to be seen older */
			__atomic_store_n(&p->done, command, __ATOMIC_RELEASE);
			vnc_futex_wake(&p->done);
		}
		switch (command & 0xff) {
		case VNC_EXIT:
			return NULL;
		case VNC_HOLD:
			vnc_futex_wait(&p->command, command, VNC_SLEEP_NS);
			break;
		default:
			if (p->tx)
				vnc_tx_step(p, command);
			else
				vnc_rx_step(p, command);
		}
	}
}

/** vnc_pump_start() - the thread, in HOLD. Return: 0, or an errno. */
int vnc_pump_start(struct vnc_pump *p)
{
	sigset_t all, before;
	int failed;

	p->command = p->done = VNC_HOLD;
	p->taken = 1;
	sigfillset(&all); /* signals are the agent's: its main thread must get them */
	sigdelset(&all, SIGBUS); /* but not what the thread's own access brings forth (vnc_sigbus.h) */
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&p->thread, NULL, vnc_pump_main, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	p->started = !failed;
	return failed;
}

/* Give @command, or the one in force again (AGAIN), and return once the pump has taken it up. */
static void give(struct vnc_pump *p, uint32_t command)
{
	const uint32_t *word = p->tx ? &p->producer.peer->cons : &p->consumer.peer->prod;
	uint32_t old = __atomic_load_n(&p->command, __ATOMIC_ACQUIRE);
	uint32_t next, done;
	uint64_t one = 1;

	if (!p->started)
		return;
	do /* the pump may go to HOLD by itself just now */
		next = (old & ~0xffu) + 0x100u + (command == AGAIN ? old & 0xff : command);
	while (!__atomic_compare_exchange_n(&p->command, &old, next, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	while ((done = __atomic_load_n(&p->done, __ATOMIC_ACQUIRE)) >> 8 != next >> 8) {
		/* Wherever it sleeps: in poll(), on the command word, on the peer's index.  It may be on
		 * its way to that sleep just now, so wake it again until it answers. */
		if (write(p->kick_fd, &one, sizeof(one)) < 0) {
			/* EAGAIN: kicked already */
		}
		vnc_futex_wake(&p->command);
		if (vnc_pump_wakeable(p))
			vnc_futex_wake(word);
		vnc_futex_wait(&p->done, done, 1000000L);
	}
}

/** vnc_pump_command() - give @command and return once the pump has taken it up. */
void vnc_pump_command(struct vnc_pump *p, enum vnc_command command)
{
	give(p, (uint32_t)command);
}

/**
 * vnc_pump_tap() - from now on the pump tells @taps, and nobody else, what it does.
 *
 * The pump goes on with what it does.  It has let go of all other taps when this returns.
 */
void vnc_pump_tap(struct vnc_pump *p, struct vnc_tap *const *taps, uint32_t count)
{
	struct vnc_taps wanted = {.count = count};
	uint32_t n;

	for (n = 0; n < count; n++) {
		wanted.tap[n] = taps[n];
		wanted.stages |= taps[n]->stages;
	}
	p->taps_wanted = wanted; /* the pump looks only once it sees the command below */
	give(p, AGAIN);
}

/** vnc_pump_pair() - from now on @p's thread takes turns at the work of @other, or, if that is NULL, at nobody's. */
void vnc_pump_pair(struct vnc_pump *p, struct vnc_pump *other)
{
	__atomic_store_n(&p->other, other, __ATOMIC_RELEASE);
	give(p, AGAIN); /* a turn that it may be in is over when this returns */
}

/** vnc_pump_stop() - end the thread and wait for it. */
void vnc_pump_stop(struct vnc_pump *p)
{
	if (!p->started)
		return;
	vnc_pump_command(p, VNC_EXIT);
	pthread_join(p->thread, NULL);
	p->started = false;
}
