/* SPDX-License-Identifier: MIT */
/*
 * Fuzz harness: the tx pump at a packet socket (vnc_tx_socket.h), with frames of all kinds, tags beside them, and
 * super-packets that the peer does not take; as Ethernet frames, or as IP packets without their Ethernet header.
 */
#include "pump.h"
#include <errno.h>
#include <linux/if_packet.h>

#define QUEUE_MAX 32u
#define BYTES_MAX 3000u

static struct lines {
	struct vnc_prod_line own;
	struct vnc_cons_line peer;
	struct fuzz_counters counters;
	uint32_t epoch __attribute__((aligned(64)));
} *lines;
static struct vnc_pump *p;
static struct fuzz_setup setup;

enum { TAGGED = 1, TYPED = 2, CUT = 4, TCP = 8, SHORT = 16, PADDED = 32 };

struct frame {
	struct vnc_vnet_hdr hdr;
	uint32_t len; /* without @hdr */
	uint8_t how;
	uint8_t bytes[BYTES_MAX];
};

static struct {
	struct frame frame[QUEUE_MAX];
	uint32_t first, count, numbers, errors, cut;
	int error;
} port;

static uint64_t base[VNC_LEDGER_WORDS], base_viol, violations;
static struct vnc_neighbours neighbours;

void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good)
{
	(void)bits;
	*good = where % 3 == 2 ? lines->epoch : p->producer.cons;
	return where % 3 == 0 ? &lines->peer.cons : where % 3 == 1 ? &lines->peer.need_wakeup : &lines->epoch;
}

/* ---- the port ---------------------------------------------------------------------------------- */

/* Give @frame the headers of TCP, behind an IP header at @l3. */
static void make_tcp(struct frame *frame, uint32_t l3, bool six)
{
	uint32_t tcp = l3 + (six ? 40 : 20);

	frame->bytes[l3 + (six ? 6 : 9)] = 6;
	frame->bytes[l3 + 6] = six ? 6 : 0;
	frame->bytes[l3 + 7] = 0;
	frame->bytes[tcp + 12] = 0x50;
	frame->hdr = (struct vnc_vnet_hdr){.flags = VNC_VNET_NEEDS_CSUM, .csum_start = (uint16_t)tcp,
					   .csum_offset = 16, .hdr_len = (uint16_t)(tcp + 20)};
	if (frame->len > 600) {
		frame->hdr.gso_type = six ? VNC_GSO_TCPV6 : VNC_GSO_TCPV4;
		frame->hdr.gso_size = 500;
	}
}

static void arrive(void)
{
	struct frame *new = &port.frame[(port.first + port.count) % QUEUE_MAX];
	uint8_t kind = fuzz_byte(), how = fuzz_byte();
	uint32_t len = fuzz_u16() % BYTES_MAX, number = port.numbers++, l3 = fuzz_l3(&setup, number), n, size;
	bool six = kind & 1;

	if (port.count == QUEUE_MAX)
		return;
	l3 = l3 ? l3 : VNC_ETHERNET_HEADER;
	*new = (struct frame){.how = how, .len = how & SHORT ? len % 40 : len < 90 ? 90 : len};
	for (n = 0; n < new->len; n++)
		new->bytes[n] = n < l3 ? fuzz_ethernet(number, n, l3, six ? 0x60 : 0x45) : fuzz_fill(number, n);
	size = new->len - l3 - (how & PADDED ? 30 : 0) - (six ? 40 : 0);
	new->bytes[l3] = six ? 0x60 : 0x45;
	new->bytes[l3 + (six ? 4 : 2)] = (uint8_t)(size >> 8);
	new->bytes[l3 + (six ? 5 : 3)] = (uint8_t)size;
	new->hdr = fuzz_vnet(kind / 2, new->len);
	if (how & TCP && !(how & SHORT))
		make_tcp(new, l3, six);
	port.count++;
}

