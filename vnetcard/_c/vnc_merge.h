/* SPDX-License-Identifier: MIT */
/**
 * DOC: generic receive offload: packets of one UDP or TCP flow that wait in the ring enter the port as a super-packet.
 *
 * A write to a TUN costs as much for a super-packet as for a packet of 1500 bytes; the kernel cuts it again where
 * somebody wants single packets.  Nothing is waited for.  The rules are those of the Linux kernel (net/ipv4/
 * udp_offload.c, tcp_offload.c, af_inet.c, net/ipv6/ip6_offload.c): the same addresses, ports, DSCP, ECN and TTL, all
 * of the size of the first but a smaller last one, no IP options, no fragments, and identifications that count up where
 * IPv4 may fragment.  Of TCP also the next sequence number, and the same acknowledgement, window and options; only ACK
 * is set, and PSH, which ends a super-packet.
 *
 * The checksum of a super-packet is partial.  Datagrams are merged only if theirs is so too: it covers each of them
 * wherever it is filled in.  Of TCP, a side without offloads sends whole ones, which are verified before.  The headers
 * are copied once and compared as they were copied, as the peer may change them.  Included by vnc_rx.c only.
 */
#ifndef VNC_MERGE_H
#define VNC_MERGE_H
#include "vnc_deliver.h"

#define VNC_MERGE_MOST 64u /* packets of one write: UDP_MAX_SEGMENTS of Linux 5.x */
#define VNC_MERGE_BYTES 65535u
#define VNC_MERGE_HEAD (VNC_ETHERNET_HEADER + 40 + 60)
#define VNC_TCP_ACK 0x10
#define VNC_TCP_PSH 0x08

/** struct vnc_mergeable - the headers of a packet that may be merged. */
struct vnc_mergeable {
	uint8_t head[VNC_MERGE_HEAD];
	uint32_t l3, l4, data; /* where its IP header starts, that of UDP or TCP, and what follows that */
	uint32_t payload;      /* bytes of it, at least 1 */
	bool ipv6, tcp;
};

/* May packets of the ring be merged at all? */
static bool merges(const struct vnc_pump *p)
{
	return __atomic_load_n(&p->merge, __ATOMIC_RELAXED) && p->domain == VNC_COHERENT && p->port.vnet &&
	       !p->port.rings && !p->port.neighbours && !p->punt.run;
}

