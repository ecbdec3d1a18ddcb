/* SPDX-License-Identifier: MIT */
/*
 * Fuzz harness: the rx pump, one move at a time, against a producer that writes anything anywhere, and a port that
 * refuses packets.  What reaches the port must be harmless, and every record must be counted once.
 */
#include "pump.h"
#include <errno.h>

#define SENT_MAX 256u

static struct lines {
	struct vnc_prod_line peer;
	struct vnc_cons_line own;
	struct fuzz_counters counters;
	uint32_t epoch __attribute__((aligned(64)));
} *lines;
static struct vnc_pump *p;
static struct fuzz_setup setup; /* filtered: with a filter of both rules */

struct record {
	uint32_t len, seq; /* @len without virtio_net_hdr */
	struct vnc_vnet_hdr hdr;
	uint8_t first;     /* byte of the packet */
	bool formed;       /* a super-packet with the headers that it needs */
	bool good;         /* reaches the port */
};

/* The honest producer's records that are not delivered, oldest first. */
static struct {
	uint32_t prod, seq, first, count;
	struct record record[SENT_MAX];
} sent;

static struct {
	uint64_t taken, bytes; /* by the port */
	uint32_t refusals;     /* that the next writes meet */
	int error;
	bool full;             /* the last write met EAGAIN or ENOBUFS */
	bool resolver_full;
	uint64_t unasked;      /* packets for which the resolver had no room */
	bool asked[2];         /* is the neighbour of IPv4, of IPv6 that was stale */
} port;

static uint64_t violations; /* that moves have reported */
static uint64_t base_viol;
static uint64_t base[VNC_LEDGER_WORDS];

void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	const struct vnc_consumer *c = &p->consumer;
	uint8_t *ring = fuzz_ring(), *head = ring + (c->cons & (VNC_RING_MIN - 1));

	switch (where % 12) {
	case 0:
		*good = c->cons;
		return &lines->peer.prod;
	case 1:
		*good = c->prod;
		return &lines->peer.prod;
	case 2:
		return &lines->peer.need_wakeup;
	case 3:
		*good = lines->epoch;
		return &lines->epoch;
	case 4:
		*good = *fuzz_raw32(head);
		return head;
	case 5:
		*good = *fuzz_raw32(head + 4);
		return head + 4;
	case 6:
	case 7:
	case 8: /* seq, the virtio_net_hdr, the packet's first bytes */
		*bits = 64;
		head = ring + ((c->cons + 8 * (where % 12 - 5)) & (VNC_RING_MIN - 1));
		*good = *fuzz_raw64(head);
		return head;
	case 9: /* counters */
		*bits = 64;
		return (uint64_t *)(void *)&lines->counters + where / 12;
	case 10:
		return &lines->own.cons;
	default:
		*bits = 64;
		return ring + where / 12 * 8 * (VNC_RING_MIN / 256);
	}
}

#include "rx_ethernet.h"
#include "rx_packets.h"

/* ---- the port ---------------------------------------------------------------------------------- */

/* @hdr of a frame: as it was in front of the packet. */
static void without_ethernet(struct vnc_vnet_hdr *hdr)
{
	if (!setup.neighbours)
		return;
	CHECK(!(hdr->flags & 1) || hdr->csum_start >= 14);
	CHECK(!hdr->hdr_len || hdr->hdr_len > 14);
	hdr->csum_start -= hdr->flags & 1 ? 14 : 0;
	hdr->hdr_len -= hdr->hdr_len ? 14 : 0;
}

