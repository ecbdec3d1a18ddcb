/* SPDX-License-Identifier: MIT */
/**
 * DOC: generic receive offload: datagrams of one UDP flow that wait in the ring enter the port as one super-packet.
 *
 * A write to a TUN costs as much for a super-packet as for a datagram; the kernel cuts it again where a program wants
 * single datagrams.  Nothing is waited for.  The rules are those of the Linux kernel (net/ipv4/udp_offload.c,
 * af_inet.c, net/ipv6/ip6_offload.c): the same addresses, ports, DSCP, ECN and TTL, all of the size of the first but a
 * smaller last one, no options, no fragments, and identifications that count up where IPv4 may fragment.
 *
 * Only datagrams whose checksum is still partial are merged: it covers each of them wherever it is filled in.  The
 * headers are copied once and compared as they were copied, as the peer may change them.  Included by vnc_rx.c only.
 */
#ifndef VNC_MERGE_H
#define VNC_MERGE_H
#include "vnc_deliver.h"

#define VNC_MERGE_MOST 64u /* datagrams of one write: UDP_MAX_SEGMENTS of Linux 5.x */
#define VNC_MERGE_BYTES 65535u
#define VNC_MERGE_HEAD (VNC_ETHERNET_HEADER + 40 + 8)

/** struct vnc_datagram - the headers of a datagram that may be merged. */
struct vnc_datagram {
	uint8_t head[VNC_MERGE_HEAD];
	uint32_t l3, l4;  /* where its IP header starts, and its UDP header */
	uint32_t payload; /* bytes behind the UDP header, at least 1 */
	bool ipv6;
};

/* May packets of the ring be merged at all? */
static bool merges(const struct vnc_pump *p)
{
	return __atomic_load_n(&p->merge, __ATOMIC_RELAXED) && p->domain == VNC_COHERENT && p->port.vnet &&
	       !p->port.rings && !p->port.neighbours && !p->punt.run &&
	       (p->link.features & (VNC_F_USO4 | VNC_F_USO6));
}

/* Copy the first @want bytes of the packet of @view. */
static void copy_head(const struct vnc_view *view, uint8_t *head, uint32_t want)
{
	uint32_t first = view->span[0].len - view->hdr_len;

	if (first > want)
		first = want;
	memcpy(head, view->span[0].base + view->hdr_len, first);
	memcpy(head + first, view->span[1].base, want - first);
}

/* Do the lengths and the checksum of @d say that it is a whole datagram of @len bytes, unfragmented? */
static bool whole_datagram(const struct vnc_datagram *d, const struct vnc_vnet_hdr *hdr, uint32_t len)
{
	const uint8_t *ip = d->head + d->l3;

	if (hdr->csum_start != d->l4 || hdr->csum_offset != 6 || vnc_get_be16(d->head + d->l4 + 4) != len - d->l4)
		return false;
	if (d->l3 && vnc_get_be16(ip - 2) != (d->ipv6 ? 0x86ddu : 0x0800u))
		return false;
	if (d->ipv6)
		return ip[6] == 17 && vnc_get_be16(ip + 4) == len - d->l3 - 40;
	return ip[0] == 0x45 && ip[9] == 17 && !(vnc_get_be16(ip + 6) & 0xbfff) && vnc_get_be16(ip + 2) == len - d->l3;
}

/* Read the headers of @view, a record with a virtio_net_hdr. Return: whether it may be merged. */
static bool read_datagram(const struct vnc_pump *p, const struct vnc_view *view, struct vnc_datagram *d)
{
	uint32_t len = view->len - view->hdr_len;
	struct vnc_vnet_hdr hdr;

	memcpy(&hdr, view->span[0].base, sizeof(hdr));
	if (hdr.flags != VNC_VNET_NEEDS_CSUM || hdr.gso_type != VNC_GSO_NONE || len > p->link.packet_max)
		return false;
	*d = (struct vnc_datagram){.l3 = p->port.ethernet ? VNC_ETHERNET_HEADER : 0};
	copy_head(view, d->head, len < sizeof(d->head) ? len : (uint32_t)sizeof(d->head));
	d->ipv6 = d->head[d->l3] >> 4 == 6;
	d->l4 = d->l3 + (d->ipv6 ? 40 : 20);
	if (len <= d->l4 + 8 || !(p->link.features & (d->ipv6 ? VNC_F_USO6 : VNC_F_USO4)))
		return false;
	d->payload = len - d->l4 - 8;
	return whole_datagram(d, &hdr, len);
}

