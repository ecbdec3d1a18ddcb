/* SPDX-License-Identifier: MIT */
/**
 * DOC: tx, from the port into the ring.
 *
 * A packet is read by readv straight into its place in the ring.  A process killed inside that readv has taken a packet
 * from the kernel and counted it nowhere.  To keep the counters exact the place is *armed* first: an impossible length
 * and the generation in the header, an impossible first word in the payload.  A successor that finds that header but
 * another payload knows that one packet was taken, and counts it (vnc_tx_recover).  The order is arm, read, ledger,
 * header, publish.
 *
 * The kernel must not write into device memory (vnc_access.h), so there the packet is read into private
 * memory and copied: nothing is armed, and the order is read, ledger, copy, header, publish.  So it is with a packet
 * socket in any memory (vnc_tx_socket.h).
 */
#include "vnc_offload.h"
#include "vnc_probe.h"
#include "vnc_pump.h"
#include <errno.h>
#include <sys/uio.h>

#define ARMED_LEN 0xffffffffu
#define ARMED_PAYLOAD UINT64_MAX /* no IP header, virtio_net_hdr or Ethernet header of a unicast sender */
#define SAMPLE_OF_VIOLATION (VNC_TX_DROP_OFFLOAD - VNC_TX_DROP_LINK_DOWN + 1) /* the samples of drops precede it */

/* ---- a generation ------------------------------------------------------------------------------ */

static uint64_t *place_of(uint8_t *ring, uint32_t size, uint32_t index)
{
	return (uint64_t *)(void *)(ring + (index & (size - 1)));
}

static void arm(struct vnc_pump *p)
{
	uint64_t *place = place_of(p->producer.ring, p->producer.size, p->producer.prod);

	if (p->armed || p->domain != VNC_COHERENT)
		return;
	__atomic_store_n(&place[2], ARMED_PAYLOAD, __ATOMIC_RELAXED);
	__atomic_store_n(&place[1], p->ledger.now[VNC_LEDGER_GENERATION], __ATOMIC_RELAXED);
	__atomic_store_n(&place[0], ARMED_LEN, __ATOMIC_RELEASE);
	p->armed = true;
}

/** vnc_tx_recover() - count in @l a packet that its last owner, which wrote into @ring, died with inside a readv. */
void vnc_tx_recover(struct vnc_ledger *l, uint8_t *ring, uint32_t size)
{
	uint64_t *place;

	if (l->domain != VNC_COHERENT)
		return; /* nothing is ever armed there */
	place = place_of(ring, size, (uint32_t)l->now[VNC_LEDGER_INDEX] & ~(VNC_LINE - 1));
	if ((uint32_t)place[0] != ARMED_LEN || place[1] != l->now[VNC_LEDGER_GENERATION] || !place[1])
		return;
	place[0] = 0;
	if (place[2] == ARMED_PAYLOAD)
		return;
	l->now[VNC_TX_TX_TAKEN]++;
	l->now[VNC_TX_TX_SENT]++; /* into a ring that is not read any more: the handshake finds it lost */
	l->now[VNC_LEDGER_GEN_RECORDS]++;
	vnc_ledger_flip(l);
}

/** vnc_tx_open() - a tx pump at @producer; the rest as vnc_pump_open(). */
int vnc_tx_open(struct vnc_pump *p, const struct vnc_producer *producer, uint64_t *ledger, uint64_t *batches)
{
	int error = vnc_pump_open(p, &vnc_kind_tx, producer->domain, ledger, batches);

	p->producer = *producer;
	p->peer_index = &producer->peer->cons;
	vnc_tx_recover(&p->ledger, producer->ring, producer->size);
	p->stats.records = vnc_pump_records(p);
	return error;
}

static void abandon(struct vnc_pump *p, unsigned int which);

/** vnc_tx_reset() - in HOLD: start at @index, and write it into the window. */
void vnc_tx_reset(struct vnc_pump *p, uint32_t index)
{
	p->armed = false;
	abandon(p, VNC_TX_DROP_LINK_DOWN);
	vnc_producer_reset(&p->producer, index);
}

/** vnc_tx_begin() - in HOLD: open a generation in the ledger. */
void vnc_tx_begin(struct vnc_pump *p, const struct vnc_agreement *with)
{
	vnc_pump_begin(p, with);
	p->producer.frame_max = with->packet_max + (with->features & VNC_F_CSUM ? VNC_VNET_HDR : 0);
	p->ledger.now[VNC_LEDGER_GENERATION] = p->link.generation;
	p->ledger.now[VNC_LEDGER_GEN_RECORDS] = 0;
	p->ledger.now[VNC_LEDGER_INDEX] = p->producer.prod;
	vnc_ledger_flip(&p->ledger);
}

