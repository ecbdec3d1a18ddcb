/* SPDX-License-Identifier: MIT */
/*
 * Fuzz harness: packets of a few flows, of UDP or of TCP, through the rx pump, which merges them (vnc_merge.h), against
 * a producer that writes anything anywhere.  What reaches the port is harmless and stands for as many records as are
 * counted; until the first poke each packet is in it once, in order, unchanged.
 */
#include "pump.h"
#include <errno.h>

#define SENT_MAX 256u
#define PACKETS_MOST 64u
#define OPTIONS 12u
#define ACK 0x10
#define PSH 0x08

static struct lines {
	struct vnc_prod_line peer;
	struct vnc_cons_line own;
	struct fuzz_counters counters;
	uint32_t epoch __attribute__((aligned(64)));
} *lines;
static struct vnc_pump *p;
static struct fuzz_setup setup;
static bool tcp;   /* all flows are of TCP */
static bool whole; /* checksums are whole: the link has no checksum offload, records no virtio_net_hdr */

static struct {
	uint32_t prod, seq, first;
	uint32_t next[16]; /* TCP's sequence number of each flow */
	uint16_t identity;
	struct record {
		uint32_t len;
		bool good, checked; /* reaches the port; its checksum is partial, or right */
		uint8_t packet[512];
	} record[SENT_MAX];
} sent;

static struct {
	uint64_t datagrams, bytes;
	int refusals, error;
	bool full, unknown; /* it is not known how many datagrams */
} port;

static uint64_t base[VNC_LEDGER_WORDS];

void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	uint8_t *ring = fuzz_ring(), *head = ring + ((p->consumer.cons + where / 8 % 12 * 8) & (VNC_RING_MIN - 1));

	switch (where % 8) {
	case 0:
		*good = p->consumer.prod;
		return &lines->peer.prod;
	case 1:
		*good = lines->epoch;
		return &lines->epoch;
	default: /* the oldest record's header, and its packet's */
		*bits = 64;
		*good = *fuzz_raw64(head);
		return head;
	}
}

/* ---- a second implementation of what a super-packet stands for ------------------------------------- */

static uint32_t be16(const uint8_t *at)
{
	return (uint32_t)at[0] * 256 + at[1];
}

static uint32_t sum16(const uint8_t *at, uint32_t len, uint32_t sum)
{
	for (; len; at += 2, len -= 2)
		sum += be16(at);
	return sum;
}

static uint32_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static struct record *oldest(void)
{
	while (sent.first != sent.seq && !sent.record[sent.first % SENT_MAX].good)
		sent.first++;
	CHECK(sent.first != sent.seq);
	return &sent.record[sent.first++ % SENT_MAX];
}

/* The super-packet that reaches the port: where its headers start, what they are, and how it is cut. */
struct super {
	const uint8_t *packet;
	uint32_t len, l3, l4, data, size;
};

/* Is the header of TCP at @b that of the segment at @at of @s? */
static void check_segment(const struct super *s, const uint8_t *b, uint32_t at, uint32_t size)
{
	const uint8_t *a = s->packet + s->l4;
	uint32_t seq = be16(a + 4) << 16 | be16(a + 6), is = be16(b + 4) << 16 | be16(b + 6);
	bool last = at + size == s->len;

	CHECK(is == seq + (at - s->data) && !memcmp(a + 8, b + 8, 5) && !memcmp(a + 14, b + 14, 2));
	CHECK(!memcmp(a + 18, b + 18, s->data - s->l4 - 18) && (b[13] | PSH) == (ACK | PSH));
	CHECK(last ? a[13] == b[13] : b[13] == ACK);
}

/* Is packet @n of @s, whose payload of @size bytes starts at @at, the next one that was sent? */
static void check_packet(const struct super *s, uint32_t n, uint32_t at, uint32_t size)
{
	const struct record *r = oldest();
	const uint8_t *a = s->packet + s->l3, *b = r->packet + s->l3;

	CHECK(r->checked && r->len == s->data + size && !memcmp(r->packet + s->data, s->packet + at, size));
	CHECK(!memcmp(s->packet, r->packet, s->l3) && !memcmp(s->packet + s->l4, r->packet + s->l4, 4));
	if (tcp)
		check_segment(s, r->packet + s->l4, at, size);
	else
		CHECK(be16(r->packet + s->l4 + 4) == 8 + size);
	if (a[0] >> 4 == 6) {
		CHECK(!memcmp(a, b, 4) && a[7] == b[7] && !memcmp(a + 8, b + 8, 32));
	} else {
		CHECK(a[0] == b[0] && a[1] == b[1] && !memcmp(a + 6, b + 6, 4) && !memcmp(a + 12, b + 12, 8));
		CHECK((a[6] & 0x40) || be16(b + 4) == ((be16(a + 4) + n) & 0xffff));
	}
}

