/* SPDX-License-Identifier: MIT */
/**
 * DOC: the thread of a pump: it moves until a move stops, then waits in the way that the reason asks for.
 *
 *   stop          tx                                        rx
 *   PORT_EMPTY    busy-poll inline for the answer to what
 *                 was sent, else sleep on the port
 *   PORT_FULL                                               sleep on the port
 *   RING_FULL     spin, then sleep on the peer's cons
 *   RING_EMPTY                                              move the partner's packets inline, spin, then sleep on
 *                                                           the peer's prod
 *   PORT_GONE, EPOCH, VIOLATION, WINDOW_LOST: go to HOLD and raise an event.  COMMAND: take it up.
 */
#include "vnc_probe.h"
#include "vnc_pump.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#define REST_AFTER_MS 1000u /* without a packet */
#define PORT_SLEEP_MS 2000
#define QUESTION_MAX 2048u /* bytes in the ring; a stream sends more at once, and does not wait for answers */

/* ---- sleeping ---------------------------------------------------------------------------------- */

/* Sleep until the peer's interrupt, a command, or 100 ms: then true.  An interrupt from before the sleep ends it at
 * once, which does no harm. */
static bool sleep_on_irq(struct vnc_pump *p)
{
	struct pollfd fds[2] = {{.fd = p->irq_fd, .events = POLLIN}, {.fd = p->kick_fd, .events = POLLIN}};
	uint64_t drain;

	if (poll(fds, 2, VNC_SLEEP_NS / 1000000) <= 0)
		return true;
	/* EAGAIN: another thread that has the descriptor too has read it */
	if ((fds[0].revents & POLLIN) && read(p->irq_fd, &drain, sizeof(drain)) > 0)
		vnc_stats_count(&p->stats, p->kind->irq_wakeups);
	if ((fds[1].revents & POLLIN) && read(p->kick_fd, &drain, sizeof(drain)) < 0) {
		/* as in sleep_on_port() */
	}
	if ((fds[0].revents & ~POLLIN) != 0)
		vnc_pause(&p->pause); /* its device is gone: do not spin on it */
	return false;
}

/* Sleep until the peer's index leaves @seen, a command comes, or the time is up: 100 ms, on a link at rest a second.
 * Return: whether it is up. */
static bool sleep_on_index(struct vnc_pump *p, uint32_t seen)
{
	if (p->link.wake == VNC_WAKE_IRQ)
		return sleep_on_irq(p);
	if (p->link.wake == VNC_WAKE_FUTEX)
		return vnc_futex_wait(p->peer_index, seen, p->late_ms < REST_AFTER_MS ? VNC_SLEEP_NS : VNC_REST_NS);
	vnc_pause(&p->pause);
	return false;
}

/* A sleep of @ms has ended: @late, because its time has passed, or by something to do, which ends the agent's rest. */
static void count_late(struct vnc_pump *p, bool late, uint32_t ms)
{
	if (!late && p->late_ms >= REST_AFTER_MS)
		vnc_pump_raise(p, 0);
	p->late_ms = late ? p->late_ms + ms : 0;
}

static void begin_sleep(struct vnc_pump *p)
{
	vnc_stats_count(&p->stats, p->kind->sleeps);
	VNC_PROBE2(sleep, vnc_pump_is_tx(p), p->wait);
	p->taps.slept_since = vnc_tap_clock(p->taps.stages);
}

/* @late: the whole time has passed; @seen: the last snapshot of the peer's index. */
static void end_sleep(struct vnc_pump *p, bool late, uint32_t seen)
{
	VNC_PROBE3(wake, vnc_pump_is_tx(p), late, seen);
	p->taps.awake_since = vnc_tap_clock(p->taps.stages);
	count_late(p, late, VNC_SLEEP_NS / 1000000);
	if (late && vnc_get32(p->domain, p->peer_index) != seen) /* it moved without a wake-up */
		vnc_stats_count(&p->stats, p->kind->late_wakeups);
}