/* ---- publishing -------------------------------------------------------------------------------- */

/* Notify the engine or the peer of the new prod. Return: VNC_NOTICE_*. */
static uint32_t notify(struct vnc_pump *p)
{
	struct vnc_producer *r = &p->producer;

	if (vnc_has_doorbell(&p->doorbell)) { /* at its other end the engine reads whether the peer sleeps */
		vnc_ring_doorbell(&p->doorbell, r->prod);
		return VNC_NOTICE_RUNG;
	}
	if (p->link.wake == VNC_WAKE_NONE)
		return VNC_NOTICE_NONE; /* to load need_wakeup would be a read across PCIe */
	if (!vnc_consumer_sleeps(r)) {
		vnc_stats_count(&p->stats, VNC_TXSTAT_WAKEUPS_SUPPRESSED);
		return VNC_NOTICE_AWAKE;
	}
	vnc_stats_count(&p->stats, VNC_TXSTAT_WAKEUPS_SENT);
	vnc_pump_wake_peer(p, &r->own->prod);
	return VNC_NOTICE_WOKEN;
}

static void publish(struct vnc_pump *p)
{
	struct vnc_producer *r = &p->producer;
	uint64_t visible;
	uint32_t notice;

	if (!vnc_producer_publish(r))
		return;
	vnc_stats_count(&p->stats, VNC_TXSTAT_PUBLICATIONS);
	visible = vnc_tap_clock(p->taps.batch);
	notice = notify(p);
	VNC_PROBE3(tx_publish, r->seq, r->prod, notice);
	if (visible)
		vnc_pump_tap_batch(p, &(struct vnc_tap_entry){.stage = VNC_TAP_PUBLISH, .before = visible,
							      .index = r->prod, .seq = r->seq, .value = notice});
}

/* ---- moving ------------------------------------------------------------------------------------ */

/* Why is the peer's index impossible: because the peer has restarted, or because it violates the format? */
static enum vnc_stop bad_index(struct vnc_pump *p)
{
	uint32_t bad = vnc_load32(p->domain, p->peer_index);

	if (vnc_pump_window_lost(p))
		return VNC_STOP_WINDOW_LOST; /* all ones, which the peer did not write */
	if (vnc_pump_epoch_changed(p))
		return VNC_STOP_EPOCH;
	vnc_stats_count(&p->stats, VNC_TXSTAT_VIOL_CONS);
	vnc_stats_sample(&p->stats, SAMPLE_OF_VIOLATION, &bad, sizeof(bad), sizeof(bad));
	return VNC_STOP_VIOLATION;
}

/* Under which drop a packet of @len bytes is counted; 0: it is sent. @hdr precedes it where the port speaks vnet. */
static unsigned int drop_of(const struct vnc_pump *p, const struct vnc_vnet_hdr *hdr, const uint8_t *packet,
			    int64_t len)
{
	uint32_t needed;

	if (len <= 0)
		return VNC_TX_DROP_MALFORMED;
	if (len > p->link.packet_max)
		return VNC_TX_DROP_TOO_BIG;
	if (!p->port.vnet)
		return 0;
	/* The kernel queued it before it learned which offloads the peer takes. */
	needed = vnc_needed_feature(hdr, packet[vnc_pump_l3(p, packet)]);
	return (needed & ~p->link.features) ? VNC_TX_DROP_OFFLOAD : 0;
}

/* Count a packet of @len bytes, of which @have are at @packet, under @drop. */
static void count_drop(struct vnc_pump *p, unsigned int drop, const uint8_t *packet, uint32_t have, int64_t len)
{
	p->ledger.now[drop]++;
	vnc_stats_sample(&p->stats, drop - VNC_TX_DROP_LINK_DOWN, packet, have, len > 0 ? (uint32_t)len : 0);
}

/* Count a record of @len bytes, of which @lead are a virtio_net_hdr, as sent from prod on. */
static void count_sent(struct vnc_pump *p, uint32_t len, uint32_t lead)
{
	uint64_t *now = p->ledger.now;

	now[VNC_TX_TX_SENT]++;
	now[VNC_TX_TX_SENT_BYTES] += len - lead;
	now[VNC_LEDGER_GEN_RECORDS]++;
	now[VNC_LEDGER_INDEX] = p->producer.prod + vnc_record_bytes(len);
	vnc_ledger_flip(&p->ledger);
}