static void check_super_packet(const uint8_t *packet, uint32_t len, const struct vnc_vnet_hdr *hdr)
{
	uint32_t l3 = setup.ethernet ? 14 : 0, version = packet[l3] >> 4, l4 = l3 + (version == 6 ? 40 : 20), n = 0, at;
	uint32_t proto = packet[l3 + (version == 6 ? 6 : 9)], field = proto == 6 ? 16 : 6;
	const uint8_t *ip = packet + l3, *transport = packet + l4;
	uint32_t pseudo = sum16(ip + (version == 6 ? 8 : 12), version == 6 ? 32 : 8, proto + len - l4);
	struct super s = {packet, len, l3, l4, l4 + (proto == 6 ? transport[12] / 16 * 4 : 8), hdr->gso_size};

	CHECK(proto == 6 || proto == 17);
	CHECK(hdr->gso_type == (proto == 17 ? 5 : version == 6 ? 4 : 1));
	CHECK(hdr->flags == 1 && hdr->gso_size && hdr->csum_start == l4 && hdr->csum_offset == field);
	CHECK(hdr->hdr_len == s.data && s.data >= l4 + 8 && len > s.data && len - l3 <= 65535);
	CHECK(version == 6 || (version == 4 && !(be16(ip + 6) & 0xbfff)));
	CHECK(proto == 6 || (p->link.features & (version == 6 ? VNC_F_USO6 : VNC_F_USO4)));
	CHECK(version == 6 ? be16(ip + 4) == len - l4 : be16(ip + 2) == len - l3 && folded(sum16(ip, 20, 0)) == 0xffff);
	CHECK(proto == 6 ? (transport[13] | PSH) == (ACK | PSH) : be16(transport + 4) == len - l4);
	CHECK(be16(transport + field) == folded(pseudo));
	for (at = s.data; at < len; at += hdr->gso_size, n++)
		if (fuzz_clean)
			check_packet(&s, n, at, len - at < hdr->gso_size ? len - at : hdr->gso_size);
	CHECK(n > 1 && n <= PACKETS_MOST);
	port.datagrams += n;
	port.bytes += len - s.data + n * s.data;
}

/* ---- the port ---------------------------------------------------------------------------------------- */

ssize_t fuzz_port_write(const struct iovec *iov, int n)
{
	static uint8_t packet[VNC_FRAME_MAX + 64];
	const struct record *r;
	struct vnc_vnet_hdr hdr;
	uint32_t len = 0;
	int i;

	port.full = false;
	if (port.refusals) {
		port.refusals--;
		errno = port.error;
		port.full = errno != EINTR;
		return -1;
	}
	CHECK(iov[0].iov_len == sizeof(hdr) && !fuzz_shared(iov[0].iov_base));
	__builtin_memcpy(&hdr, iov[0].iov_base, sizeof(hdr));
	for (i = 1; i < n; len += (uint32_t)iov[i++].iov_len) {
		CHECK(len + iov[i].iov_len <= sizeof(packet));
		__builtin_memcpy(packet + len, iov[i].iov_base, iov[i].iov_len);
	}
	CHECK(!hdr.gso_type || !fuzz_clean || !fuzz_shared(iov[1].iov_base)); /* the headers that were compared */
	if (hdr.gso_type && !fuzz_clean && setup.filtered) { /* it may be one record of the hostile peer */
		port.unknown = true;
		return 1;
	}
	if (hdr.gso_type && !fuzz_shared(iov[1].iov_base)) {
		check_super_packet(packet, len, &hdr);
		return 1;
	}
	port.datagrams++;
	port.bytes += len;
	if (!fuzz_clean)
		return 1;
	r = oldest();
	CHECK(r->len == len && !memcmp(r->packet, packet, len));
	return 1;
}

ssize_t fuzz_port_read(const struct iovec *iov, int n)
{
	(void)iov, (void)n;
	abort();
}

ssize_t fuzz_program_take(const uint8_t *packet, size_t bytes)
{
	(void)packet, (void)bytes;
	abort();
}

static void refuse(void)
{
	static const int errors[] = {EAGAIN, EINTR, ENOBUFS};
	uint8_t how = fuzz_byte();

	port.error = errors[how % 3];
	port.refusals = 1 + how / 4 % 3;
}

/* ---- the honest producer ------------------------------------------------------------------------------ */

#include "merge_packets.h"

