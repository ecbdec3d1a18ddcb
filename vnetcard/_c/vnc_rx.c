/* SPDX-License-Identifier: MIT */
/**
 * DOC: rx, from the ring into the port.
 *
 * A record is written by writev straight out of the ring.  Only its virtio_net_hdr is copied first, and the packet's
 * first bytes where a filter reads them (vnc_filter.h), so that the kernel gets what was checked.  A record in device
 * memory, which the kernel must not read (vnc_access.h), is copied as a whole.  The ledger is flipped after the write
 * and before the space is given back: a process killed in between leaves a record that counts as lost_restart though
 * the kernel may have it (at most one per kill); the opposite, a record that counts as delivered and was not, does
 * not occur.
 */
#include "vnc_offload.h"
#include "vnc_deliver.h"
#include "vnc_merge.h"
#include "vnc_probe.h"
#include "vnc_pump.h"
#include <errno.h>
#include <sys/uio.h>

#define SAMPLES_OF_DROPS (VNC_RX_DROP_SEGMENTS - VNC_RX_DROP_PORT_REFUSED) /* without VNC_RX_GEN_SERIAL */

/* ---- a generation ------------------------------------------------------------------------------ */

/** vnc_rx_open() - an rx pump at @consumer; the rest as vnc_pump_open(). */
int vnc_rx_open(struct vnc_pump *p, const struct vnc_consumer *consumer, uint64_t *ledger, uint64_t *batches)
{
	int error = vnc_pump_open(p, &vnc_kind_rx, consumer->domain, ledger, batches);

	p->consumer = *consumer;
	p->segments_max = VNC_SEGMENTS_MAX;
	p->peer_index = &consumer->peer->prod;
	p->stats.records = vnc_pump_records(p);
	p->stats.high_water = p->stats.now[VNC_RXSTAT_HIGH_WATER];
	return error;
}

/** vnc_rx_reset() - in HOLD: start at @index, and write it into the window. */
void vnc_rx_reset(struct vnc_pump *p, uint32_t index)
{
	p->refused_record.len = 0;
	vnc_consumer_reset(&p->consumer, index);
}

/** vnc_rx_begin() - in HOLD: the ledger's generation changes only with the first record, see count_record(). */
void vnc_rx_begin(struct vnc_pump *p, const struct vnc_agreement *with)
{
	vnc_pump_begin(p, with);
	p->refused_record.len = 0;
	p->consumer.frame_max = with->packet_max + (with->features & VNC_F_CSUM ? VNC_VNET_HDR : 0);
}

/* ---- publishing -------------------------------------------------------------------------------- */

/* Notify the engine or the peer of the new cons. Return: VNC_NOTICE_*. */
static uint32_t notify(struct vnc_pump *p)
{
	struct vnc_consumer *r = &p->consumer;

	if (vnc_has_doorbell(&p->doorbell)) { /* at its other end the engine reads whether the peer sleeps */
		vnc_ring_doorbell(&p->doorbell, r->cons);
		return VNC_NOTICE_RUNG;
	}
	if (p->link.wake == VNC_WAKE_NONE)
		return VNC_NOTICE_NONE; /* to load need_wakeup would be a read across PCIe */
	if (!vnc_producer_sleeps(r)) {
		vnc_stats_count(&p->stats, VNC_RXSTAT_WAKEUPS_SUPPRESSED);
		return VNC_NOTICE_AWAKE;
	}
	vnc_stats_count(&p->stats, VNC_RXSTAT_WAKEUPS_SENT);
	vnc_pump_wake_peer(p, &r->own->cons);
	return VNC_NOTICE_WOKEN;
}

static void publish(struct vnc_pump *p)
{
	struct vnc_consumer *r = &p->consumer;
	uint64_t visible;
	uint32_t notice;

	if (!vnc_consumer_publish(r))
		return;
	vnc_stats_count(&p->stats, VNC_RXSTAT_PUBLICATIONS);
	visible = vnc_tap_clock(p->taps.batch);
	notice = notify(p);
	if (visible)
		vnc_pump_tap_batch(p, &(struct vnc_tap_entry){.stage = VNC_TAP_RELEASE, .before = visible,
							      .index = r->cons, .seq = r->seq, .value = notice});
}

