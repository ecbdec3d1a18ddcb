/* SPDX-License-Identifier: MIT */
/* The packets of vnc_side.h: what the pumps of an agent do (vnc_tx.c, vnc_rx.c), without a port. */
#include "vnc_side.h"

static bool epoch_changed(const struct vnc_side *s)
{
	return vnc_load32(s->config.domain, &s->peer->epoch) != s->answered;
}

static void count_stat(const struct vnc_side *s, struct vnc_side_stats *stats, unsigned int which)
{
	vnc_put64(s->config.domain, &stats->shared[which], ++stats->now[which]);
}

static void stop_moving(struct vnc_side *s, struct vnc_side_stats *stats, unsigned int which)
{
	s->running = false;
	s->violated = true;
	if (!epoch_changed(s))
		count_stat(s, stats, which);
}

static void publish_sent(struct vnc_side *s)
{
	if (s->tx.prod == s->tx.published)
		return;
	s->tx_ledger.now[VNC_LEDGER_INDEX] = s->tx.prod;
	vnc_ledger_flip(&s->tx_ledger); /* first: a restart must find every packet that the peer may have read */
	vnc_producer_publish(&s->tx);
	count_stat(s, &s->tx_stats, VNC_TXSTAT_PUBLICATIONS);
}

/**
 * vnc_side_reserve() - room for a packet of @len bytes in the ring, in two pieces where the ring ends.
 * @full: out; true: no room now, and nothing was counted: try again.
 * Return: whether to fill @span and call vnc_side_commit(); otherwise, unless @full, the packet was counted as dropped.
 */
bool vnc_side_reserve(struct vnc_side *s, uint32_t len, struct vnc_span span[2], bool *full)
{
	uint64_t *now = s->tx_ledger.now;
	enum vnc_ring_result got = VNC_OK;
	unsigned int drop = s->state == VNC_SIDE_PEER_DEAD ? VNC_TX_DROP_PEER_DEAD : VNC_TX_DROP_LINK_DOWN;

	*full = false;
	if (s->running) {
		got = vnc_ring_reserve(&s->tx, len, span);
		if (got == VNC_OK)
			return true;
		if (got == VNC_FULL) {
			count_stat(s, &s->tx_stats, VNC_TXSTAT_RING_FULL);
			*full = true;
			return false;
		}
		if (got == VNC_BAD_INDEX)
			stop_moving(s, &s->tx_stats, VNC_TXSTAT_VIOL_CONS);
		else
			drop = len ? VNC_TX_DROP_TOO_BIG : VNC_TX_DROP_MALFORMED;
	}
	publish_sent(s);
	now[VNC_TX_TX_TAKEN]++;
	now[VNC_TX_TX_TAKEN_BYTES] += len;
	now[drop]++;
	vnc_ledger_flip(&s->tx_ledger);
	return false;
}

/** vnc_side_append() - as vnc_side_commit(), but the peer can read the packet only after vnc_side_publish(). */
void vnc_side_append(struct vnc_side *s, uint32_t len)
{
	uint64_t *now = s->tx_ledger.now;

	now[VNC_TX_TX_TAKEN]++;
	now[VNC_TX_TX_TAKEN_BYTES] += len;
	now[VNC_TX_TX_SENT]++;
	now[VNC_TX_TX_SENT_BYTES] += len;
	now[VNC_LEDGER_GEN_RECORDS]++;
	vnc_ring_commit(&s->tx, len, 0, 0);
}

static void publish_released(struct vnc_side *s)
{
	if (s->rx.cons == s->rx.published)
		return;
	s->rx_ledger.now[VNC_LEDGER_INDEX] = s->rx.cons;
	vnc_ledger_flip(&s->rx_ledger);
	vnc_consumer_publish(&s->rx);
	count_stat(s, &s->rx_stats, VNC_RXSTAT_PUBLICATIONS);
}

/** vnc_side_publish() - let the peer see what was appended and released; as vnc_side_tick() does, too. */
void vnc_side_publish(struct vnc_side *s)
{
	publish_sent(s);
	publish_released(s);
}

/** vnc_side_commit() - send the packet of @len bytes that vnc_side_reserve() made room for. */
void vnc_side_commit(struct vnc_side *s, uint32_t len)
{
	vnc_side_append(s, len);
	publish_sent(s);
}

/**
 * vnc_side_peek() - the oldest packet, checked. Return: whether there is one; then vnc_side_release() or
 * vnc_side_retire() must follow.
 */
bool vnc_side_peek(struct vnc_side *s, struct vnc_view *view)
{
	static const uint8_t word[] = {
		[VNC_BAD_INDEX] = VNC_RXSTAT_VIOL_PROD,
		[VNC_BAD_LEN] = VNC_RXSTAT_VIOL_LEN,
		[VNC_BAD_HEADER] = VNC_RXSTAT_VIOL_HEADER,
		[VNC_BAD_SEQ] = VNC_RXSTAT_VIOL_SEQ,
	};
	enum vnc_ring_result got;

	if (!s->running)
		return false;
	got = vnc_ring_peek(&s->rx, view);
	if (got == VNC_EMPTY) {
		got = vnc_consumer_refresh(&s->rx);
		if (got == VNC_EMPTY)
			return false;
		/* The peer publishes a new epoch before it touches prod: having read prod, we read that epoch here. */
		if (epoch_changed(s)) {
			s->running = false;
			s->violated = true; /* if it is the old one again at the next tick */
			return false;
		}
		if (got == VNC_OK)
			got = vnc_ring_peek(&s->rx, view);
	}
	if (got == VNC_OK && view->flags)
		got = VNC_BAD_HEADER; /* no offloads are agreed */
	if (got == VNC_OK)
		return true;
	stop_moving(s, &s->rx_stats, word[got]);
	return false;
}

/**
 * vnc_side_retire() - the peeked packet is done with; vnc_side_publish() gives its space back.
 * @drop: 0, or the VNC_RX_DROP_... that counts it.
 */
void vnc_side_retire(struct vnc_side *s, const struct vnc_view *view, unsigned int drop)
{
	uint64_t *now = s->rx_ledger.now;

	vnc_ring_release(&s->rx, view->len);
	if (now[VNC_LEDGER_GENERATION] != s->generation) { /* only a first record proves that the peer has settled */
		now[VNC_LEDGER_GENERATION] = s->generation;
		now[VNC_RX_GEN_SERIAL] = s->serial;
		now[VNC_LEDGER_GEN_RECORDS] = 0;
	}
	now[VNC_RX_RX_RECEIVED]++;
	now[VNC_RX_RX_RECEIVED_BYTES] += view->len;
	now[drop ? drop : VNC_RX_RX_DELIVERED]++;
	if (!drop)
		now[VNC_RX_RX_DELIVERED_BYTES] += view->len;
	now[VNC_LEDGER_GEN_RECORDS]++;
}

/** vnc_side_release() - as vnc_side_retire(), and give the space back at once. */
void vnc_side_release(struct vnc_side *s, const struct vnc_view *view, unsigned int drop)
{
	vnc_side_retire(s, view, drop);
	publish_released(s);
}
