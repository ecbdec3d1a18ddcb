/* SPDX-License-Identifier: MIT */
/**
 * DOC: the part of struct virtio_net_hdr that a pump interprets.
 *
 * Source: Linux include/uapi/linux/virtio_net.h.  Both ends of a link run on little-endian machines:
 * the header of a TUN is in the byte order of the machine.
 */
#ifndef VNC_OFFLOAD_H
#define VNC_OFFLOAD_H
#include "vnc_layout.h"
#include <string.h>

struct vnc_vnet_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
};
_Static_assert(sizeof(struct vnc_vnet_hdr) == VNC_VNET_HDR, "virtio_net_hdr");

#define VNC_VNET_NEEDS_CSUM 1u
#define VNC_VNET_DATA_VALID 2u
#define VNC_GSO_NONE 0u
#define VNC_GSO_TCPV4 1u
#define VNC_GSO_TCPV6 4u
#define VNC_GSO_UDP_L4 5u
#define VNC_FEATURE_UNKNOWN 0x80000000u
#define VNC_ETHERNET_HEADER 14u
#define VNC_VLAN_TAG 4u

/** vnc_ip_offset() - where the IP header of @frame starts, behind up to two VLAN tags; 22 bytes are readable. */
static inline uint32_t vnc_ip_offset(const uint8_t *frame)
{
	uint32_t at = VNC_ETHERNET_HEADER, tags;

	for (tags = 0; tags < 2; tags++, at += VNC_VLAN_TAG) {
		uint32_t kind = (uint32_t)frame[at - 2] << 8 | frame[at - 1];

		if (kind != 0x8100 && kind != 0x88a8)
			break;
	}
	return at;
}

/**
 * vnc_needed_feature() - the VNC_F_* bit that the link must have for a packet with @hdr.
 * @first: first byte of the IP header; its upper four bits are the IP version.
 * Return: 0 for a plain packet, VNC_FEATURE_UNKNOWN for a kind that no feature covers.
 */
static inline uint32_t vnc_needed_feature(const struct vnc_vnet_hdr *hdr, uint8_t first)
{
	switch (hdr->gso_type) {
	case VNC_GSO_NONE:
		return hdr->flags & VNC_VNET_NEEDS_CSUM ? VNC_F_CSUM : 0;
	case VNC_GSO_TCPV4:
		return VNC_F_TSO4;
	case VNC_GSO_TCPV6:
		return VNC_F_TSO6;
	case VNC_GSO_UDP_L4:
		return first >> 4 == 6 ? VNC_F_USO6 : VNC_F_USO4;
	default:
		return VNC_FEATURE_UNKNOWN;
	}
}

/** vnc_vnet_sane() - may @hdr, from a hostile peer, be given to the kernel with @len packet bytes? */
static inline int vnc_vnet_sane(const struct vnc_vnet_hdr *hdr, uint32_t len)
{
	if (hdr->flags & ~(VNC_VNET_NEEDS_CSUM | VNC_VNET_DATA_VALID))
		return 0;
	if (hdr->gso_type != VNC_GSO_NONE && hdr->gso_size == 0)
		return 0;
	if ((hdr->flags & VNC_VNET_NEEDS_CSUM) && (uint32_t)hdr->csum_start + hdr->csum_offset + 2 > len)
		return 0;
	return hdr->hdr_len <= len;
}

#define VNC_GSO_HEAD 128u

/**
 * vnc_gso_whole() - are the headers that the GSO kind of @hdr needs there, and whole?
 * @head: the first bytes of the packet, VNC_GSO_HEAD of them or @len.
 * @l3: where its IP header starts.
 *
 * A kernel refuses packets without them, which says nothing about whether it takes this kind.
 */
static inline int vnc_gso_whole(const struct vnc_vnet_hdr *hdr, const uint8_t *head, uint32_t len, uint32_t l3)
{
	int udp = hdr->gso_type == VNC_GSO_UDP_L4, partial = hdr->flags & VNC_VNET_NEEDS_CSUM;
	uint32_t known = len < VNC_GSO_HEAD ? len : VNC_GSO_HEAD, need = udp ? 8 : 20;
	uint32_t version = head[l3] >> 4, ip = version == 4 ? 4u * (head[l3] & 15) : 40;
	uint32_t at = partial ? hdr->csum_start : l3 + ip; /* behind extension headers, if there are any */

	if (len < l3 + 20 || version != (hdr->gso_type == VNC_GSO_TCPV4 || (udp && version == 4) ? 4u : 6u) ||
	    (version == 4 && head[l3 + 9] != (udp ? 17 : 6)))
		return 0;
	if (l3 && ((uint32_t)head[l3 - 2] << 8 | head[l3 - 1]) != (version == 4 ? 0x0800u : 0x86ddu))
		return 0;
	if (ip < 20 || at < l3 + ip || at + need > len || (partial && hdr->csum_offset != (udp ? 6 : 16)))
		return 0;
	if (udp || at + need > known)
		return 1;
	need = 4u * (head[at + 12] >> 4);
	return need >= 20 && at + need <= len;
}

#define VNC_SEGMENTS_MAX 512u /* 64 KiB in segments of 128 bytes */
#define VNC_SEGMENTS_SMALL 64u /* so many may have any size */
#define VNC_SEGMENT_MIN 8u     /* Linux's net.ipv4.tcp_min_snd_mss, 48, less 40 bytes of TCP options */
#define VNC_HEADERS_MOST 100u  /* of IPv6 and TCP with options: these bytes are in no segment */

/**
 * vnc_gso_cheap() - does the kernel make at most @most segments of a super-packet of @len bytes led by @hdr?
 *
 * A small segment alone is no offence: a host that forwards merges what arrives, be it single keystrokes (GRO).  But
 * it merges the packets of one poll, and at most 64 datagrams; more segments than that come from a large write, which
 * is cut at the MSS.  That is the smallest while the route's device is gone: Linux then takes its MTU for 68.
 */
static inline int vnc_gso_cheap(const struct vnc_vnet_hdr *hdr, uint32_t len, uint32_t most)
{
	uint32_t cut = len > VNC_HEADERS_MOST ? len - VNC_HEADERS_MOST : 0;

	if (!hdr->gso_size || len / hdr->gso_size > most)
		return 0;
	return cut / hdr->gso_size <= VNC_SEGMENTS_SMALL || hdr->gso_size >= VNC_SEGMENT_MIN;
}

#endif
