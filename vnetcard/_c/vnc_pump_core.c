/* SPDX-License-Identifier: MIT */
/* What both kinds of pump share: commands, events, the lock, entries for taps.  Nothing here moves a packet or waits
 * for one. */
#include "vnc_pump.h"
#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>

#define AGAIN 0x100u /* the command in force, given again; no command has this number */

const struct vnc_pump_kind vnc_kind_tx = {
	.thread_name = "vnc-tx", /* for top -H, and for observe/cpu.py */
	.records = VNC_TX_TX_SENT,
	.publications = VNC_TXSTAT_PUBLICATIONS,
	.sleeps = VNC_TXSTAT_SLEEPS,
	.irq_wakeups = VNC_TXSTAT_IRQ_WAKEUPS,
	.late_wakeups = VNC_TXSTAT_LATE_WAKEUPS,
	.busy_ns = VNC_TXSTAT_BUSY_NS,
	.moved_at_ns = VNC_TXSTAT_MOVED_AT_NS,
};

const struct vnc_pump_kind vnc_kind_rx = {
	.thread_name = "vnc-rx",
	.records = VNC_RX_RX_RECEIVED,
	.publications = VNC_RXSTAT_PUBLICATIONS,
	.sleeps = VNC_RXSTAT_SLEEPS,
	.irq_wakeups = VNC_RXSTAT_IRQ_WAKEUPS,
	.late_wakeups = VNC_RXSTAT_LATE_WAKEUPS,
	.busy_ns = VNC_RXSTAT_BUSY_NS,
	.moved_at_ns = VNC_RXSTAT_MOVED_AT_NS,
};

/* Continue with what an earlier owner counted; from 0 with what another program has overwritten since. */
static void open_counters(struct vnc_pump *p, enum vnc_domain domain, uint64_t *ledger, uint64_t *batches)
{
	bool plausible;

	vnc_rmb(domain);
	plausible = vnc_stats_open(&p->stats, domain, ledger + 2 * VNC_LEDGER_WORDS, batches);
	vnc_ledger_open(&p->ledger, domain, ledger);
	if (p->ledger.found == VNC_LEDGER_EMPTY && p->stats.now[p->kind->publications])
		p->ledger.found = VNC_LEDGER_RUINED; /* zeros: what was published once was counted once */
	if (!plausible || p->ledger.found == VNC_LEDGER_RUINED)
		vnc_stats_restart(&p->stats);
	p->restarted = !plausible || p->ledger.found == VNC_LEDGER_RUINED;
	p->restored = p->ledger.found == VNC_LEDGER_OLDER;
}

/**
 * vnc_pump_open() - the part of vnc_tx_open() and vnc_rx_open() that both need; continues with the counters of an
 * earlier owner.
 * @p: zeros, but for what the caller has set of @port, @link.peer_epoch, @wait, @futex, @attention_fd and @doorbell.
 * @ledger: of this end in the window; the statistics follow it.
 * @batches: of this end in the window.
 * Return: 0, or an errno.
 */
int vnc_pump_open(struct vnc_pump *p, const struct vnc_pump_kind *kind, enum vnc_domain domain, uint64_t *ledger,
		  uint64_t *batches)
{
	p->kind = kind;
	p->domain = domain;
	p->command = p->done = VNC_HOLD;
	p->irq_fd = p->peer_irq.fd = -1;
	open_counters(p, domain, ledger, batches);
	p->stats.busy_ns = p->stats.now[kind->busy_ns];
	p->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return p->kick_fd < 0 ? errno : 0;
}

/** vnc_pump_close() - end the thread, if it was started, and wait for it. */
void vnc_pump_close(struct vnc_pump *p)
{
	if (p->started) {
		vnc_pump_command(p, VNC_EXIT);
		pthread_join(p->thread, NULL);
		p->started = false;
	}
	if (p->kick_fd >= 0)
		close(p->kick_fd);
	p->kick_fd = -1;
}

/** vnc_pump_begin() - the part of vnc_tx_begin() and vnc_rx_begin() that both need; in HOLD. */
void vnc_pump_begin(struct vnc_pump *p, const struct vnc_agreement *with)
{
	struct vnc_link *link = &p->link;

	/* Where there is an engine, it is the engine that wakes the peer. */
	if ((with->features & VNC_F_IRQ) && p->irq_fd >= 0 && p->peer_irq.fd >= 0)
		link->wake = VNC_WAKE_IRQ;
	else if (p->futex && ((with->features & VNC_F_WAKE) || vnc_has_doorbell(&p->doorbell)))
		link->wake = VNC_WAKE_FUTEX;
	else
		link->wake = VNC_WAKE_NONE;
	link->epoch = with->peer_epoch;
	link->generation = (uint64_t)with->own_epoch << 32 | with->peer_epoch;
	link->serial = with->serial;
	link->features = with->features;
	link->packet_max = with->packet_max;
	__atomic_store_n(&p->refused, 0, __ATOMIC_RELAXED);
	/* These events of the generation before say nothing about this one. */
	__atomic_fetch_and(&p->events, ~(VNC_EVENT_EPOCH | VNC_EVENT_VIOLATION), __ATOMIC_RELAXED);
}