static void push(void)
{
	static const uint16_t sizes[] = {1, 40, 100, 300};
	uint8_t how = fuzz_byte(), what = fuzz_byte();
	struct record *r = &sent.record[sent.seq % SENT_MAX];
	struct vnc_consumer *c = &p->consumer;
	uint32_t size = sizes[how / 16 % 4], n, l4, lead = whole ? 0 : VNC_VNET_HDR;
	struct vnc_vnet_hdr hdr = {.flags = 1, .csum_offset = tcp ? 16 : 6};

	if (how & 64)
		size = 1 + what % size;
	if (sent.seq - sent.first == SENT_MAX ||
	    vnc_record_bytes(size + 110) > c->size - (sent.prod - *fuzz_raw32(&lines->own.cons)))
		return;
	l4 = make(r, how % 16, size, how & 64);
	hdr.csum_start = (uint16_t)l4;
	if (r->len > p->link.packet_max)
		return;
	if (how & 128)
		change(r, &hdr, what % CHANGES, l4);
	add_checksums(r, l4);
	r->checked = whole || (hdr.flags == 1 && hdr.csum_start == l4 && hdr.csum_offset == (tcp ? 16 : 6));
	r->good = whole || !(hdr.flags & 1) || hdr.csum_start + hdr.csum_offset + 2u <= r->len;
	if (how & 128)
		spoil(r, what % CHANGES, l4);
	*fuzz_raw64(c->ring + (sent.prod & (c->size - 1))) =
		(r->len + lead) | (whole ? 0 : (uint64_t)VNC_REC_VNET << 32) | (uint64_t)lead << 48;
	*fuzz_raw64(c->ring + ((sent.prod + 8) & (c->size - 1))) = sent.seq;
	for (n = 0; n < r->len + lead; n++)
		c->ring[(sent.prod + VNC_RECORD_HEADER + n) & (c->size - 1)] =
			n < lead ? ((uint8_t *)&hdr)[n] : r->packet[n - lead];
	sent.seq++;
	sent.prod += vnc_record_bytes(r->len + lead);
	*fuzz_raw32(&lines->peer.prod) = sent.prod;
}

/* ---- the agent ---------------------------------------------------------------------------------------- */

static void generation(void)
{
	uint32_t index = fuzz_index(), n;

	lines->peer = (struct vnc_prod_line){.prod = index};
	lines->epoch++;
	memset(&sent, 0, sizeof(sent));
	sent.prod = index;
	sent.identity = 0xfff0;
	for (n = 0; n < 16; n++)
		sent.next[n] = 0xffffff00u + n;
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
					      .domain = VNC_COHERENT, .own = &lines->own, .peer = &lines->peer};

	p = fuzz_new_pump(&setup, &lines->epoch);
	CHECK(!vnc_rx_open(p, &consumer, lines->counters.ledger, lines->counters.batches));
	memcpy(base, p->ledger.now, sizeof(base));
	p->merge = VNC_MERGE_UDP | VNC_MERGE_TCP4 | VNC_MERGE_TCP6;
	p->filter.no_configuration = setup.filtered;
	generation();
}

static void move(void)
{
	uint32_t max = fuzz_byte() % 80;
	enum vnc_stop stop;

	vnc_stats_begin_batch(&p->stats);
	stop = vnc_rx_move(p, max, p->done);
	vnc_pump_end_batch(p);
	CHECK(stop != VNC_STOP_PORT_FULL || port.full);
	CHECK(!fuzz_clean || stop == VNC_STOP_NONE || stop == VNC_STOP_PORT_FULL ||
	      (stop == VNC_STOP_RING_EMPTY && p->consumer.cons == sent.prod));
	if (vnc_pump_hold_if(p, stop))
		vnc_pump_take_events(p);
}

static void check(void)
{
	const struct vnc_consumer *c = &p->consumer;
	uint64_t now[VNC_LEDGER_WORDS];
	unsigned int n;

	CHECK(c->cons % VNC_LINE == 0 && c->prod - c->cons <= c->size && c->published == c->cons);
	for (n = 0; n < VNC_LEDGER_WORDS; n++)
		now[n] = p->ledger.now[n] - base[n];
	if (port.unknown) {
		port.datagrams = now[VNC_RX_RX_DELIVERED];
		port.bytes = now[VNC_RX_RX_DELIVERED_BYTES];
		port.unknown = false;
	}
	CHECK(now[VNC_RX_RX_DELIVERED] == port.datagrams && now[VNC_RX_RX_DELIVERED_BYTES] == port.bytes);
	fuzz_check_taps();
}

static void operation(void)
{
	switch (fuzz_byte() % 8) {
	case 0:
	case 1:
	case 2:
		push();
		break;
	case 3:
		fuzz_poke_op();
		break;
	case 4:
		refuse();
		break;
	case 5:
		generation();
		break;
	default:
		move();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how;

	fuzz_begin(data, size);
	lines = (struct lines *)(void *)fuzz_lines();
	memset(&port, 0, sizeof(port));
	how = fuzz_byte();
	setup = (struct fuzz_setup){.vnet_port = true, .ethernet = how & 1, .filtered = how & 2, .tapped = how & 4};
	setup.packet_max = how & 8 ? 120 : 1518;
	tcp = how & 64;
	whole = how & 128;
	setup.features = (whole ? 0 : VNC_F_CSUM) | (how & 16 ? 0 : VNC_F_USO4) | (how & 32 ? 0 : VNC_F_USO6);
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
