/* SPDX-License-Identifier: MIT */
/**
 * DOC: FIFO to port.
 *
 * A record is written by writev straight out of the ring; only its virtio_net_hdr is copied first, so
 * that what was checked is what the kernel gets.  Out of device memory, which the kernel must not read
 * (vnc_access.h), all of it is copied first.  The ledger is flipped after the write and before the
 * space is given back: a process killed in between leaves a record that counts as lost_restart though
 * the kernel may have it (at most one a kill), never the other way round.
 */
#include "vnc_offload.h"
#include "vnc_pump.h"
#include <errno.h>
#include <poll.h>
#include <sys/uio.h>

#define SAMPLES_OF_DROPS (VNC_RX_DROP_BAD_FRAME - VNC_RX_DROP_PORT_REFUSED + 1)

/* Say that cons has moved. Return: VNC_NOTICE_*. */
static uint32_t notify(struct vnc_pump *p)
{
	struct vnc_consumer *r = &p->consumer;

	if (vnc_has_doorbell(&p->doorbell)) { /* whether the peer sleeps the engine will see, at the other end */
		vnc_ring_doorbell(&p->doorbell, r->cons);
		return VNC_NOTICE_RUNG;
	}
	if (!vnc_pump_wakeable(p))
		return VNC_NOTICE_NONE; /* and the question would be a read across PCIe */
	if (!vnc_producer_sleeps(r)) {
		vnc_count(p, VNC_RXSTAT_WAKEUPS_SUPPRESSED);
		return VNC_NOTICE_AWAKE;
	}
	vnc_count(p, VNC_RXSTAT_WAKEUPS_SENT);
	vnc_pump_wake(p, &r->own->cons);
	return VNC_NOTICE_WOKEN;
}

static void publish(struct vnc_pump *p)
{
	uint64_t visible;
	uint32_t notice;

	if (!vnc_consumer_publish(&p->consumer))
		return;
	p->pause_ns = 0; /* it moves: the next pause is a short one again */
	vnc_count(p, VNC_RXSTAT_PUBLICATIONS);
	visible = vnc_tap_clock(p->taps.batch);
	notice = notify(p);
	if (visible)
		vnc_pump_note_batch(p, VNC_TAP_RELEASE, visible, notice);
}

/* Of a bad index keep the index, of a bad record its header, as they stand now. */
static void note_violation(struct vnc_pump *p, unsigned int word)
{
	const struct vnc_consumer *r = &p->consumer;
	const uint64_t *head = (const uint64_t *)(const void *)(r->ring + (r->cons & (r->size - 1)));
	uint64_t header[2] = {vnc_get64(r->domain, &head[0]), vnc_get64(r->domain, &head[1])};
	uint32_t prod = vnc_get32(r->domain, &r->peer->prod);
	unsigned int which = SAMPLES_OF_DROPS + word - VNC_RXSTAT_VIOL_PROD;

	if (word == VNC_RXSTAT_VIOL_PROD)
		vnc_keep_sample(&p->notes, which, &prod, sizeof(prod), sizeof(prod));
	else
		vnc_keep_sample(&p->notes, which, header, sizeof(header), sizeof(header));
}

static void violation(struct vnc_pump *p, enum vnc_ring_result what)
{
	static const uint8_t word[] = {
		[VNC_BAD_INDEX] = VNC_RXSTAT_VIOL_PROD,
		[VNC_BAD_LEN] = VNC_RXSTAT_VIOL_LEN,
		[VNC_BAD_HEADER] = VNC_RXSTAT_VIOL_HEADER,
		[VNC_BAD_SEQ] = VNC_RXSTAT_VIOL_SEQ,
	};

	if (vnc_pump_epoch_changed(p))
		return;
	vnc_count(p, word[what]);
	note_violation(p, word[what]);
	vnc_pump_hold(p, VNC_EVENT_VIOLATION);
}

static void wait_for_record(struct vnc_pump *p, uint32_t command)
{
	struct vnc_consumer *r = &p->consumer;
	enum vnc_ring_result got;

	vnc_count(p, VNC_RXSTAT_RING_EMPTY);
	vnc_pump_waits(p);
	if (vnc_pump_spins(p) && vnc_spin_until_changed(r->domain, &r->peer->prod, r->prod))
		return;
	if (!vnc_pump_wakeable(p) && p->wait != VNC_WAIT_POLL) {
		vnc_pump_sleep_on_word(p, &r->peer->prod, r->prod);
	} else if (p->wait != VNC_WAIT_POLL) {
		vnc_store32(r->domain, &r->own->need_wakeup, 1);
		vnc_full_fence(r->domain); /* (F) pairs with (E) */
		got = vnc_consumer_refresh(r);
		if (got == VNC_EMPTY && !vnc_pump_commanded(p, command))
			vnc_pump_sleep_on_word(p, &r->peer->prod, r->prod);
		vnc_store32(r->domain, &r->own->need_wakeup, 0);
		if (got == VNC_OK)
			vnc_pump_epoch_changed(p); /* as in vnc_rx_step() */
	}
}