ssize_t fuzz_port_read(const struct iovec *iov, int n)
{
	const struct frame *frame = &port.frame[port.first];
	size_t at = 0, here, lead = sizeof(frame->hdr), all = lead + frame->len;
	const uint8_t *hdr = (const uint8_t *)&frame->hdr;

	if (port.errors) {
		port.errors--;
		errno = port.error;
		return -1;
	}
	if (!port.count) {
		errno = EAGAIN;
		return -1;
	}
	for (; n--; iov++)
		for (here = 0; here < iov->iov_len && at < all; here++, at++)
			((uint8_t *)iov->iov_base)[here] = at < lead ? hdr[at] : frame->bytes[at - lead];
	port.first = (port.first + 1) % QUEUE_MAX;
	port.count--;
	return (ssize_t)at;
}

ssize_t fuzz_port_receive(struct msghdr *msg)
{
	uint8_t how = port.frame[port.first].how;
	struct cmsghdr *beside = msg->msg_control;
	ssize_t got = fuzz_port_read(msg->msg_iov, (int)msg->msg_iovlen);
	struct tpacket_auxdata aux = {.tp_vlan_tci = 5, .tp_vlan_tpid = 0x88a8};

	if (got < 0)
		return got;
	aux.tp_status = (how & TAGGED ? TP_STATUS_VLAN_VALID : 0) | (how & TYPED ? TP_STATUS_VLAN_TPID_VALID : 0);
	msg->msg_flags = how & CUT ? MSG_TRUNC : 0;
	port.cut += !!(how & CUT);
	CHECK(msg->msg_controllen >= CMSG_SPACE(sizeof(aux)));
	*beside = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(aux)), .cmsg_level = SOL_PACKET,
				   .cmsg_type = how == 255 ? PACKET_STATISTICS : PACKET_AUXDATA};
	memcpy(CMSG_DATA(beside), &aux, sizeof(aux));
	if (how & SHORT)
		msg->msg_controllen = 0;
	return got;
}

ssize_t fuzz_port_write(const struct iovec *iov, int n)
{
	(void)iov, (void)n;
	abort();
}

ssize_t fuzz_program_take(const uint8_t *packet, size_t bytes)
{
	(void)packet, (void)bytes;
	abort();
}

/* ---- the honest consumer ------------------------------------------------------------------------ */

/* A record is at @index: it fits what was agreed on. Return: its length in the ring. */
static uint32_t check_record(uint32_t index)
{
	const uint8_t *ring = p->producer.ring, *place = ring + (index & (VNC_RING_MIN - 1));
	uint32_t lead = p->link.features & VNC_F_CSUM ? VNC_VNET_HDR : 0, len = *fuzz_raw32(place), n;
	uint8_t record[VNC_RING_MIN];
	struct vnc_vnet_hdr hdr = {0};

	CHECK(len > lead && len - lead <= p->link.packet_max);
	for (n = 0; n < len; n++)
		record[n] = ring[(index + VNC_RECORD_HEADER + n) & (VNC_RING_MIN - 1)];
	__builtin_memcpy(&hdr, record, lead);
	if (setup.neighbours) {
		CHECK(record[lead] >> 4 == 4 || record[lead] >> 4 == 6);
		CHECK(hdr.gso_type || len - lead == vnc_ip_length(record + lead, len - lead));
		CHECK(!(vnc_needed_feature(&hdr, record[lead]) & ~p->link.features));
	}
	return vnc_record_bytes(len);
}

static void consume(void)
{
	uint32_t cons = lines->peer.cons;

	while (fuzz_clean && cons != lines->own.prod)
		cons += check_record(cons);
	*fuzz_raw32(&lines->peer.cons) = fuzz_clean ? cons : lines->own.prod;
}

/* ---- the agent ---------------------------------------------------------------------------------- */