/* A read of the port has returned @got, which is no packet: 0 at the end of a socket whose far end has closed. */
static enum vnc_stop read_failed(struct vnc_pump *p, ssize_t got)
{
	if (got == 0 || errno == EAGAIN || errno == EINTR || errno == ENETDOWN || errno == ECONNRESET)
		return VNC_STOP_PORT_EMPTY;
	if (vnc_pump_faulted(p))
		return VNC_STOP_WINDOW_LOST;
	p->last_errno = errno;
	return VNC_STOP_PORT_GONE;
}

/* Read one packet as readv() does; one of a ring port stays there until give_back(). */
static ssize_t read_packet(struct vnc_pump *p, const struct iovec *iov, int n)
{
	vnc_stats_count(&p->stats, VNC_TXSTAT_PORT_READS);
	return p->port.rings ? p->port.rings->ops->get(p->port.rings, iov, n) : readv(p->port.fd, iov, n);
}

/* The packet that was read last is in the ledger. */
static void give_back(struct vnc_pump *p)
{
	if (p->port.rings)
		p->port.rings->ops->release(p->port.rings);
}

/* All packets that were read are given back. */
static void notify_port(struct vnc_pump *p)
{
	if (p->port.rings && p->port.rings->ops->notify_returned)
		p->port.rings->ops->notify_returned(p->port.rings);
}

/* Is @got, what a read returned, no packet?  A virtio_net_hdr alone is one, and rings have frames without a byte. */
static bool no_packet(const struct vnc_pump *p, ssize_t got)
{
	return got < 0 || (got == 0 && !p->port.vnet && !p->port.rings);
}

/* Move one packet from the port into the ring, to @place. Return: VNC_STOP_NONE, or as read_failed(). */
static enum vnc_stop move_one(struct vnc_pump *p, const struct vnc_span place[2])
{
	bool direct = p->domain == VNC_COHERENT;
	const struct vnc_span aside[2] = {{p->scratch, place[0].len + place[1].len}, {p->scratch, 0}};
	const struct vnc_span *span = direct ? place : aside;
	struct vnc_producer *r = &p->producer;
	uint64_t reserved = vnc_tap_begin(&p->taps, r->seq);
	bool link_vnet = p->link.features & VNC_F_CSUM;
	uint32_t lead = link_vnet ? VNC_VNET_HDR : 0;
	struct vnc_vnet_hdr hdr = {0};
	uint64_t *now = p->ledger.now;
	struct iovec iov[4];
	unsigned int drop;
	uint8_t overflow;
	int64_t len;
	ssize_t got;
	int n = 0;

	if (p->port.vnet && !link_vnet)
		iov[n++] = (struct iovec){&hdr, sizeof(hdr)};
	iov[n++] = (struct iovec){span[0].base, span[0].len};
	iov[n++] = (struct iovec){span[1].base, span[1].len};
	iov[n++] = (struct iovec){&overflow, 1}; /* a packet that reaches it did not fit */

	arm(p);
	got = read_packet(p, iov, n);
	if (no_packet(p, got))
		return read_failed(p, got);
	if (link_vnet) /* a record starts in line 0 of its place, so its first 48 bytes are one piece */
		memcpy(&hdr, span[0].base, sizeof(hdr));
	len = got - (p->port.vnet ? (int64_t)sizeof(hdr) : 0);
	drop = drop_of(p, &hdr, span[0].base + lead, len);
	if (vnc_tapped(&p->taps, VNC_TAP_READ, drop))
		vnc_pump_tap_packet(p, &(struct vnc_tap_entry){
			.stage = VNC_TAP_READ, .drop = (uint8_t)drop, .flags = drop ? VNC_TAP_NOSEQ : 0,
			.index = r->prod, .seq = r->seq, .before = reserved, .value = p->taps.waited_us,
			.len = len > 0 ? (uint32_t)len : 0, .span = span, .vnet = p->port.vnet ? &hdr : NULL,
			.skip = lead});
	VNC_PROBE3(tx_read, r->seq, len, drop);
	now[VNC_TX_TX_TAKEN]++;
	now[VNC_TX_TX_TAKEN_BYTES] += len > 0 ? (uint64_t)len : 0;
	if (drop) {
		count_drop(p, drop, span[0].base + lead, span[0].len - lead, len);
		if (direct)
			__atomic_store_n(&place_of(r->ring, r->size, r->prod)[2], ARMED_PAYLOAD, __ATOMIC_RELAXED);
		vnc_ledger_flip(&p->ledger);
		give_back(p);
		return VNC_STOP_NONE;
	}
	p->armed = false;
	len += lead;
	count_sent(p, (uint32_t)len, lead);
	give_back(p);
	if (!direct)
		vnc_ring_write(r, place, p->scratch, (uint32_t)len);
	vnc_ring_commit(r, (uint32_t)len, link_vnet ? VNC_REC_VNET : 0, (uint16_t)lead);
	VNC_PROBE3(tx_commit, r->seq - 1, len - lead, r->prod);
	if (vnc_tapped(&p->taps, VNC_TAP_COMMIT, 0))
		vnc_pump_tap_packet(p, &(struct vnc_tap_entry){
			.stage = VNC_TAP_COMMIT, .index = r->prod, .seq = r->seq - 1, .len = (uint32_t)len - lead,
			.span = span, .vnet = link_vnet ? &hdr : NULL, .skip = lead});
	return VNC_STOP_NONE;
}