/* @view where the kernel may read it. */
static struct vnc_view readable(struct vnc_pump *p, const struct vnc_view *view)
{
	struct vnc_view out = *view;

	if (p->consumer.domain == VNC_COHERENT)
		return out;
	vnc_ring_read(&p->consumer, view, p->scratch);
	out.span[0] = (struct vnc_span){p->scratch, view->len};
	out.span[1].len = 0;
	return out;
}

/* Give the kernel one packet. Return: 0, or the word of the drop that it deserves. */
static int deliver(struct vnc_pump *p, const struct vnc_view *view, uint32_t command)
{
	struct vnc_vnet_hdr hdr = {0};
	uint32_t len = view->len - view->hdr_len;
	struct iovec iov[3];
	uint32_t needed;
	int n = 0;

	if (len > p->link.packet_max)
		return VNC_RX_DROP_BAD_FRAME;
	if (view->hdr_len) {
		memcpy(&hdr, view->span[0].base, sizeof(hdr)); /* once: the peer may change it */
		needed = vnc_needed_feature(&hdr, view->span[0].base[VNC_VNET_HDR]);
		if ((needed & ~p->link.features) || !vnc_vnet_sane(&hdr, len))
			return VNC_RX_DROP_BAD_FRAME;
	}
	if (p->port.vnet)
		iov[n++] = (struct iovec){&hdr, sizeof(hdr)};
	iov[n++] = (struct iovec){view->span[0].base + view->hdr_len, view->span[0].len - view->hdr_len};
	iov[n++] = (struct iovec){view->span[1].base, view->span[1].len};

	for (;;) {
		vnc_count(p, VNC_RXSTAT_PORT_WRITES);
		if (writev(p->port.fd, iov, n) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if ((errno == EAGAIN || errno == ENOBUFS) && !p->visited && !vnc_pump_commanded(p, command)) {
			vnc_pump_sleep_on_port(p, POLLOUT);
			continue;
		}
		break;
	}
	if (errno == EAGAIN || errno == ENOBUFS)
		return -1; /* the record stays in the ring */
	p->last_errno = errno;
	if (errno == EBADFD || errno == EBADF)
		vnc_pump_hold(p, VNC_EVENT_PORT_GONE);
	if (errno == EIO || errno == EBADFD || errno == EBADF)
		return VNC_RX_DROP_PORT_DOWN;
	if (hdr.gso_type != VNC_GSO_NONE) {
		__atomic_fetch_or(&p->refused, vnc_needed_feature(&hdr, view->span[0].base[VNC_VNET_HDR]),
				  __ATOMIC_RELEASE);
		vnc_pump_raise(p, VNC_EVENT_REFUSED);
	}
	return VNC_RX_DROP_PORT_REFUSED;
}

static void note(struct vnc_pump *p, const struct vnc_view *view, struct vnc_note what)
{
	struct vnc_vnet_hdr hdr;

	if (view->hdr_len)
		memcpy(&hdr, view->span[0].base, sizeof(hdr));
	what.len = view->len - view->hdr_len;
	what.span = view->span;
	what.skip = view->hdr_len;
	what.vnet = view->hdr_len ? &hdr : NULL;
	vnc_pump_note_packet(p, &what);
}

/* Return: false when the record has to be offered again. */
static bool move_one(struct vnc_pump *p, const struct vnc_view *view, uint32_t command)
{
	uint64_t peeked = vnc_tap_begin(&p->taps, p->consumer.seq);
	const struct vnc_view from = readable(p, view);
	uint64_t *now = p->ledger.now;
	int drop;

	if (vnc_tapped(&p->taps, VNC_TAP_PEEK, 0))
		note(p, &from, (struct vnc_note){.stage = VNC_TAP_PEEK, .time = peeked, .before = p->taps.woken,
						 .value = p->taps.slept_us});
	drop = deliver(p, &from, command);
	if (drop < 0)
		return false;
	if (vnc_tapped(&p->taps, VNC_TAP_WRITE, drop)) {
		bool refused = drop && drop != VNC_RX_DROP_BAD_FRAME; /* by the port, not by us */

		note(p, &from, (struct vnc_note){.stage = VNC_TAP_WRITE, .drop = (uint8_t)drop,
						 .value = refused ? (uint32_t)p->last_errno : 0});
	}
	p->delivered = true;
	vnc_ring_release(&p->consumer, view->len);
	if (now[VNC_LEDGER_GENERATION] != p->link.generation) {
		/* Only a first record proves that the peer has settled the generation before; until then a
		 * restart must still be able to tell it how many of that one arrived. */
		now[VNC_LEDGER_GENERATION] = p->link.generation;
		now[VNC_RX_GEN_SERIAL] = p->link.serial;
		now[VNC_LEDGER_GEN_RECORDS] = 0;
	}
	now[VNC_RX_RX_RECEIVED]++;
	now[VNC_RX_RX_RECEIVED_BYTES] += view->len - view->hdr_len;
	if (drop) {
		now[drop]++;
		vnc_keep_sample(&p->notes, (unsigned int)(drop - VNC_RX_DROP_PORT_REFUSED), from.span[0].base + view->hdr_len,
			 from.span[0].len - view->hdr_len, view->len - view->hdr_len);
	} else {
		now[VNC_RX_RX_DELIVERED]++;
		now[VNC_RX_RX_DELIVERED_BYTES] += view->len - view->hdr_len;
	}
	now[VNC_LEDGER_GEN_RECORDS]++;
	now[VNC_LEDGER_INDEX] = p->consumer.cons;
	vnc_ledger_flip(&p->ledger);
	return true;
}

/* More than ever, or than since somebody asked to forget, lay in the ring just now? */
static void note_fill(struct vnc_pump *p)
{
	uint32_t fill = p->consumer.prod - p->consumer.cons;

	if (__atomic_load_n(&p->notes.forget, __ATOMIC_RELAXED)) {
		__atomic_store_n(&p->notes.forget, 0, __ATOMIC_RELAXED);
		p->notes.high_water = 0;
	}
	if (fill > p->notes.high_water) {
		p->notes.high_water = fill;
		vnc_set(p, VNC_RXSTAT_HIGH_WATER, fill);
	}
}

/* The oldest record of the last snapshot. Return: VNC_OK when it was delivered; VNC_FULL: the port takes none now. */
static enum vnc_ring_result deliver_next(struct vnc_pump *p, uint32_t command)
{
	uint16_t flags = p->link.features & VNC_F_CSUM ? VNC_REC_VNET : 0;
	struct vnc_view view;
	enum vnc_ring_result got = vnc_ring_peek(&p->consumer, &view);

	if (got != VNC_OK)
		return got;
	if (view.flags != flags)
		return VNC_BAD_HEADER;
	if (!move_one(p, &view, command))
		return VNC_FULL;
	publish(p);
	return VNC_OK;
}

/** vnc_rx_step() - deliver records until there is another command, or nothing to do. */
void vnc_rx_step(struct vnc_pump *p, uint32_t command)
{
	enum vnc_ring_result got;

	vnc_batch_begins(&p->notes);
	while (!vnc_pump_commanded(p, command)) {
		got = deliver_next(p, command);
		if (got == VNC_EMPTY) {
			got = vnc_consumer_refresh(&p->consumer);
			/* New records, or a new generation's index?  The peer publishes its epoch before it
			 * touches prod, so having read prod we would read the new epoch here. */
			if (got == VNC_OK && vnc_pump_epoch_changed(p))
				return;
			if (got == VNC_OK)
				note_fill(p);
		}
		if (got == VNC_EMPTY) {
			if (p->delivered && p->other)
				vnc_inline_tx(p->other);
			p->delivered = false;
			wait_for_record(p, command);
			vnc_batch_begins(&p->notes);
		} else if (got != VNC_OK && got != VNC_FULL) {
			violation(p, got);
		}
	}
}

/** vnc_rx_some() - in another thread: deliver up to @most records; what is wrong with the ring the pump's own will say. */
void vnc_rx_some(struct vnc_pump *p, uint32_t most, uint32_t command)
{
	uint32_t n;

	if (vnc_consumer_refresh(&p->consumer) != VNC_OK || vnc_pump_epoch_changed(p))
		return;
	note_fill(p);
	vnc_batch_begins(&p->notes);
	p->visited = true;
	for (n = 0; n < most && !vnc_pump_commanded(p, command) && deliver_next(p, command) == VNC_OK; n++)
		;
	p->visited = p->delivered = false;
	vnc_pump_waits(p);
}