/* ---- violations -------------------------------------------------------------------------------- */

/* Keep a bad index, or the header of a bad record, as it is in the window now. */
static void sample_violation(struct vnc_pump *p, unsigned int word)
{
	const struct vnc_consumer *r = &p->consumer;
	const uint64_t *head = (const uint64_t *)(const void *)(r->ring + (r->cons & (r->size - 1)));
	uint64_t header[2] = {vnc_get64(r->domain, &head[0]), vnc_get64(r->domain, &head[1])};
	uint32_t prod = vnc_get32(r->domain, &r->peer->prod);
	unsigned int which = SAMPLES_OF_DROPS + word - VNC_RXSTAT_VIOL_PROD;

	if (word == VNC_RXSTAT_VIOL_PROD)
		vnc_stats_sample(&p->stats, which, &prod, sizeof(prod), sizeof(prod));
	else
		vnc_stats_sample(&p->stats, which, header, sizeof(header), sizeof(header));
}

/* Why is what the peer wrote impossible: because the peer has restarted, or because it violates the format? */
static enum vnc_stop violation(struct vnc_pump *p, enum vnc_ring_result what)
{
	static const uint8_t word[] = {
		[VNC_BAD_INDEX] = VNC_RXSTAT_VIOL_PROD,
		[VNC_BAD_LEN] = VNC_RXSTAT_VIOL_LEN,
		[VNC_BAD_HEADER] = VNC_RXSTAT_VIOL_HEADER,
		[VNC_BAD_SEQ] = VNC_RXSTAT_VIOL_SEQ,
	};

	if (vnc_pump_window_lost(p))
		return VNC_STOP_WINDOW_LOST; /* all ones, which the peer did not write */
	if (vnc_pump_epoch_changed(p))
		return VNC_STOP_EPOCH;
	vnc_stats_count(&p->stats, word[what]);
	sample_violation(p, word[what]);
	return VNC_STOP_VIOLATION;
}

/* ---- delivering -------------------------------------------------------------------------------- */

/* @view with its payload where the kernel may read it. */
static struct vnc_view readable(struct vnc_pump *p, const struct vnc_view *view)
{
	struct vnc_view out = *view;

	if (p->domain == VNC_COHERENT)
		return out;
	vnc_ring_read(&p->consumer, view, p->scratch);
	out.span[0] = (struct vnc_span){p->scratch, view->len};
	out.span[1].len = 0;
	return out;
}

/* The number of the sample of the drop @drop: the ledger's words of drops, one after the other. */
static unsigned int sample_of(int drop)
{
	return (unsigned int)(drop - VNC_RX_DROP_PORT_REFUSED - (drop > VNC_RX_GEN_SERIAL));
}

static void tap_record(struct vnc_pump *p, const struct vnc_view *view, struct vnc_tap_entry entry)
{
	struct vnc_vnet_hdr hdr;

	if (view->hdr_len)
		memcpy(&hdr, view->span[0].base, sizeof(hdr));
	entry.index = p->consumer.cons;
	entry.seq = p->consumer.seq;
	entry.len = view->len - view->hdr_len;
	entry.span = view->span;
	entry.skip = view->hdr_len;
	entry.vnet = view->hdr_len ? &hdr : NULL;
	vnc_pump_tap_packet(p, &entry);
}

/* Count @view, which was released, as delivered or under @drop; vnc_ledger_flip() must follow. */
static void count_record(struct vnc_pump *p, const struct vnc_view *view, int drop)
{
	uint32_t len = view->len - view->hdr_len;
	uint64_t *now = p->ledger.now;

	if (now[VNC_LEDGER_GENERATION] != p->link.generation) {
		/* Only a first record proves that the peer has settled the generation before.  Until then this
		 * side, if it restarts, must still be able to say how many records of that one arrived. */
		now[VNC_LEDGER_GENERATION] = p->link.generation;
		now[VNC_RX_GEN_SERIAL] = p->link.serial;
		now[VNC_LEDGER_GEN_RECORDS] = 0;
	}
	now[VNC_RX_RX_RECEIVED]++;
	now[VNC_RX_RX_RECEIVED_BYTES] += len;
	if (drop != DELIVERED) {
		now[drop]++;
		vnc_stats_sample(&p->stats, sample_of(drop),
				 view->span[0].base + view->hdr_len, view->span[0].len - view->hdr_len, len);
	} else {
		now[VNC_RX_RX_DELIVERED]++;
		now[VNC_RX_RX_DELIVERED_BYTES] += len;
	}
	now[VNC_LEDGER_GEN_RECORDS]++;
	now[VNC_LEDGER_INDEX] = p->consumer.cons;
}

