/* SPDX-License-Identifier: MIT */
/**
 * DOC: which packets of the peer an rx pump drops by what their IP header says.
 *
 * Two rules, both off in a filter of zeros: the source address must be in one of the allowed networks; and nothing may
 * configure this machine: ICMP redirects (RFC 792), router advertisements and redirects of IPv6 (RFC 4861).
 *
 * The rules read a copy that the peer cannot change, and the kernel is given the same copy.  It starts with
 * VNC_FILTER_HEAD bytes; more are copied where IPv6 extension headers fill it, up to VNC_FILTER_HEAD_MAX.
 *
 * What is not seen: the inside of tunnels and of IPsec.  Later fragments pass, since what they belong to is of no use
 * without the first one, which has the headers.
 */
#ifndef VNC_FILTER_H
#define VNC_FILTER_H
#include "vnc_offload.h"
#include <stdbool.h>
#include <string.h>

#define VNC_ALLOW_MAX 64u
#define VNC_FILTER_HEAD 128u
#define VNC_FILTER_HEAD_MAX 512u

/** struct vnc_network - an IPv4 network in the first 4 bytes of @address and @mask, or an IPv6 one in all 16. */
struct vnc_network {
	uint64_t address[2], mask[2]; /* in network byte order; 0 where @mask is */
	uint32_t version;             /* 4 or 6 */
};

struct vnc_filter {
	bool no_configuration; /* drop what would configure this machine */
	uint32_t allowed;      /* networks of @allow; 0: any source */
	struct vnc_network allow[VNC_ALLOW_MAX];
};

/** struct vnc_head - the first bytes of a packet: where they are, and a private copy of them. */
struct vnc_head {
	const uint8_t *part[2]; /* the packet in the ring, */
	uint32_t size[2];       /* in two parts */
	uint32_t have;          /* bytes copied */
	uint8_t bytes[VNC_FILTER_HEAD_MAX];
};

enum { VNC_FILTER_PASS = 0 }; /* else the ledger's word of a drop */

/** vnc_filter_active() - does @f need to see packets? */
static inline bool vnc_filter_active(const struct vnc_filter *f)
{
	return f->no_configuration || f->allowed;
}

/** vnc_head_have() - copy at least @want bytes. Return: whether there are as many, within VNC_FILTER_HEAD_MAX. */
static inline bool vnc_head_have(struct vnc_head *h, uint32_t want)
{
	uint32_t len = h->size[0] + h->size[1], n;

	if (want <= h->have)
		return true;
	if (want > VNC_FILTER_HEAD_MAX || want > len)
		return false;
	if (h->have || want > VNC_FILTER_HEAD)
		want = len < VNC_FILTER_HEAD_MAX ? len : VNC_FILTER_HEAD_MAX;
	else
		want = len < VNC_FILTER_HEAD ? len : VNC_FILTER_HEAD;
	if (h->have < h->size[0]) {
		n = (want < h->size[0] ? want : h->size[0]) - h->have;
		memcpy(h->bytes + h->have, h->part[0] + h->have, n);
		h->have += n;
	}
	if (h->have < want)
		memcpy(h->bytes + h->have, h->part[1] + (h->have - h->size[0]), want - h->have);
	h->have = want;
	return true;
}

/* Is the source of the IP header at @at in one of the networks? */
static inline bool vnc_filter_allowed(const struct vnc_filter *f, const uint8_t *at, uint32_t version)
{
	uint64_t source[2] = {0};
	uint32_t n;

	memcpy(source, at + (version == 4 ? 12 : 8), version == 4 ? 4 : 16);
	for (n = 0; n < f->allowed; n++)
		if (f->allow[n].version == version &&
		    (source[0] & f->allow[n].mask[0]) == f->allow[n].address[0] &&
		    (source[1] & f->allow[n].mask[1]) == f->allow[n].address[1])
			return true;
	return false;
}

