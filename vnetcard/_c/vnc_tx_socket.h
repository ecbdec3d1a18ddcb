/* SPDX-License-Identifier: MIT */
/**
 * DOC: the part of the tx pump that reads a packet socket (packet(7)); included by vnc_tx.c only.
 *
 * Such a socket hands over what its interface has, whatever the peer takes: partial checksums, super-packets, and
 * VLAN tags beside the frame instead of in it.  So a frame is read into private memory and finished there
 * (vnc_finish.h).  Each packet that it is cut into counts as taken from the port, at the moment in which it is sent
 * or dropped; what is left while the ring is full waits in @finish.  A process killed meanwhile has counted only the
 * packets that it had sent.
 */
#ifndef VNC_TX_SOCKET_H
#define VNC_TX_SOCKET_H
#include "vnc_pump.h"
#include <linux/if_packet.h>
#include <sys/socket.h>

#define AHEAD 16u /* bytes in front of the frame: room for a virtio_net_hdr and a VLAN tag */
_Static_assert(AHEAD >= VNC_VNET_HDR + VNC_VLAN_TAG, "room");

/* Has the socket, with errno, taken a packet from its queue that it could not describe by a virtio_net_hdr? */
static bool unreadable(struct vnc_pump *p)
{
	if (!p->port.packet_socket || errno != EINVAL)
		return false;
	p->ledger.now[VNC_TX_TX_TAKEN]++;
	count_drop(p, VNC_TX_DROP_OFFLOAD, p->scratch, 0, 0);
	vnc_ledger_flip(&p->ledger);
	return true;
}

/* Count what is left of the last frame under the drop @which. */
static void abandon(struct vnc_pump *p, unsigned int which)
{
	uint8_t *packet;
	uint32_t len;

	while (vnc_finish_left(&p->finish)) {
		len = vnc_finish_next(&p->finish, &packet);
		p->ledger.now[VNC_TX_TX_TAKEN]++;
		p->ledger.now[VNC_TX_TX_TAKEN_BYTES] += len;
		count_drop(p, which, packet, len < VNC_SAMPLE_BYTES ? len : VNC_SAMPLE_BYTES, len);
		vnc_ledger_flip(&p->ledger);
	}
	p->finish.packet = NULL;
}

/* Put the VLAN tag that @msg has beside the frame at @frame back into it. Return: where it starts then. */
static uint8_t *insert_tag(struct msghdr *msg, uint8_t *frame, struct vnc_vnet_hdr *hdr)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	struct tpacket_auxdata aux;

	if (!c || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
		return frame;
	memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
		return frame;
	memmove(frame - VNC_VLAN_TAG, frame, 12);
	frame -= VNC_VLAN_TAG;
	vnc_put_be16(frame + 12, aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : 0x8100);
	vnc_put_be16(frame + 14, aux.tp_vlan_tci);
	if (hdr->hdr_len) /* 0: unknown; a TAP refuses less than an Ethernet header */
		hdr->hdr_len += VNC_VLAN_TAG;
	if (hdr->flags & VNC_VNET_NEEDS_CSUM)
		hdr->csum_start += VNC_VLAN_TAG;
	return frame;
}