/* Release and count @view, whose packet is in the port, or not because of @drop. @error: errno of the port, or 0. */
static void settle_record(struct vnc_pump *p, const struct vnc_view *view, int drop, int error)
{
	if (vnc_tapped(&p->taps, VNC_TAP_WRITE, drop))
		tap_record(p, view, (struct vnc_tap_entry){.stage = VNC_TAP_WRITE, .drop = (uint8_t)drop,
							   .value = (uint32_t)error});
	VNC_PROBE3(rx_write, p->consumer.seq, view->len - view->hdr_len, drop);
	vnc_ring_release(&p->consumer, view->len);
	count_record(p, view, drop);
}

/* Write @view, which is readable(), into the port. Return: VNC_STOP_NONE, PORT_FULL, PORT_GONE or WINDOW_LOST. */
static enum vnc_stop move_one(struct vnc_pump *p, const struct vnc_view *view)
{
	int drop = deliver(p, view);
	bool by_port = drop == VNC_RX_DROP_PORT_REFUSED || drop == VNC_RX_DROP_PORT_DOWN;

	if (drop == FAULTED)
		return VNC_STOP_WINDOW_LOST;
	if (drop == PORT_FULL) {
		p->refused_record = *view;
		return VNC_STOP_PORT_FULL;
	}
	p->refused_record.len = 0;
	settle_record(p, view, drop, by_port ? p->last_errno : 0);
	vnc_ledger_flip(&p->ledger);
	publish(p);
	if (drop == VNC_RX_DROP_PORT_DOWN && (p->last_errno == EBADFD || p->last_errno == EBADF))
		return VNC_STOP_PORT_GONE;
	return VNC_STOP_NONE;
}

/* Enter @view, which was peeked at the time @peeked, into the taps. */
static void peeked_record(struct vnc_pump *p, const struct vnc_view *view, uint64_t peeked)
{
	if (vnc_tapped(&p->taps, VNC_TAP_PEEK, 0))
		tap_record(p, view, (struct vnc_tap_entry){.stage = VNC_TAP_PEEK, .time = peeked,
							   .before = p->taps.woken, .value = p->taps.slept_us});
}

/*
 * Write @first, and what follows it in the ring, as one super-packet, at most *@max records. Return: whether that was
 * done; else nothing has changed, and @first is to be written by itself.
 */
static bool move_merged(struct vnc_pump *p, const struct vnc_view *first, uint32_t *max)
{
	uint32_t most = *max < VNC_MERGE_MOST ? *max : VNC_MERGE_MOST, n, i, bytes;
	struct vnc_view view[VNC_MERGE_MOST];
	struct vnc_mergeable leading;
	struct vnc_head head;
	uint64_t peeked;

	if (!read_mergeable(p, first, &leading))
		return false;
	view[0] = *first;
	n = collect(p, &leading, view, most, &bytes);
	if (n < 2 || filtered(p, first, &head) != VNC_FILTER_PASS ||
	    !write_merged(p, &leading, view, n, bytes))
		return false;
	for (i = 0; i < n; i++) {
		if (i) {
			VNC_PROBE3(rx_peek, p->consumer.seq, view[i].len - view[i].hdr_len, p->consumer.cons);
			peeked = vnc_tap_begin(&p->taps, p->consumer.seq);
			peeked_record(p, &view[i], peeked);
		}
		settle_record(p, &view[i], DELIVERED, 0);
	}
	vnc_ledger_flip(&p->ledger);
	publish(p);
	*max -= n;
	return true;
}