static void check_packet(const struct iovec *iov, int n)
{
	const struct vnc_question *question = fuzz_written_fd == RESOLVER_FD ? iov[0].iov_base : NULL;
	uint32_t len = 0, lead = p->port.vnet ? VNC_VNET_HDR : 0, front = lead + (setup.neighbours ? 14 : 0), at;
	uint8_t packet[VNC_FRAME_MAX + 64];
	struct vnc_vnet_hdr hdr = {0};
	int i;

	if (question) {
		CHECK(setup.neighbours && iov[0].iov_len == sizeof(*question) && !fuzz_shared(question));
		iov++, n--;
	}
	for (i = 0; i < n; len += (uint32_t)iov[i++].iov_len) {
		CHECK(len + iov[i].iov_len <= sizeof(packet));
		__builtin_memcpy(packet + len, iov[i].iov_base, iov[i].iov_len);
	}
	CHECK(len > front && len - front <= p->link.packet_max && (!setup.ethernet || len - lead >= 14));
	CHECK(!(setup.filtered || setup.neighbours) || !fuzz_shared(iov[lead != 0].iov_base));
	CHECK(permitted(packet + front, len - front));
	if (setup.neighbours)
		check_ethernet(packet + lead, len - lead, question);
	if (lead) {
		CHECK(iov[0].iov_len == lead && !fuzz_shared(iov[0].iov_base)); /* the kernel gets what was checked */
		__builtin_memcpy(&hdr, packet, lead);
		CHECK(harmless(&hdr, len - lead));
		without_ethernet(&hdr);
		CHECK(harmless(&hdr, len - front) && !foreign(&hdr, p->link.features) && roomy(&hdr, len - front));
	}
	port.bytes += len - front;
	port.taken++;
	if (!fuzz_clean)
		return;
	while (sent.count && !sent.record[sent.first % SENT_MAX].good)
		sent.first++, sent.count--;
	CHECK(sent.count && sent.record[sent.first % SENT_MAX].len == len - front);
	CHECK(!lead || !memcmp(&hdr, &sent.record[sent.first % SENT_MAX].hdr, lead));
	for (at = 0; at < len - front; at++)
		CHECK(packet[front + at] == byte_of(&sent.record[sent.first % SENT_MAX], at));
	sent.first++;
	sent.count--;
}

/* A question about a neighbour that is stale, or a packet for one that is not known. */
static ssize_t ask_resolver(const struct iovec *iov, int n)
{
	const struct vnc_question *question = iov[0].iov_base;

	if (n > 1)
		check_packet(iov, n);
	else
		check_question(question, iov[0].iov_len);
	if (!port.resolver_full)
		return 1;
	port.unasked += n > 1;
	errno = EAGAIN;
	return -1;
}

ssize_t fuzz_port_write(const struct iovec *iov, int n)
{
	port.full = false;
	if (fuzz_written_fd == RESOLVER_FD)
		return ask_resolver(iov, n);
	if (port.refusals) {
		port.refusals--;
		errno = port.error;
		port.full = errno == EAGAIN || errno == ENOBUFS;
		if (!port.full && errno != EINTR && fuzz_clean) { /* it is dropped */
			while (sent.count && !sent.record[sent.first % SENT_MAX].good)
				sent.first++, sent.count--;
			CHECK(sent.count);
			sent.first++;
			sent.count--;
		}
		return -1;
	}
	check_packet(iov, n);
	return 1;
}

ssize_t fuzz_port_read(const struct iovec *iov, int n)
{
	(void)iov, (void)n;
	abort();
}

static void refuse(void)
{
	static const int errors[] = {EAGAIN, ENOBUFS, EINTR, EIO, EBADFD, EBADF, EINVAL, EMSGSIZE};
	uint8_t how = fuzz_byte();

	port.error = errors[how % 8];
	port.refusals = 1 + how / 8 % 4;
	port.resolver_full = how & 32;
}

#include "rx_program.h"

/* ---- the honest producer ----------------------------------------------------------------------- */