#include "vnc_tx_socket.h"

/* As vnc_tx_move(), but the peer of a ring port is not notified. */
static enum vnc_stop move_packets(struct vnc_pump *p, uint32_t max, uint32_t command)
{
	struct vnc_producer *r = &p->producer;
	struct vnc_span span[2];
	enum vnc_ring_result got;
	enum vnc_stop stop;

	for (; max; max--) {
		if (vnc_pump_commanded(p, command))
			return VNC_STOP_COMMAND;
		if (vnc_pump_window_lost(p))
			return VNC_STOP_WINDOW_LOST;
		got = vnc_ring_reserve(r, r->frame_max, span);
		if (got != VNC_OK)
			return got == VNC_FULL ? VNC_STOP_RING_FULL : bad_index(p);
		stop = p->port.packet_socket ? move_frame(p, span) : move_one(p, span);
		if (stop != VNC_STOP_NONE)
			return stop;
		publish(p);
	}
	return VNC_STOP_NONE;
}

/**
 * vnc_tx_move() - move up to @max packets from the port into the ring; the thread holds the pump's lock.
 * @command: the command in force.
 * Return: VNC_STOP_NONE, COMMAND, PORT_EMPTY, PORT_GONE, RING_FULL, EPOCH, VIOLATION or WINDOW_LOST.
 */
enum vnc_stop vnc_tx_move(struct vnc_pump *p, uint32_t max, uint32_t command)
{
	enum vnc_stop stop = move_packets(p, max, command);

	notify_port(p);
	return stop;
}

/* A packet of @len bytes is in scratch, after the headers of vnc_pump_lead(). */
static void tap_drop(struct vnc_pump *p, int64_t len, unsigned int which)
{
	const struct vnc_span span[2] = {{p->scratch, sizeof(p->scratch)}, {p->scratch, 0}};
	struct vnc_vnet_hdr hdr;

	memcpy(&hdr, p->scratch, sizeof(hdr));
	vnc_pump_tap_packet(p, &(struct vnc_tap_entry){
		.stage = VNC_TAP_READ, .drop = (uint8_t)which, .flags = VNC_TAP_NOSEQ, .index = p->producer.prod,
		.seq = p->producer.seq, .len = len > 0 ? (uint32_t)len : 0, .span = span,
		.vnet = p->port.vnet ? &hdr : NULL, .skip = vnc_pump_lead(p)});
}

/* As vnc_tx_drop(), but the peer of a ring port is not notified. */
static enum vnc_stop drop_packets(struct vnc_pump *p, uint32_t command, unsigned int which)
{
	uint32_t lead = vnc_pump_lead(p);
	struct iovec iov = {p->scratch, sizeof(p->scratch)};
	uint64_t *now = p->ledger.now;
	ssize_t got;

	abandon(p, which);
	while (!vnc_pump_commanded(p, command)) {
		got = read_packet(p, &iov, 1);
		if (got < 0 && unreadable(p))
			continue;
		if (no_packet(p, got))
			return read_failed(p, got);
		got -= lead;
		if (vnc_tapped(&p->taps, VNC_TAP_READ, which))
			tap_drop(p, got, which);
		now[VNC_TX_TX_TAKEN]++;
		now[VNC_TX_TX_TAKEN_BYTES] += got > 0 ? (uint64_t)got : 0;
		count_drop(p, which, p->scratch + lead, VNC_SAMPLE_BYTES, got);
		vnc_ledger_flip(&p->ledger);
		give_back(p);
	}
	return VNC_STOP_COMMAND;
}

/**
 * vnc_tx_drop() - take packets from the port and count them under drop @which of the ledger.
 * @command: the command in force.
 * Return: VNC_STOP_COMMAND, PORT_EMPTY or PORT_GONE.
 */
enum vnc_stop vnc_tx_drop(struct vnc_pump *p, uint32_t command, unsigned int which)
{
	enum vnc_stop stop = drop_packets(p, command, which);

	notify_port(p);
	return stop;
}
