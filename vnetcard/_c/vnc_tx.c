/* SPDX-License-Identifier: MIT */
/**
 * DOC: port to FIFO.
 *
 * A packet is read by readv straight into its place in the ring.  Exact books need one trick: a process
 * killed inside that readv has taken a packet from the kernel and told nobody.  So the place is *armed*
 * first: an impossible length and the generation in the header, an impossible first word in the payload.
 * A successor that finds that header but another payload knows that one packet was taken, and counts it
 * (vnc_tx_recover).  The order is arm, read, ledger, header, publish.
 *
 * The kernel must not write into device memory (vnc_access.h), so there the packet is read into private
 * memory and copied: nothing is armed, and the order is read, ledger, copy, header, publish.
 */
#include "vnc_offload.h"
#include "vnc_pump.h"
#include <errno.h>
#include <poll.h>
#include <sys/uio.h>

#define QUESTION_MAX 2048u /* bytes of the ring; streams send more at once, and have no time to wait */
#define ARMED_LEN 0xffffffffu
#define SAMPLE_OF_VIOLATION (VNC_TX_DROP_OFFLOAD - VNC_TX_DROP_LINK_DOWN + 1) /* behind those of the drops */
#define ARMED_PAYLOAD UINT64_MAX /* neither an IP header nor a virtio_net_hdr starts so */

static uint64_t *place_of(const struct vnc_producer *r, uint32_t index)
{
	return (uint64_t *)(void *)(r->ring + (index & (r->size - 1)));
}

static void arm(struct vnc_pump *p)
{
	uint64_t *place = place_of(&p->producer, p->producer.prod);

	if (p->armed || p->producer.domain != VNC_COHERENT)
		return;
	__atomic_store_n(&place[2], ARMED_PAYLOAD, __ATOMIC_RELAXED);
	__atomic_store_n(&place[1], p->ledger.now[VNC_LEDGER_GENERATION], __ATOMIC_RELAXED);
	__atomic_store_n(&place[0], ARMED_LEN, __ATOMIC_RELEASE);
	p->armed = true;
}

/** vnc_tx_recover() - take over the ledger; count a packet that died with the last owner. */
void vnc_tx_recover(struct vnc_pump *p)
{
	uint64_t *now = p->ledger.now;
	uint64_t *place;

	vnc_ledger_open(&p->ledger, vnc_pump_domain(p), p->ledger.shared);
	if (p->producer.domain != VNC_COHERENT)
		return; /* nothing is ever armed there */
	place = place_of(&p->producer, (uint32_t)now[VNC_LEDGER_INDEX] & ~(VNC_LINE - 1));
	if ((uint32_t)place[0] != ARMED_LEN || place[1] != now[VNC_LEDGER_GENERATION] || !place[1])
		return;
	place[0] = 0;
	if (place[2] == ARMED_PAYLOAD)
		return;
	now[VNC_TX_TX_TAKEN]++;
	now[VNC_TX_TX_SENT]++; /* into a ring that nobody will read: the handshake finds it lost */
	now[VNC_LEDGER_GEN_RECORDS]++;
	vnc_ledger_flip(&p->ledger);
}

/* Say that prod has moved. Return: VNC_NOTICE_*. */
static uint32_t notify(struct vnc_pump *p)
{
	struct vnc_producer *r = &p->producer;

	if (vnc_has_doorbell(&p->doorbell)) { /* whether the peer sleeps the engine will see, at the other end */
		vnc_ring_doorbell(&p->doorbell, r->prod);
		return VNC_NOTICE_RUNG;
	}
	if (!vnc_pump_wakeable(p))
		return VNC_NOTICE_NONE; /* and the question would be a read across PCIe */
	if (!vnc_consumer_sleeps(r)) {
		vnc_count(p, VNC_TXSTAT_WAKEUPS_SUPPRESSED);
		return VNC_NOTICE_AWAKE;
	}
	vnc_count(p, VNC_TXSTAT_WAKEUPS_SENT);
	vnc_pump_wake(p, &r->own->prod);
	return VNC_NOTICE_WOKEN;
}