static void push(void)
{
	struct vnc_consumer *c = &p->consumer;
	uint32_t lead = p->link.features & VNC_F_CSUM ? VNC_VNET_HDR : 0, n;
	uint32_t len = 1 + fuzz_u16() % (p->link.packet_max + 8);
	uint8_t *place = c->ring + (sent.prod & (c->size - 1)), how = fuzz_byte(), packet[2048];
	struct record *r = &sent.record[sent.seq % SENT_MAX];

	len = len <= p->link.packet_max ? len : p->link.packet_max;
	if (sent.count == SENT_MAX ||
	    vnc_record_bytes(len + lead) > c->size - (sent.prod - *fuzz_raw32(&lines->own.cons)))
		return;
	*r = (struct record){.len = len, .seq = sent.seq, .first = how & 1 ? 0x60 : 0x45,
			     .hdr = fuzz_vnet(lead ? how / 2 : 0, len)};
	r->formed = r->hdr.gso_type && sent.seq % 4 != 3;
	if (r->formed && r->hdr.csum_start == 20) {
		r->hdr.csum_start = (uint16_t)(fuzz_l3(&setup, r->seq) + transport_of(r));
		r->hdr.csum_offset = r->hdr.gso_type == 5 ? 6 : 16;
	}
	r->good = (!setup.ethernet || len >= 14) && harmless(&r->hdr, len) && whole(r) &&
		  !(vnc_needed_feature(&r->hdr, r->first) & ~p->link.features);
	for (n = 0; n < len; n++)
		packet[n] = byte_of(r, n);
	r->good = r->good && permitted(packet, len) && (!setup.neighbours || sendable(packet, len));
	*fuzz_raw64(place) = (len + lead) | (uint64_t)(lead ? VNC_REC_VNET : 0) << 32 | (uint64_t)lead << 48;
	*fuzz_raw64(place + 8) = sent.seq;
	for (n = 0; n < len + lead; n++)
		c->ring[(sent.prod + VNC_RECORD_HEADER + n) & (c->size - 1)] =
			n < lead ? ((uint8_t *)&r->hdr)[n] : packet[n - lead];
	sent.count++;
	sent.seq++;
	sent.prod += vnc_record_bytes(len + lead);
	*fuzz_raw32(&lines->peer.prod) = sent.prod;
}

/* ---- the agent --------------------------------------------------------------------------------- */

static void generation(void)
{
	uint32_t index = fuzz_index();

	lines->peer = (struct vnc_prod_line){.prod = index, .need_wakeup = fuzz_byte() & 1};
	lines->epoch++;
	memset(&sent, 0, sizeof(sent));
	sent.prod = index;
	fuzz_ours_poked = false;
	fuzz_forget_pokes();
	vnc_rx_reset(p, index);
	vnc_rx_begin(p, &(struct vnc_agreement){.own_epoch = 5, .peer_epoch = lines->epoch, .serial = lines->epoch,
						.features = setup.features, .packet_max = setup.packet_max});
	fuzz_forget_pokes();
}

static void open_pump(void)
{
	const struct vnc_consumer consumer = {.ring = fuzz_ring(), .size = VNC_RING_MIN, .frame_max = 1,
					      .domain = setup.domain, .own = &lines->own, .peer = &lines->peer};
	uint32_t n;

	p = fuzz_new_pump(&setup, &lines->epoch);
	CHECK(!vnc_rx_open(p, &consumer, lines->counters.ledger, lines->counters.batches));
	memcpy(base, p->ledger.now, sizeof(base));
	p->filter.no_configuration = setup.filtered;
	p->filter.allowed = setup.filtered ? 2 : 0; /* 0.0.0.0/1 and ::/1 */
	for (n = 0; n < p->filter.allowed; n++)
		p->filter.allow[n] = (struct vnc_network){.mask = {0x80}, .version = n ? 6 : 4};
	if (setup.punts)
		p->punt = (struct vnc_punt){.run = picks, .program = &program, .fd = PROGRAM, .bypass = setup.bypass,
					    .state = program.state};
	if (setup.neighbours)
		p->port.neighbours = neighbours();
	port.unasked = port.asked[0] = port.asked[1] = 0;
	base_viol = fuzz_sum(&p->stats.now[VNC_RXSTAT_VIOL_PROD], 4);
	port.taken = port.bytes = violations = 0;
	program.records = program.bytes = 0;
	generation();
}

static void move(void)
{
	const struct vnc_consumer *c = &p->consumer;
	bool commanded = false, clean, stale;
	uint32_t max = fuzz_byte() % 64, pokes = fuzz_pokes;
	uint64_t taken = port.taken;
	enum vnc_stop stop;

	if (max == 63) { /* another command waits */
		p->command += 0x100;
		commanded = true;
	}
	/* Nothing is left of the last snapshot, and the next one is of a peer that has restarted. */
	stale = c->cons == c->prod && lines->peer.prod != c->prod && lines->epoch != p->link.epoch && max && !commanded;
	vnc_stats_begin_batch(&p->stats);
	stop = vnc_rx_move(p, max, p->done);
	vnc_pump_end_batch(p);
	p->command = p->done;
	clean = fuzz_clean;
	violations += stop == VNC_STOP_VIOLATION;
	CHECK(stop != VNC_STOP_PORT_EMPTY && stop != VNC_STOP_RING_FULL);
	CHECK((stop == VNC_STOP_COMMAND) == commanded);
	CHECK(!stale || pokes != fuzz_pokes || (stop == VNC_STOP_EPOCH && port.taken == taken));
	CHECK(stop != VNC_STOP_PORT_FULL || port.full);
	CHECK(stop != VNC_STOP_PORT_GONE || p->last_errno == EBADFD || p->last_errno == EBADF);
	if (clean)
		CHECK(stop != VNC_STOP_VIOLATION && stop != VNC_STOP_EPOCH &&
		      (stop != VNC_STOP_RING_EMPTY || p->consumer.cons == sent.prod));
	if (vnc_pump_hold_if(p, stop))
		vnc_pump_take_events(p);
}