/* Read a frame into scratch: *@frame and its header *@hdr. Return: its length; as readv() where there is none. */
static ssize_t read_frame(struct vnc_pump *p, struct vnc_vnet_hdr *hdr, uint8_t **frame)
{
	union {
		struct cmsghdr aligned;
		uint8_t bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec iov[2] = {{hdr, sizeof(*hdr)}, {p->scratch + AHEAD, sizeof(p->scratch) - AHEAD}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2, .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t got;

	vnc_stats_count(&p->stats, VNC_TXSTAT_PORT_READS);
	got = recvmsg(p->port.fd, &msg, 0);
	if (got < 0)
		return got;
	*frame = p->scratch + AHEAD;
	if (msg.msg_flags & MSG_TRUNC)
		return VNC_FRAME_MAX + 1; /* larger than any packet_max */
	got -= (ssize_t)sizeof(*hdr);
	if (got < (ssize_t)VNC_ETHERNET_HEADER)
		return 0;
	if (p->port.neighbours) {
		*frame += VNC_ETHERNET_HEADER;
		return vnc_ethernet_off(hdr, *frame - VNC_ETHERNET_HEADER, (uint32_t)got);
	}
	*frame = insert_tag(&msg, *frame, hdr);
	return got + (p->scratch + AHEAD - *frame);
}

/* Prepare @finish for a frame of @len bytes led by @hdr. Return: 0, or the drop under which it is counted. */
static unsigned int prepare(struct vnc_pump *p, const struct vnc_vnet_hdr *hdr, uint8_t *frame, uint32_t len)
{
	static const struct vnc_vnet_hdr plain;

	if (!len)
		return VNC_TX_DROP_MALFORMED;
	p->finish_hdr = *hdr;
	if (len > VNC_FRAME_MAX)
		return VNC_TX_DROP_TOO_BIG;
	if (len <= p->link.packet_max && !(vnc_needed_feature(hdr, frame[vnc_pump_l3(p, frame)]) & ~p->link.features)) {
		vnc_finish_whole(&p->finish, frame, len);
		return 0;
	}
	if (vnc_finish_begin(&p->finish, hdr, frame, len, p->port.ethernet))
		return VNC_TX_DROP_OFFLOAD;
	p->finish_hdr = plain;
	return vnc_finish_largest(&p->finish) > p->link.packet_max ? VNC_TX_DROP_TOO_BIG : 0;
}

/* Read a frame, and count it if it is dropped. Return: VNC_STOP_NONE, or as read_failed(). */
static enum vnc_stop take_frame(struct vnc_pump *p)
{
	struct vnc_vnet_hdr hdr;
	struct vnc_span span[2] = {{0}, {0}};
	unsigned int drop;
	uint8_t *frame;
	ssize_t got;

	got = read_frame(p, &hdr, &frame);
	if (got < 0)
		return unreadable(p) ? VNC_STOP_NONE : read_failed(p, got);
	drop = prepare(p, &hdr, frame, (uint32_t)got);
	if (!drop)
		return VNC_STOP_NONE;
	p->finish.packet = NULL;
	span[0] = (struct vnc_span){frame, (uint32_t)(got > VNC_FRAME_MAX ? VNC_FRAME_MAX : got)};
	if (vnc_tapped(&p->taps, VNC_TAP_READ, drop))
		vnc_pump_tap_packet(p, &(struct vnc_tap_entry){
			.stage = VNC_TAP_READ, .drop = (uint8_t)drop, .flags = VNC_TAP_NOSEQ,
			.index = p->producer.prod, .seq = p->producer.seq, .len = (uint32_t)got, .span = span,
			.vnet = &hdr});
	p->ledger.now[VNC_TX_TX_TAKEN]++;
	p->ledger.now[VNC_TX_TX_TAKEN_BYTES] += (uint64_t)got;
	count_drop(p, drop, frame, span[0].len < VNC_SAMPLE_BYTES ? span[0].len : VNC_SAMPLE_BYTES, got);
	vnc_ledger_flip(&p->ledger);
	return VNC_STOP_NONE;
}

static void tap_frame(struct vnc_pump *p, uint8_t stage, uint64_t before, const struct vnc_span span[2], uint32_t lead)
{
	if (vnc_tapped(&p->taps, stage, 0))
		vnc_pump_tap_packet(p, &(struct vnc_tap_entry){
			.stage = stage, .index = p->producer.prod,
			.seq = p->producer.seq - (stage == VNC_TAP_COMMIT), .before = before,
			.value = stage == VNC_TAP_READ ? p->taps.waited_us : 0, .len = span[0].len - lead, .span = span,
			.vnet = &p->finish_hdr, .skip = lead});
}

/* Move one packet of the socket into the ring, to @place. Return: VNC_STOP_NONE, or as read_failed(). */
static enum vnc_stop move_frame(struct vnc_pump *p, const struct vnc_span place[2])
{
	struct vnc_producer *r = &p->producer;
	bool link_vnet = p->link.features & VNC_F_CSUM;
	uint64_t reserved = vnc_tap_begin(&p->taps, r->seq);
	uint32_t lead = link_vnet ? VNC_VNET_HDR : 0, len;
	struct vnc_span span[2] = {{0}, {0}};
	enum vnc_stop stop = VNC_STOP_NONE;
	uint8_t *packet;

	if (!vnc_finish_left(&p->finish))
		stop = take_frame(p);
	if (stop != VNC_STOP_NONE || !vnc_finish_left(&p->finish))
		return stop;
	len = vnc_finish_next(&p->finish, &packet);
	if (link_vnet) /* into AHEAD, or over payload that was sent */
		memcpy(packet - lead, &p->finish_hdr, sizeof(p->finish_hdr));
	span[0] = (struct vnc_span){packet - lead, len + lead};
	tap_frame(p, VNC_TAP_READ, reserved, span, lead);
	VNC_PROBE3(tx_read, r->seq, len, 0);
	p->ledger.now[VNC_TX_TX_TAKEN]++;
	p->ledger.now[VNC_TX_TX_TAKEN_BYTES] += len;
	count_sent(p, len + lead, lead);
	vnc_ring_write(r, place, packet - lead, len + lead);
	vnc_ring_commit(r, len + lead, link_vnet ? VNC_REC_VNET : 0, (uint16_t)lead);
	VNC_PROBE3(tx_commit, r->seq - 1, len, r->prod);
	tap_frame(p, VNC_TAP_COMMIT, 0, span, lead);
	return VNC_STOP_NONE;
}

#endif
