/* SPDX-License-Identifier: MIT */
/**
 * DOC: inline moves: a pump's thread moves packets of its partner, the other pump of the same side.
 *
 * It does so while the partner's own thread sleeps, which then need not be woken; a wake-up across cores takes longer
 * than the move.  The lock (vnc_pump_core.c) keeps the two threads apart, and HOLD stays HOLD.
 */
#include "vnc_pump.h"
#include <poll.h>

#define INLINE_MAX 16u /* packets at most: the thread has its own pump to serve */

/* Lock @p if its packets may be moved now. Return: whether they may; then @command is the command in force. */
static bool lock_running(struct vnc_pump *p, uint32_t *command)
{
	if (!vnc_pump_try_lock(p))
		return false;
	*command = __atomic_load_n(&p->done, __ATOMIC_RELAXED);
	if ((*command & 0xff) == VNC_RUN && !vnc_pump_commanded(p, *command))
		return true;
	vnc_pump_unlock(p);
	return false;
}

/* The pump's own thread sleeps: end its sleep. */
static void wake_owner(const struct vnc_pump *p)
{
	if (p->link.wake == VNC_WAKE_FUTEX)
		vnc_futex_wake(p->peer_index);
	else
		vnc_pump_kick(p);
}

/**
 * vnc_inline_tx() - move what the port of @tx has, in the thread of its rx pump.
 *
 * A kernel answers much of what it is given at once, within the write: echo replies, acknowledgements.  The thread that
 * has written takes the answer along.
 */
void vnc_inline_tx(struct vnc_pump *tx)
{
	uint32_t command;

	if (!lock_running(tx, &command))
		return;
	vnc_stats_begin_batch(&tx->stats);
	/* what is left of a frame makes no port readable */
	if (vnc_pump_hold_if(tx, vnc_tx_move(tx, INLINE_MAX, command)) || vnc_finish_left(&tx->finish))
		vnc_pump_kick(tx);
	vnc_pump_end_batch(tx);
	vnc_pump_unlock(tx);
}

/* Has the port of @tx a packet, or an error? */
static bool port_ready(const struct vnc_pump *tx)
{
	struct pollfd port = {.fd = tx->port.fd, .events = POLLIN};

	return tx->port.rings ? tx->port.rings->ops->ready(tx->port.rings) : poll(&port, 1, 0) != 0;
}

/* Busy-poll for a record, for @ns at most. Return: true when there is one, or @tx has something to do. */
static bool busy_poll(struct vnc_pump *rx, struct vnc_pump *tx, uint32_t command, uint32_t ns)
{
	uint64_t began = vnc_clock_ns(CLOCK_MONOTONIC);
	uint64_t waited = 0;

	do {
		if (vnc_spin_until_changed(VNC_COHERENT, rx->peer_index, rx->consumer.cons, &tx->yields,
					   vnc_pump_records(tx))) {
			vnc_busypoll_hit(&tx->busypoll, (uint32_t)waited);
			return true;
		}
		if (vnc_pump_commanded(tx, command))
			return true;
		if (port_ready(tx)) { /* a program that sends again was not waiting for an answer */
			vnc_busypoll_missed(&tx->busypoll);
			return true;
		}
		waited = vnc_clock_ns(CLOCK_MONOTONIC) - began;
	} while (waited < ns);
	vnc_busypoll_missed(&tx->busypoll);
	return false;
}

/**
 * vnc_inline_rx() - busy-poll for the answer to what @tx has sent, and deliver it, in the thread of @tx.
 *
 * It stops as soon as the port of @tx has a packet, or a command other than @command waits for @tx.
 * Return: whether @tx should read its port again at once.
 */
bool vnc_inline_rx(struct vnc_pump *rx, struct vnc_pump *tx, uint32_t command)
{
	struct vnc_consumer *r = &rx->consumer;
	uint32_t ns, own;
	bool again;

	if (rx->link.wake == VNC_WAKE_NONE || rx->domain != VNC_COHERENT || rx->wait != VNC_WAIT_ADAPTIVE)
		return false;
	ns = vnc_busypoll_ns(&tx->busypoll);
	if (!ns || !lock_running(rx, &own))
		return false;
	vnc_store32(rx->domain, &r->own->need_wakeup, 0);
	again = busy_poll(rx, tx, command, ns);
	if (again) {
		vnc_stats_begin_batch(&rx->stats);
		vnc_pump_hold_if(rx, vnc_rx_move(rx, INLINE_MAX, own));
		vnc_pump_end_batch(rx);
	}
	vnc_store32(rx->domain, &r->own->need_wakeup, 1); /* its own thread still sleeps */
	vnc_full_fence(rx->domain); /* (F) pairs with (E) */
	/* The snapshot stays as it is: only vnc_rx_move() takes a new one, and then checks the epoch. */
	if (r->prod != r->cons || vnc_load32(rx->domain, rx->peer_index) != r->prod)
		wake_owner(rx);
	vnc_pump_unlock(rx);
	return again;
}
