/* SPDX-License-Identifier: MIT */
/**
 * DOC: finish what a sender left to its device: complete a partial checksum, and cut a super-packet into packets.
 *
 * Header-only and freestanding C11, for pumps and firmware alike.  The headers may be hostile: nothing outside the
 * packet is read or written, whatever they say.  The rules are those of the Linux kernel (net/ipv4/tcp_offload.c,
 * udp_offload.c, af_inet.c, net/ipv6/ip6_offload.c):
 *
 *   TCP    the sequence number advances; FIN and PSH stay on the last packet, CWR on the first
 *   IPv4   the identification advances by 1; total length and header checksum are computed for each packet
 *   IPv6   the payload length is computed for each packet, extension headers are repeated
 *   UDP    the length is computed for each packet; a checksum of 0 is sent as 0xffff
 *
 * The packets are cut in place: the headers of the next one are written over the payload of those before it.
 *
 *	if (vnc_finish_begin(&f, &hdr, packet, len, ethernet))
 *		drop it;
 *	while ((len = vnc_finish_next(&f, &packet)))
 *		send(packet, len);
 */
#ifndef VNC_FINISH_H
#define VNC_FINISH_H
#include "vnc_offload.h"

#define VNC_FINISH_HEADERS 256u   /* most bytes of headers in front of the payload */
#define VNC_FINISH_EXTENSIONS 8u  /* most extension headers of an IPv6 packet */
#define VNC_GSO_ECN 0x80u         /* in gso_type: the TCP packet has CWR set */

/** struct vnc_finish - what is left of a packet that vnc_finish_begin() has accepted. */
struct vnc_finish {
	uint8_t *packet;    /* whole, without virtio_net_hdr */
	uint32_t len;       /* of it, in bytes */
	uint32_t l3, l4;    /* where the IP header starts, and that of TCP or UDP */
	uint32_t head;      /* bytes of all headers; 0: the packet is not cut */
	uint32_t at;        /* where the next packet's payload starts */
	uint32_t size;      /* most payload bytes of one packet */
	uint32_t number;    /* packets that were cut so far */
	uint8_t ipv6, udp;
	uint8_t headers[VNC_FINISH_HEADERS];
};

static inline uint32_t vnc_get_be16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static inline void vnc_put_be16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* ---- the Internet checksum (RFC 1071) ------------------------------------------------------------ */

/** vnc_sum() - @sum and the 16-bit words of @len bytes at @at, less than 2**31; an odd last byte is padded with 0. */
static inline uint64_t vnc_sum(const uint8_t *at, uint32_t len, uint64_t sum)
{
	uint16_t half = 0;
	uint32_t word;

	for (; len >= sizeof(word); len -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		sum += word;
	}
	if (len >= sizeof(half)) {
		memcpy(&half, at, sizeof(half));
		sum += half;
		at += sizeof(half);
		len -= sizeof(half);
	}
	if (len) {
		half = 0;
		memcpy(&half, at, 1);
		sum += half;
	}
	return sum;
}