static void publish(struct vnc_pump *p)
{
	uint64_t visible;
	uint32_t notice;

	if (!vnc_producer_publish(&p->producer))
		return;
	p->pause_ns = 0; /* it moves: the next pause is a short one again */
	vnc_count(p, VNC_TXSTAT_PUBLICATIONS);
	visible = vnc_tap_clock(p->taps.batch);
	notice = notify(p);
	if (visible)
		vnc_pump_note_batch(p, VNC_TAP_PUBLISH, visible, notice);
}

/* The peer's index makes no sense: because the peer has restarted, or because it lies? */
static void bad_index(struct vnc_pump *p)
{
	uint32_t bad = vnc_load32(p->producer.domain, &p->producer.peer->cons);

	if (vnc_pump_epoch_changed(p))
		return;
	vnc_count(p, VNC_TXSTAT_VIOL_CONS);
	vnc_keep_sample(&p->notes, SAMPLE_OF_VIOLATION, &bad, sizeof(bad), sizeof(bad));
	vnc_pump_hold(p, VNC_EVENT_VIOLATION);
}

static void wait_for_room(struct vnc_pump *p, uint32_t len, uint32_t command)
{
	struct vnc_producer *r = &p->producer;
	struct vnc_span span[2];
	uint32_t seen = r->cons;

	vnc_count(p, VNC_TXSTAT_RING_FULL);
	vnc_pump_waits(p);
	if (!p->taps.full_since)
		p->taps.full_since = vnc_tap_clock(p->taps.stages);
	if (vnc_pump_spins(p) && vnc_spin_until_changed(r->domain, &r->peer->cons, seen))
		return;
	if (!vnc_pump_wakeable(p) && p->wait != VNC_WAIT_POLL) {
		vnc_pump_sleep_on_word(p, &r->peer->cons, seen);
	} else if (p->wait != VNC_WAIT_POLL) {
		vnc_store32(r->domain, &r->own->need_wakeup, 1);
		vnc_full_fence(r->domain); /* (F) pairs with (E) */
		if (vnc_ring_reserve(r, len, span) == VNC_FULL && !vnc_pump_commanded(p, command))
			vnc_pump_sleep_on_word(p, &r->peer->cons, r->cons);
		vnc_store32(r->domain, &r->own->need_wakeup, 0);
	}
	vnc_pump_epoch_changed(p);
}

/* Which drop, if any, a packet of @len bytes deserves; @hdr leads it when the port speaks vnet. */
static int judge(const struct vnc_pump *p, const struct vnc_vnet_hdr *hdr, const uint8_t *packet, int64_t len)
{
	uint32_t needed;

	if (len <= 0)
		return VNC_TX_DROP_MALFORMED;
	if (len > p->link.packet_max)
		return VNC_TX_DROP_TOO_BIG;
	if (!p->port.vnet)
		return 0;
	/* Left over from before the kernel was told what the peer takes. */
	needed = vnc_needed_feature(hdr, packet[0]);
	return (needed & ~p->link.features) ? VNC_TX_DROP_OFFLOAD : 0;
}

/* The last packet of a kind of drop: @have of its @len bytes lie at @packet. */
static void keep(struct vnc_pump *p, int drop, const uint8_t *packet, uint32_t have, int64_t len)
{
	vnc_keep_sample(&p->notes, (unsigned int)(drop - VNC_TX_DROP_LINK_DOWN), packet, have, len > 0 ? (uint32_t)len : 0);
}