/* May packets of the kind of @m be merged? */
static bool merges_kind(const struct vnc_pump *p, const struct vnc_mergeable *m)
{
	uint32_t merge = __atomic_load_n(&p->merge, __ATOMIC_RELAXED);

	if (m->tcp)
		return merge & (m->ipv6 ? VNC_MERGE_TCP6 : VNC_MERGE_TCP4);
	return (merge & VNC_MERGE_UDP) && (p->link.features & (m->ipv6 ? VNC_F_USO6 : VNC_F_USO4));
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

/* The sum, as vnc_sum(), of the @len bytes that follow the first @skip ones of the packet of @view. */
static uint64_t sum_payload(const struct vnc_view *view, uint32_t skip, uint32_t len)
{
	uint32_t at = view->hdr_len + skip, first = at < view->span[0].len ? view->span[0].len - at : 0;
	uint32_t second = at < view->span[0].len ? 0 : at - view->span[0].len;
	uint64_t sum = 0, rest;

	if (first > len)
		first = len;
	if (first)
		sum = vnc_sum(view->span[0].base + at, first, 0);
	rest = vnc_sum(view->span[1].base + second, len - first, 0);
	rest = (uint16_t)~vnc_checksum(rest);
	return sum + (first & 1 ? __builtin_bswap16((uint16_t)rest) : rest);
}

/* The sum of the pseudo header of @m, whose transport part has @len bytes. */
static uint64_t sum_pseudo(const struct vnc_mergeable *m, uint32_t len)
{
	uint16_t words[2] = {__builtin_bswap16(m->tcp ? 6 : 17), __builtin_bswap16((uint16_t)len)};

	return vnc_sum(m->head + m->l3 + (m->ipv6 ? 8 : 12), m->ipv6 ? 32 : 8, vnc_sum((uint8_t *)words, 4, 0));
}

/* Do the IP header and the lengths of @m say that it is a whole packet of @len bytes, unfragmented? */
static bool whole_packet(const struct vnc_mergeable *m, uint32_t len)
{
	const uint8_t *ip = m->head + m->l3, proto = m->tcp ? 6 : 17;

	if (m->l3 && vnc_get_be16(ip - 2) != (m->ipv6 ? 0x86ddu : 0x0800u))
		return false;
	if (m->ipv6)
		return ip[6] == proto && vnc_get_be16(ip + 4) == len - m->l3 - 40;
	return ip[0] == 0x45 && ip[9] == proto && !(vnc_get_be16(ip + 6) & 0xbfff) &&
	       vnc_get_be16(ip + 2) == len - m->l3 && !vnc_checksum(vnc_sum(ip, 20, 0));
}

/* Is the checksum of @m, in the packet of @view, of which @len bytes are UDP or TCP, partial, or right? */
static bool good_checksum(const struct vnc_mergeable *m, const struct vnc_view *view, const struct vnc_vnet_hdr *hdr,
			  uint32_t len)
{
	uint32_t head = m->data - m->l4, field = m->tcp ? 16 : 6;
	uint64_t pseudo = sum_pseudo(m, len);
	uint16_t partial = (uint16_t)~vnc_checksum(pseudo);

	if (hdr->flags & VNC_VNET_NEEDS_CSUM)
		return hdr->flags == VNC_VNET_NEEDS_CSUM && hdr->csum_start == m->l4 && hdr->csum_offset == field &&
		       !memcmp(m->head + m->l4 + field, &partial, sizeof(partial));
	return m->tcp && !vnc_checksum(vnc_sum(m->head + m->l4, head, pseudo) + sum_payload(view, m->data, len - head));
}

/* Find where the transport header of @m, of @len bytes in all, ends. Return: whether something follows, and may. */
static bool find_data(struct vnc_mergeable *m, uint32_t len)
{
	const uint8_t *l4 = m->head + m->l4;
	uint32_t head = 8;

	if (m->tcp) {
		head = 4u * (l4[12] >> 4);
		if (len < m->l4 + 20 || head < 20 || (l4[12] & 15) || (l4[13] & ~VNC_TCP_PSH) != VNC_TCP_ACK)
			return false;
	} else if (vnc_get_be16(l4 + 4) != len - m->l4) {
		return false;
	}
	m->data = m->l4 + head;
	return len > m->data;
}

/* Read the headers of @view. Return: whether it may be merged. */
static bool read_mergeable(const struct vnc_pump *p, const struct vnc_view *view, struct vnc_mergeable *m)
{
	uint32_t len = view->len - view->hdr_len;
	struct vnc_vnet_hdr hdr = {0};

	if (view->hdr_len)
		memcpy(&hdr, view->span[0].base, sizeof(hdr));
	if (hdr.gso_type != VNC_GSO_NONE || (hdr.flags & ~(VNC_VNET_NEEDS_CSUM | VNC_VNET_DATA_VALID)) ||
	    hdr.hdr_len > len || len > p->link.packet_max)
		return false;
	*m = (struct vnc_mergeable){.l3 = p->port.ethernet ? VNC_ETHERNET_HEADER : 0};
	if (len <= m->l3 + 20 + 8)
		return false;
	copy_head(view, m->head, len < sizeof(m->head) ? len : (uint32_t)sizeof(m->head));
	m->ipv6 = m->head[m->l3] >> 4 == 6;
	m->tcp = m->head[m->l3 + (m->ipv6 ? 6 : 9)] == 6;
	m->l4 = m->l3 + (m->ipv6 ? 40 : 20);
	if (len <= m->l4 + 8 || !merges_kind(p, m) || !whole_packet(m, len) || !find_data(m, len))
		return false;
	m->payload = len - m->data;
	return good_checksum(m, view, &hdr, len - m->l4);
}

/* Does @next, whose transport header is at @b, continue the segments that begin with @first, at @a, after @bytes? */
static bool next_segment(const struct vnc_mergeable *first, const uint8_t *a, const uint8_t *b, uint32_t bytes)
{
	uint32_t seq, expected, head = first->data - first->l4;

	memcpy(&expected, a + 4, sizeof(expected));
	memcpy(&seq, b + 4, sizeof(seq));
	return __builtin_bswap32(seq) == __builtin_bswap32(expected) + bytes && !memcmp(a + 8, b + 8, 5) &&
	       !memcmp(a + 14, b + 14, 2) && !memcmp(a + 18, b + 18, head - 18);
}

/*
 * Is @next, packet @n of a super-packet that starts with @first and has @bytes of payload, of the same flow and from
 * the same sender?
 */
static bool same_flow(const struct vnc_mergeable *first, const struct vnc_mergeable *next, uint32_t n, uint32_t bytes)
{
	const uint8_t *a = first->head + first->l3, *b = next->head + next->l3;

	if (first->ipv6 != next->ipv6 || first->data != next->data || first->tcp != next->tcp ||
	    memcmp(first->head, next->head, first->l3) || memcmp(first->head + first->l4, next->head + next->l4, 4))
		return false;
	if (first->tcp && !next_segment(first, first->head + first->l4, next->head + next->l4, bytes))
		return false;
	if (first->ipv6)
		return !memcmp(a, b, 4) && a[7] == b[7] && !memcmp(a + 8, b + 8, 32);
	return a[1] == b[1] && !memcmp(a + 6, b + 6, 3) && !memcmp(a + 12, b + 12, 8) &&
	       ((a[6] & 0x40) || vnc_get_be16(b + 4) == ((vnc_get_be16(a + 4) + n) & 0xffff));
}

/* Does nothing follow @last in a super-packet whose packets have @size bytes of payload? */
static bool ends(const struct vnc_mergeable *last, uint32_t size)
{
	return last->payload < size || (last->tcp && (last->head[last->l4 + 13] & VNC_TCP_PSH));
}

/*
 * Find what follows @view[0], whose headers are @first, and can be written with it, at most @most records in all.
 * Return: how many, with their views. @bytes: of their payload.  @first gets PSH where the last one has it.
 */
static uint32_t collect(const struct vnc_pump *p, struct vnc_mergeable *first, struct vnc_view *view, uint32_t most,
			uint32_t *bytes)
{
	struct vnc_consumer at = p->consumer; /* it only looks ahead */
	struct vnc_mergeable next;
	uint32_t n = 1;

	*bytes = first->payload;
	for (next = *first; n < most && !ends(&next, first->payload); n++) {
		vnc_ring_release(&at, view[n - 1].len);
		if (vnc_ring_peek(&at, &view[n]) != VNC_OK || view[n].flags != view[0].flags ||
		    !read_mergeable(p, &view[n], &next) || !same_flow(first, &next, n, *bytes) ||
		    next.payload > first->payload || *bytes + next.payload > VNC_MERGE_BYTES - VNC_MERGE_HEAD)
			break; /* what is wrong with a record is said when it is its turn */
		*bytes += next.payload;
		if (next.tcp)
			first->head[first->l4 + 13] |= next.head[next.l4 + 13];
	}
	return n;
}

/* Make the headers of @m those of a super-packet with @bytes of payload; its checksum is partial. */
static void lead(struct vnc_mergeable *m, uint32_t bytes)
{
	uint8_t *ip = m->head + m->l3, *l4 = m->head + m->l4;
	uint32_t len = bytes + m->data - m->l4;
	uint16_t pseudo;

	if (m->ipv6) {
		vnc_put_be16(ip + 4, len);
	} else {
		vnc_put_be16(ip + 2, len + 20);
		memset(ip + 10, 0, 2);
		vnc_put_checksum(ip + 10, vnc_sum(ip, 20, 0), 0);
	}
	if (!m->tcp)
		vnc_put_be16(l4 + 4, len);
	pseudo = (uint16_t)~vnc_checksum(sum_pseudo(m, len));
	memcpy(l4 + (m->tcp ? 16 : 6), &pseudo, 2);
}

static uint8_t gso_type(const struct vnc_mergeable *m)
{
	if (!m->tcp)
		return VNC_GSO_UDP_L4;
	return m->ipv6 ? VNC_GSO_TCPV6 : VNC_GSO_TCPV4;
}

/* Write @n records as one super-packet of @bytes of payload led by @first. Return: whether the port has taken it. */
static bool write_merged(struct vnc_pump *p, struct vnc_mergeable *first, const struct vnc_view *view, uint32_t n,
			 uint32_t bytes)
{
	struct vnc_vnet_hdr hdr = {.flags = VNC_VNET_NEEDS_CSUM, .gso_type = gso_type(first),
				   .hdr_len = (uint16_t)first->data, .gso_size = (uint16_t)first->payload,
				   .csum_start = (uint16_t)first->l4, .csum_offset = first->tcp ? 16 : 6};
	struct iovec iov[2 + 2 * VNC_MERGE_MOST];
	uint32_t skip, i, part;
	int used = 2;

	lead(first, bytes);
	iov[0] = (struct iovec){&hdr, sizeof(hdr)};
	iov[1] = (struct iovec){first->head, first->data};
	for (i = 0; i < n; i++) {
		skip = view[i].hdr_len + first->data;
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