static void generation(void)
{
	uint32_t index = fuzz_index();

	lines->peer = (struct vnc_cons_line){.cons = index};
	lines->epoch++;
	fuzz_ours_poked = false;
	fuzz_forget_pokes();
	vnc_tx_reset(p, index);
	vnc_tx_begin(p, &(struct vnc_agreement){.own_epoch = 5, .peer_epoch = lines->epoch,
						.features = setup.features, .packet_max = setup.packet_max});
}

static void open_pump(void)
{
	const struct vnc_producer producer = {.ring = fuzz_ring(), .size = VNC_RING_MIN, .frame_max = 1,
					      .domain = setup.domain, .own = &lines->own, .peer = &lines->peer};

	p = fuzz_new_pump(&setup, &lines->epoch);
	p->port.packet_socket = true;
	p->port.neighbours = setup.neighbours ? &neighbours : NULL;
	CHECK(!vnc_tx_open(p, &producer, lines->counters.ledger, lines->counters.batches));
	memcpy(base, p->ledger.now, sizeof(base));
	base_viol = p->stats.now[VNC_TXSTAT_VIOL_CONS];
	violations = 0;
	generation();
}

static void settle(enum vnc_stop stop)
{
	violations += stop == VNC_STOP_VIOLATION;
	CHECK(stop != VNC_STOP_PORT_GONE || p->last_errno == EIO);
	if (vnc_pump_hold_if(p, stop))
		vnc_pump_take_events(p);
	p->command = p->done = VNC_HOLD;
}

static void check(void)
{
	uint64_t now[VNC_LEDGER_WORDS];
	unsigned int n;

	for (n = 0; n < VNC_LEDGER_WORDS; n++)
		now[n] = p->ledger.now[n] - base[n];
	CHECK(now[VNC_TX_TX_TAKEN] == now[VNC_TX_TX_SENT] + now[VNC_TX_DROP_LINK_DOWN] + now[VNC_TX_DROP_PEER_DEAD] +
					      now[VNC_TX_DROP_TOO_BIG] + now[VNC_TX_DROP_MALFORMED] +
					      now[VNC_TX_DROP_OFFLOAD]);
	CHECK(now[VNC_TX_DROP_TOO_BIG] >= port.cut);
	CHECK(p->stats.now[VNC_TXSTAT_VIOL_CONS] - base_viol == violations);
	fuzz_check_taps();
}

static void operation(void)
{
	uint8_t how;

	switch (fuzz_byte() % 9) {
	case 0:
	case 1:
		arrive();
		break;
	case 2:
		fuzz_poke_op();
		break;
	case 3:
	case 4:
		p->command = p->done = VNC_RUN;
		settle(vnc_tx_move(p, fuzz_byte() % 64, p->done));
		break;
	case 5:
		consume();
		break;
	case 6:
		generation();
		break;
	case 7:
		p->command = p->done = VNC_DROP_LINK_DOWN;
		settle(vnc_tx_drop(p, p->done, VNC_TX_DROP_LINK_DOWN));
		break;
	default:
		how = fuzz_byte();
		port.errors = 1;
		port.error = how & 1 ? EINVAL : how & 2 ? EIO : EAGAIN;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(data, size);
	lines = (struct lines *)(void *)fuzz_lines();
	memset(&port, 0, sizeof(port));
	fuzz_read_setup(&setup);
	setup.vnet_port = true;
	setup.ethernet = !setup.neighbours;
	fuzz_area(&lines->own, sizeof(lines->own), OURS);
	fuzz_area(&lines->peer, sizeof(lines->peer), PEERS);
	fuzz_area(&lines->counters, sizeof(lines->counters), OURS);
	fuzz_area(&lines->epoch, VNC_LINE, PEERS);
	fuzz_area(fuzz_ring(), VNC_RING_MIN, OURS);
	open_pump();
	while (fuzz_more()) {
		operation();
		check();
	}
	vnc_pump_close(p);
	return 0;
}
