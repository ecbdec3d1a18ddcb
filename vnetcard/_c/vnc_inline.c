/* SPDX-License-Identifier: MIT */
/**
 * DOC: turns: one pump's thread at the work of the other pump of the same side, while that sleeps.
 *
 * Nobody then has to be woken for it, which across cores takes longer than the work.  A word @taken says which of the
 * two threads is at a pump's work; the pump's own lets go of it only to sleep, and takes up a command only when it has it:
 * HOLD is as good as ever.
 */
#include "vnc_pump.h"
#include <poll.h>

#define TURN_MAX 16u /* packets at most: the thread has its own work */

/* May this thread be at @p's work?  Then @command is the one to carry out. */
static bool take_turn(struct vnc_pump *p, uint32_t *command)
{
	uint32_t nobody = 0;

	if (!__atomic_compare_exchange_n(&p->taken, &nobody, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	*command = __atomic_load_n(&p->done, __ATOMIC_RELAXED);
	if ((*command & 0xff) == VNC_RUN && !vnc_pump_commanded(p, *command))
		return true;
	vnc_pump_unlock(p);
	return false;
}

/**
 * vnc_inline_tx() - move what the port of @p has, in the thread of its rx pump.
 *
 * Much of what a kernel is given it answers at once, within the write: echo replies, acknowledgements.  Who delivered
 * takes the answer along.
 */
void vnc_inline_tx(struct vnc_pump *p)
{
	uint32_t command;

	if (!take_turn(p, &command))
		return;
	vnc_tx_some(p, TURN_MAX, command);
	vnc_pump_unlock(p);
}

/* Stay awake for a record, for @ns at most. Return: true when there is one, or @tx has something to do. */
static bool look_out(struct vnc_pump *p, struct vnc_pump *tx, uint32_t command, uint32_t ns)
{
	struct pollfd port = {.fd = tx->port.fd, .events = POLLIN};
	uint64_t began = vnc_clock_ns(CLOCK_MONOTONIC);
	uint64_t waited = 0;

	do {
		if (vnc_spin_until_changed(VNC_COHERENT, &p->consumer.peer->prod, p->consumer.cons)) {
			vnc_busypoll_hit(&tx->patience, (uint32_t)waited);
			return true;
		}
		if (vnc_pump_commanded(tx, command))
			return true;
		if (poll(&port, 1, 0)) { /* who goes on sending waits for no answer */
			vnc_busypoll_missed(&tx->patience);
			return true;
		}
		waited = vnc_clock_ns(CLOCK_MONOTONIC) - began;
	} while (waited < ns);
	vnc_busypoll_missed(&tx->patience);
	return false;
}

/**
 * vnc_inline_rx() - wait awake for the answer to what @tx has sent, and deliver it, in the thread of @tx.
 *
 * @tx gives up as soon as its port has something, or it is commanded something other than @command.
 * Return: whether it should look at its port at once.
 */
bool vnc_inline_rx(struct vnc_pump *p, struct vnc_pump *tx, uint32_t command)
{
	struct vnc_consumer *r = &p->consumer;
	uint32_t ns, own;
	bool again;

	if (!vnc_pump_wakeable(p) || r->domain != VNC_COHERENT || p->wait != VNC_WAIT_ADAPTIVE)
		return false;
	ns = vnc_busypoll_ns(&tx->patience);
	if (!ns || !take_turn(p, &own))
		return false;
	vnc_store32(r->domain, &r->own->need_wakeup, 0);
	again = look_out(p, tx, command, ns);
	if (again)
		vnc_rx_some(p, TURN_MAX, own);
	vnc_store32(r->domain, &r->own->need_wakeup, 1); /* its own thread still sleeps */
	vnc_full_fence(r->domain); /* (F) pairs with (E) */
	if (vnc_consumer_refresh(r) != VNC_EMPTY)
		vnc_pump_rouse(p, &r->peer->prod);
	vnc_pump_unlock(p);
	return again;
}