/* ---- events ------------------------------------------------------------------------------------ */

/** vnc_pump_raise() - set @event and end the agent's poll(). */
void vnc_pump_raise(struct vnc_pump *p, uint32_t event)
{
	uint64_t one = 1;

	__atomic_fetch_or(&p->events, event, __ATOMIC_RELEASE);
	if (write(p->attention_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: its counter is full, so the agent's poll() ends anyway */
	}
}

/** vnc_pump_take_events() - the events raised since the last call. */
uint32_t vnc_pump_take_events(struct vnc_pump *p)
{
	return __atomic_exchange_n(&p->events, 0, __ATOMIC_ACQUIRE);
}

/** vnc_pump_hold() - change from RUN to HOLD, unless the agent has commanded something else since; raise @event. */
void vnc_pump_hold(struct vnc_pump *p, uint32_t event)
{
	uint32_t mode = __atomic_load_n(&p->done, __ATOMIC_RELAXED) & 0xff;
	uint32_t was = __atomic_load_n(&p->command, __ATOMIC_ACQUIRE);

	while ((was & 0xff) == mode) /* the same command, given again, does not keep the pump running */
		if (__atomic_compare_exchange_n(&p->command, &was, (was & ~0xffu) | VNC_HOLD, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			break;
	vnc_pump_raise(p, event);
}

/** vnc_pump_hold_if() - hold the pump if @stop is one after which it must not go on. Return: whether it is. */
bool vnc_pump_hold_if(struct vnc_pump *p, enum vnc_stop stop)
{
	static const uint8_t event[] = {
		[VNC_STOP_PORT_GONE] = VNC_EVENT_PORT_GONE,
		[VNC_STOP_EPOCH] = VNC_EVENT_EPOCH,
		[VNC_STOP_VIOLATION] = VNC_EVENT_VIOLATION,
		[VNC_STOP_WINDOW_LOST] = VNC_EVENT_WINDOW_LOST,
	};

	if (!event[stop])
		return false;
	vnc_pump_hold(p, event[stop]);
	return true;
}

/* ---- commands ---------------------------------------------------------------------------------- */

/** vnc_pump_kick() - end the poll() in which the pump's thread sleeps, or its next one. */
void vnc_pump_kick(const struct vnc_pump *p)
{
	uint64_t one = 1;

	if (write(p->kick_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: it is kicked already */
	}
}

/* Give @command, or AGAIN, and return once it is in force. */
static void give(struct vnc_pump *p, uint32_t command)
{
	uint32_t old = __atomic_load_n(&p->command, __ATOMIC_ACQUIRE);
	uint32_t next, done;

	if (!p->started)
		return;
	do /* the pump may change to HOLD by itself at this moment */
		next = (old & ~0xffu) + 0x100u + (command == AGAIN ? old & 0xff : command);
	while (!__atomic_compare_exchange_n(&p->command, &old, next, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	while ((done = __atomic_load_n(&p->done, __ATOMIC_ACQUIRE)) >> 8 != next >> 8) {
		/* It sleeps in poll(), on the command word, or on the peer's index.  It may be about to sleep, so
		 * wake it again until it answers. */
		vnc_pump_kick(p);
		vnc_futex_wake(&p->command);
		if (p->link.wake == VNC_WAKE_FUTEX)
			vnc_futex_wake(p->peer_index);
		vnc_futex_wait(&p->done, done, 1000000L);
	}
}

/** vnc_pump_command() - give @command and return once it is in force. */
void vnc_pump_command(struct vnc_pump *p, enum vnc_command command)
{
	give(p, (uint32_t)command);
}

/**
 * vnc_pump_set_taps() - from now on the pump writes entries into @taps and into no others.
 *
 * The pump goes on with its work meanwhile.  When this returns it uses no other tap any more.
 */
void vnc_pump_set_taps(struct vnc_pump *p, struct vnc_tap *const *taps, uint32_t count)
{
	struct vnc_taps wanted = {.count = count};
	uint32_t n;

	for (n = 0; n < count; n++) {
		wanted.tap[n] = taps[n];
		wanted.stages |= taps[n]->stages;
	}
	p->taps_wanted = wanted; /* the pump reads this only after it has seen the command below */
	give(p, AGAIN);
}

/**
 * vnc_pump_set_partner() - from now on the thread of @p may move packets of @partner while that one's thread sleeps.
 * @partner: NULL: of no other pump.  When this returns, the thread does not use the old partner any more.
 */
void vnc_pump_set_partner(struct vnc_pump *p, struct vnc_pump *partner)
{
	__atomic_store_n(&p->partner, partner, __ATOMIC_RELEASE);
	give(p, AGAIN);
}

/* ---- the counters in the window ------------------------------------------------------------------ */

/** vnc_pump_restore() - in the pump's own thread: write all counters again if they were overwritten in the window. */
void vnc_pump_restore(struct vnc_pump *p)
{
	bool intact, ahead;

	vnc_wmb(p->domain); /* all that this thread has counted is there, and what it reads below is not older */
	vnc_rmb(p->domain);
	intact = vnc_ledger_intact(&p->ledger);
	ahead = vnc_stats_ahead(&p->stats); /* what lags behind may be a store of the partner's thread that waits */
	if (!intact) {
		vnc_ledger_flip(&p->ledger); /* over both slots */
		vnc_ledger_flip(&p->ledger);
	}
	vnc_stats_publish(&p->stats);
	vnc_wmb(p->domain);
	if (!intact || ahead)
		__atomic_fetch_add(&p->restored, 1, __ATOMIC_RELAXED);
}

/**
 * vnc_pump_check_counters() - let the pump restore its counters in the window if they are not what it has written.
 *
 * An intact window costs the pump nothing, and its thread is not woken.
 * Return: how often they were restored so far.
 */
uint32_t vnc_pump_check_counters(struct vnc_pump *p)
{
	if (!(vnc_ledger_intact(&p->ledger) && vnc_stats_intact(&p->stats))) {
		if (p->started) {
			__atomic_store_n(&p->doubtful, 1, __ATOMIC_RELEASE);
			give(p, AGAIN);
		} else {
			vnc_pump_restore(p);
		}
	}
	return __atomic_load_n(&p->restored, __ATOMIC_RELAXED);
}

/* ---- the lock ---------------------------------------------------------------------------------- */

/*
 * The thread that holds a pump's lock may move its packets.  The pump's own thread holds it always, except while it
 * sleeps where its partner can help: a tx pump on its port, an rx pump on the peer's index.  It takes up a command only
 * while it holds the lock, so in HOLD nothing moves.
 */

/** vnc_pump_try_lock() - for the partner's thread. Return: whether it has the lock. */
bool vnc_pump_try_lock(struct vnc_pump *p)
{
	uint32_t unlocked = 0;

	if (!__atomic_compare_exchange_n(&p->locked, &unlocked, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	vnc_rmb(p->domain); /* as below */
	return true;
}

/** vnc_pump_lock() - for the pump's own thread: waits until the partner's thread has unlocked. */
void vnc_pump_lock(struct vnc_pump *p)
{
	while (__atomic_exchange_n(&p->locked, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	/* What the other thread has read of device memory, this one must not find in an older state: an index would
	 * have gone back, which is a violation. */
	vnc_rmb(p->domain);
}

/** vnc_pump_unlock() - end what vnc_pump_lock() or vnc_pump_try_lock() has begun. */
void vnc_pump_unlock(struct vnc_pump *p)
{
	__atomic_store_n(&p->locked, 0, __ATOMIC_RELEASE);
}

/* ---- after a move ------------------------------------------------------------------------------ */

/** vnc_pump_wake_peer() - end the sleep of the peer's pump, which sleeps on @index. */
void vnc_pump_wake_peer(const struct vnc_pump *p, const uint32_t *index)
{
	if (p->link.wake == VNC_WAKE_IRQ)
		vnc_irq_raise(&p->peer_irq);
	else
		vnc_futex_wake(index);
}

/** vnc_pump_end_batch() - a wait follows: what was moved since the last one was a batch. */
void vnc_pump_end_batch(struct vnc_pump *p)
{
	if (!vnc_stats_end_batch(&p->stats, vnc_pump_records(p)))
		return;
	vnc_stats_set(&p->stats, p->kind->busy_ns, p->stats.busy_ns);
	vnc_stats_set(&p->stats, p->kind->moved_at_ns, vnc_clock_ns(CLOCK_REALTIME_COARSE));
}

/** vnc_pump_tap_packet() - write @entry, about one packet, into the taps; sets the generation, and the time if 0. */
void vnc_pump_tap_packet(struct vnc_pump *p, const struct vnc_tap_entry *entry)
{
	struct vnc_tap_entry full = *entry;

	full.time = full.time ? full.time : vnc_tap_now();
	full.generation = p->link.generation;
	full.flags |= p->port.ethernet ? VNC_TAP_ETHERNET : 0;
	vnc_tap_write(&p->taps, &full);
}

/** vnc_pump_tap_batch() - write @entry, about the records from the last one to @entry->seq, which were published. */
void vnc_pump_tap_batch(struct vnc_pump *p, const struct vnc_tap_entry *entry)
{
	struct vnc_tap_entry full = *entry;

	full.time = vnc_tap_now();
	full.generation = p->link.generation;
	full.seq = p->taps.first;
	full.len = entry->seq - p->taps.first;
	p->taps.first = entry->seq;
	p->taps.batch = 0;
	vnc_tap_write(&p->taps, &full);
}