/** vnc_checksum() - the checksum of what vnc_sum() has added up, in the byte order of a packet. */
static inline uint16_t vnc_checksum(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline void vnc_put_checksum(uint8_t *at, uint64_t sum, int never_0)
{
	uint16_t value = vnc_checksum(sum);

	if (!value && never_0)
		value = 0xffff;
	memcpy(at, &value, sizeof(value));
}

/**
 * vnc_finish_checksum() - complete the checksum of @packet, @len bytes, if @hdr says that it is partial.
 * Return: 0, or -1 where @hdr points outside the packet, which is then unchanged.
 */
static inline int vnc_finish_checksum(const struct vnc_vnet_hdr *hdr, uint8_t *packet, uint32_t len)
{
	uint32_t start = hdr->csum_start, field = start + hdr->csum_offset;

	if (!(hdr->flags & VNC_VNET_NEEDS_CSUM))
		return 0;
	if (start > len || field + 2 > len)
		return -1;
	vnc_put_checksum(packet + field, vnc_sum(packet + start, len - start, 0), hdr->csum_offset == 6);
	return 0;
}

/* ---- cutting -------------------------------------------------------------------------------------- */

/* Find the header of TCP or UDP, behind that of IP at @f->l3. Return: its protocol number, -1 where there is none. */
static inline int vnc_finish_transport(struct vnc_finish *f)
{
	const uint8_t *ip = f->packet + f->l3;
	uint32_t room = f->len - f->l3, at, next, n;

	f->ipv6 = ip[0] >> 4 == 6;
	if (!f->ipv6) {
		at = 4u * (ip[0] & 15);
		if (ip[0] >> 4 != 4 || at < 20 || at > room || (vnc_get_be16(ip + 6) & 0x3fff))
			return -1; /* a fragment has no header of TCP or UDP, or not all of its payload */
		f->l4 = f->l3 + at;
		return ip[9];
	}
	if (room < 40)
		return -1;
	next = ip[6];
	at = 40;
	for (n = 0; next == 0 || next == 60; n++) { /* hop-by-hop and destination options */
		if (n == VNC_FINISH_EXTENSIONS || at + 8 > room)
			return -1;
		next = ip[at];
		at += 8 + 8u * ip[at + 1];
	}
	f->l4 = f->l3 + at;
	return at > room ? -1 : (int)next;
}

/* Has @f, a super-packet led by @hdr, headers that fit together?  Sets where they are. */
static inline int vnc_finish_headers(struct vnc_finish *f, const struct vnc_vnet_hdr *hdr, int ethernet)
{
	int udp = hdr->gso_type == VNC_GSO_UDP_L4, protocol;
	uint32_t type;

	if (f->len < (ethernet ? VNC_ETHERNET_HEADER : 0) + 20)
		return 0;
	f->l3 = ethernet ? vnc_ip_offset(f->packet) : 0;
	if (f->len < f->l3 + 20)
		return 0;
	protocol = vnc_finish_transport(f);
	type = f->ipv6 ? 0x86dd : 0x0800;
	if (protocol != (udp ? 17 : 6) || (ethernet && vnc_get_be16(f->packet + f->l3 - 2) != type))
		return 0;
	if (!udp && f->ipv6 != ((hdr->gso_type & ~VNC_GSO_ECN) == VNC_GSO_TCPV6))
		return 0;
	if (f->l4 + (udp ? 8u : 20u) > f->len)
		return 0;
	f->udp = (uint8_t)udp;
	f->head = f->l4 + (udp ? 8u : 4u * (f->packet[f->l4 + 12] >> 4));
	if (f->head < f->l4 + (udp ? 8u : 20u) || f->head > f->len || f->head > VNC_FINISH_HEADERS)
		return 0;
	return !(hdr->flags & VNC_VNET_NEEDS_CSUM) ||
	       (hdr->csum_start == f->l4 && hdr->csum_offset == (udp ? 6 : 16));
}

/** vnc_finish_largest() - length of the largest packet that vnc_finish_next() is going to return. */
static inline uint32_t vnc_finish_largest(const struct vnc_finish *f)
{
	uint32_t payload = f->len - f->head;

	return f->head + (payload < f->size ? payload : f->size);
}

/** vnc_finish_whole() - let vnc_finish_next() return @packet, @len bytes, as it is. */
static inline void vnc_finish_whole(struct vnc_finish *f, uint8_t *packet, uint32_t len)
{
	f->packet = packet;
	f->len = f->size = len;
	f->head = f->at = f->number = 0;
}

/**
 * vnc_finish_begin() - check @packet, @len bytes after @hdr, and prepare @f to take it apart.
 * @ethernet: it is an Ethernet frame, with up to two VLAN tags; else an IP packet.
 * Return: 0, or -1 where it cannot be finished: an unknown kind, or headers that do not fit it.
 */
static inline int vnc_finish_begin(struct vnc_finish *f, const struct vnc_vnet_hdr *hdr, uint8_t *packet,
				   uint32_t len, int ethernet)
{
	vnc_finish_whole(f, packet, len);
	if (hdr->gso_type == VNC_GSO_NONE)
		return len ? vnc_finish_checksum(hdr, packet, len) : -1;
	switch (hdr->gso_type) {
	case VNC_GSO_TCPV4:
	case VNC_GSO_TCPV6:
	case VNC_GSO_TCPV4 | VNC_GSO_ECN:
	case VNC_GSO_TCPV6 | VNC_GSO_ECN:
	case VNC_GSO_UDP_L4:
		break;
	default:
		return -1;
	}
	if (!hdr->gso_size || !vnc_finish_headers(f, hdr, ethernet)) {
		f->head = 0;
		return -1;
	}
	f->at = f->head;
	f->size = hdr->gso_size;
	if (vnc_finish_largest(f) - f->l3 > 0xffff) /* more than the length fields express */
		return -1;
	memcpy(f->headers, packet, f->head);
	return 0;
}

/* Write the lengths and checksums of the IP packet of @bytes at @packet, whose TCP or UDP header is complete. */
static inline void vnc_finish_lengths(const struct vnc_finish *f, uint8_t *packet, uint32_t bytes)
{
	uint8_t *ip = packet + f->l3, *transport = packet + f->l4, *field = transport + (f->udp ? 6 : 16);
	uint32_t covered = bytes - f->l4;
	uint8_t pseudo[4] = {0, f->udp ? 17 : 6, (uint8_t)(covered >> 8), (uint8_t)covered};
	uint64_t sum = vnc_sum(pseudo, sizeof(pseudo), 0);

	if (f->ipv6) {
		vnc_put_be16(ip + 4, bytes - f->l3 - 40);
		sum = vnc_sum(ip + 8, 32, sum);
	} else {
		vnc_put_be16(ip + 2, bytes - f->l3);
		vnc_put_be16(ip + 4, vnc_get_be16(ip + 4) + f->number);
		ip[10] = ip[11] = 0;
		vnc_put_checksum(ip + 10, vnc_sum(ip, f->l4 - f->l3, 0), 0);
		sum = vnc_sum(ip + 12, 8, sum);
	}
	if (f->udp)
		vnc_put_be16(transport + 4, covered);
	field[0] = field[1] = 0;
	vnc_put_checksum(field, vnc_sum(transport, covered, sum), f->udp);
}

/* Write the sequence number and the flags of the TCP header at @tcp. */
static inline void vnc_finish_tcp(const struct vnc_finish *f, uint8_t *tcp, int last)
{
	uint32_t seq = vnc_get_be16(tcp + 4) << 16 | vnc_get_be16(tcp + 6);

	seq += f->at - f->head;
	vnc_put_be16(tcp + 4, seq >> 16);
	vnc_put_be16(tcp + 6, seq & 0xffff);
	if (!last)
		tcp[13] &= (uint8_t)~0x09u; /* FIN and PSH */
	if (f->number)
		tcp[13] &= (uint8_t)~0x80u; /* CWR */
}

/**
 * vnc_finish_next() - the next packet of @f, at *@packet until the following call.
 * Return: its length in bytes; 0 after the last one.
 */
static inline uint32_t vnc_finish_next(struct vnc_finish *f, uint8_t **packet)
{
	uint32_t left = f->len - f->at, payload = left < f->size ? left : f->size, bytes = f->head + payload;

	*packet = f->packet + f->at - f->head;
	if (f->number && !left)
		return 0;
	if (f->head) {
		memcpy(*packet, f->headers, f->head);
		if (!f->udp)
			vnc_finish_tcp(f, *packet + f->l4, payload == left);
		vnc_finish_lengths(f, *packet, bytes);
	}
	f->at += payload;
	f->number++;
	return bytes;
}

/** vnc_finish_left() - does vnc_finish_next() return another packet? */
static inline int vnc_finish_left(const struct vnc_finish *f)
{
	return f->packet && (!f->number || f->at < f->len);
}

#endif