/* Is the packet whose IPv4 header is at @at a redirect? */
static inline bool vnc_filter_redirect4(struct vnc_head *h, uint32_t at)
{
	const uint8_t *ip = h->bytes + at;
	uint32_t icmp = at + 4u * (ip[0] & 15);

	if (ip[9] != 1 || (ip[6] & 0x1f) || ip[7])
		return false; /* not ICMP, or not the first fragment */
	return vnc_head_have(h, icmp + 1) && h->bytes[icmp] == 5; /* without a type the kernel takes it for broken */
}

/*
 * Is the packet whose IPv6 header is at @at a redirect or a router advertisement, or can it be one?  The kernel
 * believes those alone whose hop limit is 255.
 */
static inline bool vnc_filter_redirect6(struct vnc_head *h, uint32_t at)
{
	uint32_t next = h->bytes[at + 6], size;

	if (h->bytes[at + 7] != 255)
		return false;
	at += 40;
	while (next == 0 || next == 43 || next == 44 || next == 60) { /* hop-by-hop, routing, fragment, destination */
		if (!vnc_head_have(h, at + 8))
			return true; /* its end cannot be seen */
		if (next == 44 && (h->bytes[at + 2] || h->bytes[at + 3] >> 3))
			return false; /* not the first fragment */
		size = next == 44 ? 8 : 8 + 8u * h->bytes[at + 1];
		next = h->bytes[at];
		at += size;
	}
	if (next != 58)
		return false;
	return !vnc_head_have(h, at + 1) || h->bytes[at] == 134 || h->bytes[at] == 137;
}

/**
 * vnc_filter_packet() - may the packet of @h enter the port?
 * @h: with nothing copied.
 * @at: where its IP header starts: 0 on an interface of IP packets, the length of the Ethernet header where an IP
 *      packet follows one.
 * Return: VNC_FILTER_PASS, or the ledger's word of a drop.
 *
 * What is neither IPv4 nor IPv6 passes: the kernel refuses it, and that is counted.
 */
static inline unsigned int vnc_filter_packet(const struct vnc_filter *f, struct vnc_head *h, uint32_t at)
{
	uint32_t version = vnc_head_have(h, at + 1) ? h->bytes[at] >> 4 : 0;

	if (version != 4 && version != 6)
		return VNC_FILTER_PASS;
	if (!vnc_head_have(h, at + (version == 4 ? 20 : 40)))
		return f->allowed ? VNC_RX_DROP_SOURCE : VNC_FILTER_PASS; /* the kernel takes it for broken */
	if (f->allowed && !vnc_filter_allowed(f, h->bytes + at, version))
		return VNC_RX_DROP_SOURCE;
	if (f->no_configuration && (version == 4 ? vnc_filter_redirect4(h, at) : vnc_filter_redirect6(h, at)))
		return VNC_RX_DROP_REDIRECT;
	return VNC_FILTER_PASS;
}

/**
 * vnc_filter_frame() - as vnc_filter_packet(), for an Ethernet frame with nothing copied.
 *
 * What is no IP packet passes, ARP too.  Linux removes any number of tags of VLAN 0; behind more than two, nothing is
 * looked for, and the frame is dropped.
 */
static inline unsigned int vnc_filter_frame(const struct vnc_filter *f, struct vnc_head *h)
{
	uint32_t at = VNC_ETHERNET_HEADER, tags, kind;

	for (tags = 0;; tags++, at += VNC_VLAN_TAG) {
		if (!vnc_head_have(h, at))
			return VNC_FILTER_PASS; /* the kernel takes it for broken */
		kind = (uint32_t)h->bytes[at - 2] << 8 | h->bytes[at - 1];
		if (kind != 0x8100 && kind != 0x88a8)
			break;
		if (tags == 2)
			return f->allowed ? VNC_RX_DROP_SOURCE : VNC_RX_DROP_REDIRECT;
	}
	return kind == 0x0800 || kind == 0x86dd ? vnc_filter_packet(f, h, at) : (unsigned int)VNC_FILTER_PASS;
}

#endif