/* Is @next, datagram @n of a super-packet that starts with @first, of the same flow and from the same sender? */
static bool same_flow(const struct vnc_datagram *first, const struct vnc_datagram *next, uint32_t n)
{
	const uint8_t *a = first->head + first->l3, *b = next->head + next->l3;

	if (first->ipv6 != next->ipv6 || memcmp(first->head, next->head, first->l3) ||
	    memcmp(first->head + first->l4, next->head + next->l4, 4))
		return false;
	if (first->ipv6)
		return !memcmp(a, b, 4) && a[7] == b[7] && !memcmp(a + 8, b + 8, 32);
	return a[1] == b[1] && !memcmp(a + 6, b + 6, 3) && !memcmp(a + 12, b + 12, 8) &&
	       ((a[6] & 0x40) || vnc_get_be16(b + 4) == ((vnc_get_be16(a + 4) + n) & 0xffff));
}

/*
 * Find what follows @view[0], whose headers are @first, and can be written with it, at most @most records in all.
 * Return: how many, with their views. @bytes: of their payload.
 */
static uint32_t collect(const struct vnc_pump *p, const struct vnc_datagram *first, struct vnc_view *view,
			uint32_t most, uint32_t *bytes)
{
	struct vnc_consumer at = p->consumer; /* it only looks ahead */
	struct vnc_datagram next;
	uint32_t n = 1;

	*bytes = first->payload;
	for (next = *first; n < most && next.payload == first->payload; n++) {
		vnc_ring_release(&at, view[n - 1].len);
		if (vnc_ring_peek(&at, &view[n]) != VNC_OK || view[n].flags != VNC_REC_VNET ||
		    !read_datagram(p, &view[n], &next) || !same_flow(first, &next, n) ||
		    next.payload > first->payload || *bytes + next.payload > VNC_MERGE_BYTES - VNC_MERGE_HEAD)
			break; /* what is wrong with a record is said when it is its turn */
		*bytes += next.payload;
	}
	return n;
}

/* Make the headers of @d those of a super-packet with @bytes of payload; its checksum is partial. */
static void lead(struct vnc_datagram *d, uint32_t bytes)
{
	uint8_t *ip = d->head + d->l3, *udp = d->head + d->l4;
	uint16_t pseudo;

	vnc_put_be16(udp + 4, bytes + 8);
	if (d->ipv6) {
		vnc_put_be16(ip + 4, bytes + 8);
	} else {
		vnc_put_be16(ip + 2, bytes + 28);
		memset(ip + 10, 0, 2);
		vnc_put_checksum(ip + 10, vnc_sum(ip, 20, 0), 0);
	}
	memset(udp + 6, 0, 2);
	pseudo = (uint16_t)~vnc_checksum(vnc_sum(ip + (d->ipv6 ? 8 : 12), d->ipv6 ? 32 : 8, 0) +
					 __builtin_bswap16(17) + vnc_sum(udp + 4, 2, 0));
	memcpy(udp + 6, &pseudo, 2);
}

/* Write @n records as one super-packet of @bytes of payload led by @first. Return: whether the port has taken it. */
static bool write_merged(struct vnc_pump *p, struct vnc_datagram *first, const struct vnc_view *view, uint32_t n,
			 uint32_t bytes)
{
	struct vnc_vnet_hdr hdr = {.flags = VNC_VNET_NEEDS_CSUM, .gso_type = VNC_GSO_UDP_L4,
				   .hdr_len = (uint16_t)(first->l4 + 8), .gso_size = (uint16_t)first->payload,
				   .csum_start = (uint16_t)first->l4, .csum_offset = 6};
	struct iovec iov[2 + 2 * VNC_MERGE_MOST];
	uint32_t skip, i, part;
	int used = 2;

	lead(first, bytes);
	iov[0] = (struct iovec){&hdr, sizeof(hdr)};
	iov[1] = (struct iovec){first->head, first->l4 + 8};
	for (i = 0; i < n; i++) {
		skip = view[i].hdr_len + first->l4 + 8;
		for (part = 0; part < 2; part++) {
			const struct vnc_span *span = &view[i].span[part];
			uint32_t less = skip < span->len ? skip : span->len;

			skip -= less;
			if (span->len > less)
				iov[used++] = (struct iovec){span->base + less, span->len - less};
		}
	}
	return write_packet(p, iov, used) >= 0;
}

#endif