/* One packet from the port into the ring. Return: false when there was none. */
static bool move_one(struct vnc_pump *p, const struct vnc_span place[2])
{
	bool direct = p->producer.domain == VNC_COHERENT;
	const struct vnc_span aside[2] = {{p->scratch, place[0].len + place[1].len}, {p->scratch, 0}};
	const struct vnc_span *span = direct ? place : aside;
	uint64_t reserved = vnc_tap_begin(&p->taps, p->producer.seq);
	bool link_vnet = p->link.features & VNC_F_CSUM;
	uint32_t lead = link_vnet ? VNC_VNET_HDR : 0;
	struct vnc_vnet_hdr hdr = {0};
	uint64_t *now = p->ledger.now;
	struct iovec iov[4];
	uint8_t overflow;
	int drop, n = 0;
	int64_t len;
	ssize_t got;

	if (p->port.vnet && !link_vnet)
		iov[n++] = (struct iovec){&hdr, sizeof(hdr)};
	iov[n++] = (struct iovec){span[0].base, span[0].len};
	iov[n++] = (struct iovec){span[1].base, span[1].len};
	iov[n++] = (struct iovec){&overflow, 1}; /* a packet that reaches it did not fit */

	arm(p);
	vnc_count(p, VNC_TXSTAT_PORT_READS);
	got = readv(p->port.fd, iov, n);
	if (got < 0) {
		if (errno != EAGAIN && errno != EINTR) {
			p->last_errno = errno;
			vnc_pump_hold(p, VNC_EVENT_PORT_GONE);
		}
		return false;
	}
	if (link_vnet) /* a record starts in line 0 of its place, so its first 48 bytes are one piece */
		memcpy(&hdr, span[0].base, sizeof(hdr));
	len = got - (p->port.vnet ? (int64_t)sizeof(hdr) : 0);
	drop = judge(p, &hdr, span[0].base + lead, len);
	if (vnc_tapped(&p->taps, VNC_TAP_READ, drop))
		vnc_pump_note_packet(p, &(struct vnc_note){
			.stage = VNC_TAP_READ, .drop = (uint8_t)drop, .flags = drop ? VNC_TAP_NOSEQ : 0,
			.before = reserved, .value = p->taps.waited_us,
			.len = len > 0 ? (uint32_t)len : 0, .span = span, .vnet = p->port.vnet ? &hdr : NULL,
			.skip = lead});
	now[VNC_TX_TX_TAKEN]++;
	now[VNC_TX_TX_TAKEN_BYTES] += len > 0 ? (uint64_t)len : 0;
	if (drop) {
		now[drop]++;
		keep(p, drop, span[0].base + lead, span[0].len - lead, len);
		if (direct)
			__atomic_store_n(&place_of(&p->producer, p->producer.prod)[2], ARMED_PAYLOAD, __ATOMIC_RELAXED);
		vnc_ledger_flip(&p->ledger);
		return true;
	}
	p->armed = false;
	len += link_vnet ? VNC_VNET_HDR : 0;
	now[VNC_TX_TX_SENT]++;
	now[VNC_TX_TX_SENT_BYTES] += (uint64_t)len - (link_vnet ? VNC_VNET_HDR : 0);
	now[VNC_LEDGER_GEN_RECORDS]++;
	now[VNC_LEDGER_INDEX] = p->producer.prod + vnc_record_bytes((uint32_t)len);
	vnc_ledger_flip(&p->ledger);
	if (!direct)
		vnc_ring_write(&p->producer, place, p->scratch, (uint32_t)len);
	vnc_ring_commit(&p->producer, (uint32_t)len, link_vnet ? VNC_REC_VNET : 0, link_vnet ? VNC_VNET_HDR : 0);
	if (vnc_tapped(&p->taps, VNC_TAP_COMMIT, 0))
		vnc_pump_note_packet(p, &(struct vnc_note){
			.stage = VNC_TAP_COMMIT, .len = (uint32_t)len - lead, .span = span,
			.vnet = link_vnet ? &hdr : NULL, .skip = lead});
	return true;
}

/* Payload bytes of the largest record. */
static uint32_t largest(const struct vnc_pump *p)
{
	return p->link.packet_max + (p->link.features & VNC_F_CSUM ? VNC_VNET_HDR : 0);
}