/*
 * Sleep until the peer of a ring port has sent something, a command comes, or 100 ms pass.  A peer without a full fence
 * between its index and its load of the flags (DPDK) may not notify: its index is then visible shortly after.
 */
static void sleep_on_rings(struct vnc_pump *p)
{
	struct pollfd fds[2] = {{.fd = p->port.fd, .events = POLLIN}, {.fd = p->kick_fd, .events = POLLIN}};
	struct vnc_rings *r = p->port.rings;
	int poll_ms = __atomic_load_n(&r->poll_ms, __ATOMIC_RELAXED);
	struct epoll_event event;
	int n, ready = 1;
	uint64_t drain;

	vnc_stats_count(&p->stats, p->kind->sleeps);
	r->ops->mask(r, false);
	vnc_pump_unlock(p);
	for (n = 0; n < VNC_SPIN_ROUNDS && !r->ops->ready(r); n++)
		vnc_cpu_relax();
	if (n == VNC_SPIN_ROUNDS)
		ready = poll(fds, 2, poll_ms ? poll_ms : VNC_SLEEP_NS / 1000000);
	if ((fds[1].revents & POLLIN) && read(p->kick_fd, &drain, sizeof(drain)) < 0) {
		/* as in sleep_on_port() */
	}
	if (!ready && !poll_ms && r->ops->ready(r))
		vnc_stats_count(&p->stats, p->kind->late_wakeups);
	vnc_pump_lock(p);
	r->ops->mask(r, true);
	epoll_wait(p->port.fd, &event, 1, 0); /* edge-triggered: its descriptor is readable until then */
}

/* Sleep until the port is ready for @events, a command comes, or a second passes. */
static void sleep_on_port(struct vnc_pump *p, short events)
{
	struct pollfd fds[2] = {{.fd = p->port.fd, .events = events}, {.fd = p->kick_fd, .events = POLLIN}};
	bool unlock = vnc_pump_is_tx(p); /* the partner can read the port; it cannot make room in it */
	uint64_t drain;
	int ready;

	if (p->wait == VNC_WAIT_POLL || (p->port.rings && !unlock))
		return; /* no descriptor says when a ring has room again */
	if (p->port.rings) {
		sleep_on_rings(p);
		return;
	}
	vnc_stats_count(&p->stats, p->kind->sleeps);
	if (unlock)
		vnc_pump_unlock(p);
	ready = poll(fds, 2, PORT_SLEEP_MS);
	if (unlock)
		vnc_pump_lock(p);
	count_late(p, ready == 0, PORT_SLEEP_MS);
	vnc_pause_note(&p->pause, vnc_pump_records(p));
	if (ready <= 0)
		return;
	if ((fds[1].revents & POLLIN) && read(p->kick_fd, &drain, sizeof(drain)) < 0) {
		/* Drained here too: a kick that came after its command was taken up would end every poll. */
	}
	/*
	 * POLLERR alone: the interface is down.  It may come up again; do not spin on it.  POLLHUP: a socket's far end
	 * has closed, and the descriptor stays readable until the port replaces it.
	 */
	if ((fds[0].revents & POLLHUP) ||
	    (!(fds[0].revents & events) && (fds[0].revents & (POLLERR | POLLNVAL))))
		vnc_pause(&p->pause);
}

/* ---- waiting ----------------------------------------------------------------------------------- */

/* Is a change of the peer's index so likely that it pays to spin for it? */
static bool spins(struct vnc_pump *p)
{
	vnc_pause_note(&p->pause, vnc_pump_records(p));
	return p->wait != VNC_WAIT_SLEEP && p->pause.next_ns < VNC_PAUSE_BUSY_NS;
}