/* ---- what must hold ---------------------------------------------------------------------------- */

static void check(void)
{
	const struct vnc_consumer *c = &p->consumer;
	uint64_t now[VNC_LEDGER_WORDS], window[VNC_LEDGER_WORDS];
	unsigned int n;

	CHECK(c->cons % VNC_LINE == 0 && c->prod % VNC_LINE == 0 && c->prod - c->cons <= c->size);
	CHECK(c->published == c->cons && (fuzz_ours_poked || lines->own.cons == c->cons));
	for (n = 0; n < VNC_LEDGER_WORDS; n++)
		now[n] = p->ledger.now[n] - base[n];
	settle_punt();
	CHECK(now[VNC_RX_RX_DELIVERED] == port.taken + program.records);
	CHECK(now[VNC_RX_RX_DELIVERED_BYTES] == port.bytes + program.bytes);
	CHECK(program.state[VNC_PUNT_SENT] == program.sent);
	CHECK(now[VNC_RX_RX_RECEIVED] == now[VNC_RX_RX_DELIVERED] + now[VNC_RX_DROP_PORT_REFUSED] +
						 now[VNC_RX_DROP_PORT_DOWN] + now[VNC_RX_DROP_BAD_FRAME] +
						 now[VNC_RX_DROP_SOURCE] + now[VNC_RX_DROP_REDIRECT] +
						 now[VNC_RX_DROP_SEGMENTS]);
	CHECK(fuzz_sum(&p->stats.now[VNC_RXSTAT_VIOL_PROD], 4) - base_viol == violations);
	if (setup.neighbours)
		CHECK(fuzz_sum(p->port.neighbours->unasked, 2) == port.unasked);
	CHECK(!(p->refused & (VNC_FEATURE_UNKNOWN | ~p->link.features)));
	if (fuzz_clean && !fuzz_ours_ruined && now[VNC_RX_RX_RECEIVED] && p->ledger.now[0] > 1) {
		vnc_ledger_read(setup.domain, lines->counters.ledger, window);
		CHECK(!fuzz_clean || !memcmp(window, p->ledger.now, sizeof(window)));
	}
	fuzz_check_taps();
}

static void operation(void)
{
	switch (fuzz_byte() % 10) {
	case 0:
	case 1:
	case 2:
		push();
		break;
	case 3:
		fuzz_poke_op();
		break;
	case 4:
	case 5:
		move();
		break;
	case 6:
		refuse();
		break;
	case 7:
		generation();
		break;
	case 8:
		__atomic_store_n(&p->stats.reset_high_water, 1, __ATOMIC_RELAXED);
		program.state[VNC_PUNT_PROGRAM] ^= 1; /* a program connects, or closes */
		break;
	default: /* killed, and started again */
		vnc_pump_close(p);
		open_pump();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(data, size);
	lines = (struct lines *)(void *)fuzz_lines();
	memset(&port, 0, sizeof(port));
	memset(&program, 0, sizeof(program));
	fuzz_read_setup(&setup);
	fuzz_area(&lines->peer, sizeof(lines->peer), PEERS);
	fuzz_area(&lines->own, sizeof(lines->own), OURS);
	fuzz_area(&lines->counters, sizeof(lines->counters), OURS);
	fuzz_area(&lines->epoch, VNC_LINE, PEERS);
	fuzz_area(fuzz_ring(), VNC_RING_MIN, PEERS);
	open_pump();
	while (fuzz_more()) {
		operation();
		check();
	}
	vnc_pump_close(p);
	return 0;
}