/** vnc_tx_some() - in another thread: move up to @most packets; what is wrong with the ring the pump's own will say. */
void vnc_tx_some(struct vnc_pump *p, uint32_t most, uint32_t command)
{
	struct vnc_span span[2];
	uint32_t n;

	vnc_batch_begins(&p->notes);
	for (n = 0; n < most && !vnc_pump_commanded(p, command); n++) {
		if (vnc_ring_reserve(&p->producer, largest(p), span) != VNC_OK || !move_one(p, span))
			break;
		publish(p);
	}
	vnc_pump_waits(p);
}

/* Something small went out, and nothing since: a question? Return: whether to look at the port again at once. */
static bool await_answer(struct vnc_pump *p, uint32_t command)
{
	struct vnc_pump *rx = __atomic_load_n(&p->other, __ATOMIC_ACQUIRE);
	uint32_t sent = p->producer.prod - p->asked;

	p->asked = p->producer.prod;
	return rx && sent && sent <= QUESTION_MAX && vnc_inline_rx(rx, p, command);
}

static void run(struct vnc_pump *p, uint32_t command)
{
	uint32_t most = largest(p);
	struct vnc_span span[2];

	vnc_batch_begins(&p->notes);
	while (!vnc_pump_commanded(p, command)) {
		switch (vnc_ring_reserve(&p->producer, most, span)) {
		case VNC_OK:
			if (move_one(p, span)) {
				publish(p);
				break;
			}
			vnc_pump_waits(p);
			if (!await_answer(p, command))
				vnc_pump_sleep_on_port(p, POLLIN);
			return;
		case VNC_FULL:
			wait_for_room(p, most, command);
			vnc_batch_begins(&p->notes);
			break;
		default:
			bad_index(p);
			return;
		}
	}
}

/* A packet of @len bytes stands in scratch, behind its virtio_net_hdr if there is one. */
static void note_drop(struct vnc_pump *p, int64_t len, int which)
{
	const struct vnc_span span[2] = {{p->scratch, sizeof(p->scratch)}, {p->scratch, 0}};
	struct vnc_vnet_hdr hdr;

	memcpy(&hdr, p->scratch, sizeof(hdr));
	vnc_pump_note_packet(p, &(struct vnc_note){
		.stage = VNC_TAP_READ, .drop = (uint8_t)which, .flags = VNC_TAP_NOSEQ, .len = len > 0 ? (uint32_t)len : 0,
		.span = span, .vnet = p->port.vnet ? &hdr : NULL, .skip = p->port.vnet ? VNC_VNET_HDR : 0});
}

static void drop_all(struct vnc_pump *p, uint32_t command, int which)
{
	uint64_t *now = p->ledger.now;
	ssize_t got;

	while (!vnc_pump_commanded(p, command)) {
		vnc_count(p, VNC_TXSTAT_PORT_READS);
		got = read(p->port.fd, p->scratch, sizeof(p->scratch));
		if (got < 0) {
			if (errno == EAGAIN || errno == EINTR) {
				vnc_pump_sleep_on_port(p, POLLIN);
				return;
			}
			p->last_errno = errno;
			vnc_pump_hold(p, VNC_EVENT_PORT_GONE);
			return;
		}
		got -= p->port.vnet ? VNC_VNET_HDR : 0;
		if (vnc_tapped(&p->taps, VNC_TAP_READ, which))
			note_drop(p, got, which);
		now[VNC_TX_TX_TAKEN]++;
		now[VNC_TX_TX_TAKEN_BYTES] += got > 0 ? (uint64_t)got : 0;
		now[which]++;
		keep(p, which, p->scratch + (p->port.vnet ? VNC_VNET_HDR : 0), VNC_SAMPLE_BYTES, got);
		vnc_ledger_flip(&p->ledger);
	}
}

/** vnc_tx_step() - carry on with @command until there is another, or nothing to do. */
void vnc_tx_step(struct vnc_pump *p, uint32_t command)
{
	switch (command & 0xff) {
	case VNC_RUN:
		run(p, command);
		break;
	case VNC_DROP_PEER_DEAD:
		drop_all(p, command, VNC_TX_DROP_PEER_DEAD);
		break;
	default:
		drop_all(p, command, VNC_TX_DROP_LINK_DOWN);
	}
}