static void wait_for_room(struct vnc_pump *p, uint32_t command)
{
	struct vnc_producer *r = &p->producer;
	struct vnc_span span[2];
	bool asks = p->link.wake != VNC_WAKE_NONE;

	vnc_stats_count(&p->stats, VNC_TXSTAT_RING_FULL);
	vnc_pump_end_batch(p);
	if (!p->taps.full_since)
		p->taps.full_since = vnc_tap_clock(p->taps.stages);
	if (spins(p) && vnc_spin_until_changed(p->domain, p->peer_index, r->cons, &p->yields, vnc_pump_records(p)))
		return;
	if (p->wait != VNC_WAIT_POLL) {
		if (asks) {
			vnc_store32(p->domain, &r->own->need_wakeup, 1);
			vnc_full_fence(p->domain); /* (F) pairs with (E) */
		}
		if (!asks || (vnc_ring_reserve(r, r->frame_max, span) == VNC_FULL && !vnc_pump_commanded(p, command))) {
			begin_sleep(p);
			end_sleep(p, sleep_on_index(p, r->cons), r->cons);
		}
		if (asks)
			vnc_store32(p->domain, &r->own->need_wakeup, 0);
	}
	if (vnc_pump_epoch_changed(p)) /* a peer that restarts empties no ring */
		vnc_pump_hold_if(p, VNC_STOP_EPOCH);
}

static void wait_for_record(struct vnc_pump *p, uint32_t command)
{
	struct vnc_consumer *r = &p->consumer;
	bool asks = p->link.wake != VNC_WAKE_NONE;
	uint32_t seen = r->prod; /* not to be read while the pump is unlocked */
	bool late;

	vnc_stats_count(&p->stats, VNC_RXSTAT_RING_EMPTY);
	vnc_pump_end_batch(p);
	if (spins(p) && vnc_spin_until_changed(p->domain, p->peer_index, seen, &p->yields, vnc_pump_records(p)))
		return;
	if (p->wait == VNC_WAIT_POLL)
		return;
	if (asks) {
		vnc_store32(p->domain, &r->own->need_wakeup, 1);
		vnc_full_fence(p->domain); /* (F) pairs with (E) */
	}
	/* Only compared here: vnc_rx_move() takes the new index, and then checks the epoch. */
	if (!asks || (vnc_load32(p->domain, p->peer_index) == seen && !vnc_pump_commanded(p, command))) {
		begin_sleep(p);
		vnc_pump_unlock(p);
		late = sleep_on_index(p, seen);
		vnc_pump_lock(p);
		end_sleep(p, late, r->prod); /* not @seen: the partner may have moved records */
	}
	if (asks)
		vnc_store32(p->domain, &r->own->need_wakeup, 0);
}

/* What went out since the port was last empty is small: it may be a question, whose answer comes soon. */
static void wait_for_packet(struct vnc_pump *p, uint32_t command)
{
	struct vnc_pump *rx = __atomic_load_n(&p->partner, __ATOMIC_ACQUIRE);
	uint32_t sent = p->producer.prod - p->asked;

	vnc_pump_end_batch(p);
	p->asked = p->producer.prod;
	if (!rx || !sent || sent > QUESTION_MAX || !vnc_inline_rx(rx, p, command))
		sleep_on_port(p, POLLIN);
}

/* ---- the commands ------------------------------------------------------------------------------ */

/* RUN of a tx pump. */
static void run_tx(struct vnc_pump *p, uint32_t command)
{
	enum vnc_stop stop;

	while (!vnc_pump_commanded(p, command)) {
		vnc_stats_begin_batch(&p->stats);
		stop = vnc_tx_move(p, UINT32_MAX, command);
		if (stop == VNC_STOP_RING_FULL)
			wait_for_room(p, command);
		else if (stop == VNC_STOP_PORT_EMPTY)
			wait_for_packet(p, command);
		else
			vnc_pump_hold_if(p, stop);
	}
}