/* More bytes than ever before, or than since the agent's last reset, were in the ring at this refresh. */
static void update_high_water(struct vnc_pump *p)
{
	uint32_t fill = p->consumer.prod - p->consumer.cons;

	if (__atomic_load_n(&p->stats.reset_high_water, __ATOMIC_RELAXED)) {
		__atomic_store_n(&p->stats.reset_high_water, 0, __ATOMIC_RELAXED);
		p->stats.high_water = 0;
	}
	if (fill > p->stats.high_water) {
		p->stats.high_water = fill;
		vnc_stats_set(&p->stats, VNC_RXSTAT_HIGH_WATER, fill);
	}
}

/* Take a new snapshot of the peer's index. Return: VNC_STOP_NONE, RING_EMPTY, EPOCH or VIOLATION. */
static enum vnc_stop refresh(struct vnc_pump *p)
{
	enum vnc_ring_result got = vnc_consumer_refresh(&p->consumer);

	if (got == VNC_EMPTY)
		return VNC_STOP_RING_EMPTY;
	if (got != VNC_OK)
		return violation(p, got);
	/* New records, or the index of a new generation?  The peer publishes its epoch before it touches prod, so
	 * having read prod we read the new epoch here. */
	if (vnc_pump_epoch_changed(p))
		return VNC_STOP_EPOCH;
	update_high_water(p);
	return VNC_STOP_NONE;
}

/*
 * Deliver the oldest record of the last snapshot, or at most *@max that are merged, which are taken off *@max.
 * Return: as move_one(), or RING_EMPTY, EPOCH or VIOLATION.
 */
static enum vnc_stop move_next(struct vnc_pump *p, uint32_t *max)
{
	uint16_t flags = p->link.features & VNC_F_CSUM ? VNC_REC_VNET : 0;
	struct vnc_view view, from;
	enum vnc_ring_result got;
	enum vnc_stop stop;
	uint64_t peeked;

	if (p->refused_record.len) { /* already checked, copied and entered into the taps */
		from = p->refused_record;
		stop = move_one(p, &from);
		*max -= stop == VNC_STOP_NONE;
		return stop;
	}
	got = vnc_ring_peek(&p->consumer, &view);
	if (got == VNC_EMPTY)
		return VNC_STOP_RING_EMPTY;
	if (got == VNC_OK && view.flags != flags)
		got = VNC_BAD_HEADER;
	if (got != VNC_OK)
		return violation(p, got);
	VNC_PROBE3(rx_peek, p->consumer.seq, view.len - view.hdr_len, p->consumer.cons);
	peeked = vnc_tap_begin(&p->taps, p->consumer.seq);
	from = readable(p, &view);
	peeked_record(p, &from, peeked);
	if (merges(p) && move_merged(p, &from, max))
		return VNC_STOP_NONE;
	stop = move_one(p, &from);
	*max -= stop == VNC_STOP_NONE;
	return stop;
}

/* As vnc_rx_move(), but the peer of a ring port is not notified. */
static enum vnc_stop move_records(struct vnc_pump *p, uint32_t max, uint32_t command)
{
	enum vnc_stop stop;

	while (max) {
		if (vnc_pump_commanded(p, command))
			return VNC_STOP_COMMAND;
		if (vnc_pump_window_lost(p))
			return VNC_STOP_WINDOW_LOST;
		stop = move_next(p, &max);
		if (stop == VNC_STOP_RING_EMPTY)
			stop = refresh(p);
		if (stop != VNC_STOP_NONE)
			return stop;
	}
	return VNC_STOP_NONE;
}

/**
 * vnc_rx_move() - move up to @max records from the ring into the port; the thread holds the pump's lock.
 * @command: the command in force.
 * Return: VNC_STOP_NONE, COMMAND, PORT_FULL, PORT_GONE, RING_EMPTY, EPOCH, VIOLATION or WINDOW_LOST.
 */
enum vnc_stop vnc_rx_move(struct vnc_pump *p, uint32_t max, uint32_t command)
{
	enum vnc_stop stop = move_records(p, max, command);

	if (p->port.rings)
		p->port.rings->ops->notify_sent(p->port.rings);
	return stop;
}