/* RUN of an rx pump. */
static void run_rx(struct vnc_pump *p, uint32_t command)
{
	uint64_t answered = vnc_pump_records(p); /* records when the partner's port was last served */
	enum vnc_stop stop;

	vnc_stats_begin_batch(&p->stats);
	while (!vnc_pump_commanded(p, command)) {
		stop = vnc_rx_move(p, UINT32_MAX, command);
		if (stop == VNC_STOP_RING_EMPTY) {
			if (p->partner && vnc_pump_records(p) != answered)
				vnc_inline_tx(p->partner);
			wait_for_record(p, command);
			answered = vnc_pump_records(p); /* includes those that the partner moved */
			vnc_stats_begin_batch(&p->stats);
		} else if (stop == VNC_STOP_PORT_FULL) {
			sleep_on_port(p, POLLOUT);
			if (p->no_buffers)
				vnc_pause(&p->pause);
		} else {
			vnc_pump_hold_if(p, stop);
		}
	}
}

/* DROP of a tx pump. @which: word of the ledger. */
static void drop(struct vnc_pump *p, uint32_t command, unsigned int which)
{
	enum vnc_stop stop;

	while (!vnc_pump_commanded(p, command)) {
		stop = vnc_tx_drop(p, command, which);
		if (stop == VNC_STOP_PORT_EMPTY)
			sleep_on_port(p, POLLIN);
		else
			vnc_pump_hold_if(p, stop);
	}
}

/** vnc_pump_step() - carry out @command, RUN or DROP, until another one waits. */
void vnc_pump_step(struct vnc_pump *p, uint32_t command)
{
	switch (command & 0xff) {
	case VNC_RUN:
		(vnc_pump_is_tx(p) ? run_tx : run_rx)(p, command);
		break;
	case VNC_DROP_PEER_DEAD:
		drop(p, command, VNC_TX_DROP_PEER_DEAD);
		break;
	default:
		drop(p, command, VNC_TX_DROP_LINK_DOWN);
	}
}

/* ---- the thread -------------------------------------------------------------------------------- */

/* Put @command in force. */
static void take_up(struct vnc_pump *p, uint32_t command)
{
	uint64_t drain;

	if (read(p->kick_fd, &drain, sizeof(drain)) < 0) {
		/* EAGAIN: the command was seen before its kick */
	}
	p->pause.next_ns = 0;
	if ((command ^ __atomic_load_n(&p->done, __ATOMIC_RELAXED)) >> 8) { /* given by the agent, not the pump's own */
		p->taps = p->taps_wanted;
		if (__atomic_exchange_n(&p->doubtful, 0, __ATOMIC_ACQUIRE))
			vnc_pump_restore(p);
	}
	vnc_rmb(p->domain); /* nothing that the agent read ahead of the command is read in an older state here */
	__atomic_store_n(&p->done, command, __ATOMIC_RELEASE);
	vnc_futex_wake(&p->done);
}

static void *pump_main(void *arg)
{
	struct vnc_pump *p = arg;
	uint32_t command;

	prctl(PR_SET_NAME, p->kind->thread_name);
	prctl(PR_SET_TIMERSLACK, 1); /* ns; a pause of 20 us would else take 70 */
	for (;;) {
		command = __atomic_load_n(&p->command, __ATOMIC_ACQUIRE);
		if (command != __atomic_load_n(&p->done, __ATOMIC_RELAXED))
			take_up(p, command);
		switch (command & 0xff) {
		case VNC_EXIT:
			return NULL;
		case VNC_HOLD:
			vnc_futex_wait(&p->command, command, VNC_SLEEP_NS);
			break;
		default:
			vnc_pump_step(p, command);
		}
	}
}

/** vnc_pump_start() - start the thread, in HOLD. Return: 0, or an errno. */
int vnc_pump_start(struct vnc_pump *p)
{
	sigset_t all, before;
	int failed;

	p->command = p->done = VNC_HOLD;
	p->locked = 1;
	sigfillset(&all); /* signals are the agent's: its main thread must get them */
	sigdelset(&all, SIGBUS); /* but not those that the thread's own access raises (vnc_sigbus.h) */
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&p->thread, NULL, pump_main, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	p->started = !failed;
	return failed;
}
