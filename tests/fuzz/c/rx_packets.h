/* SPDX-License-Identifier: MIT */
/**
 * DOC: which packets the rx pump has to give to the kernel: a second implementation of its rules; rx.c includes it.
 */
#ifndef RX_PACKETS_H
#define RX_PACKETS_H

/* As struct virtio_net_hdr demands, written here once more: what the kernel must never be given. */
static bool harmless(const struct vnc_vnet_hdr *hdr, uint32_t len)
{
	if ((hdr->flags & 1) && (uint32_t)hdr->csum_start + hdr->csum_offset + 2 > len)
		return false;
	if (hdr->gso_type && !hdr->gso_size)
		return false;
	if (hdr->gso_type && len / hdr->gso_size > 512)
		return false; /* too much work for the kernel */
	if (hdr->gso_type && len / hdr->gso_size > 64 && hdr->gso_size < 48)
		return false;
	return !(hdr->flags & ~3u) && hdr->hdr_len <= len;
}

/* Has a super-packet of @len bytes room for the headers of its kind? */
static bool roomy(const struct vnc_vnet_hdr *hdr, uint32_t len)
{
	uint32_t ip = hdr->gso_type == 4 ? 40 : 20, transport = hdr->gso_type == 5 ? 8 : 20;

	return !hdr->gso_type || (len >= ip + transport && (!(hdr->flags & 1) || hdr->csum_start + transport <= len));
}

/* Is @hdr of a kind that the link does not have, whatever IP version the packet's first byte says by now? */
static bool foreign(const struct vnc_vnet_hdr *hdr, uint32_t features)
{
	switch (hdr->gso_type) {
	case 0: return (hdr->flags & 1) && !(features & VNC_F_CSUM);
	case 1: return !(features & VNC_F_TSO4);
	case 4: return !(features & VNC_F_TSO6);
	case 5: return !(features & (VNC_F_USO4 | VNC_F_USO6));
	default: return true;
	}
}

/* Where the transport header starts behind an IP header without options. */
static uint32_t transport_of(const struct record *r)
{
	return r->first >> 4 == 4 ? 20 : 40;
}

/* Has a packet that a filter sees ICMP in it, behind extension headers or not? */
static bool icmp(const struct record *r)
{
	return setup.filtered && !r->formed && r->seq % 4 != 0;
}

/* Byte @at of the packet of @r, which has ICMP in it: a redirect, where the lengths say so. */
static uint8_t icmp_byte(const struct record *r, uint32_t at)
{
	static const uint8_t next[] = {58, 0, 43, 44, 60, 6};
	bool four = r->first >> 4 == 4;

	switch (at) {
	case 6: return four ? 0 : next[r->seq / 4 % 6];
	case 7: return four ? r->seq & 8 : r->seq & 64 ? 64 : 255;
	case 8: return (uint8_t)(r->seq % 16 * 9); /* a source address that is allowed, or not */
	case 9: return 1;
	case 12: return (uint8_t)(r->seq % 16 * 9);
	case 20: return four ? 5 : 0;
	case 40: return r->seq / 4 % 6 == 0 ? 137 : r->seq % 3 ? 58 : 60;
	case 41: return (uint8_t)(r->seq % 70);
	default: return at > 42 ? 134 : 0;
	}
}

/* May a packet enter the port?  As vnc_filter.h demands, written here once more. */
/* The same of a packet that starts with its IP header, of which @seen bytes are examined. */
static bool permitted_ip(const uint8_t *ip, uint32_t len, uint32_t seen)
{
	bool four = ip[0] >> 4 == 4;
	uint32_t at = four ? 4u * (ip[0] % 16) : 40, next = ip[6];

	if (!setup.filtered || (!four && ip[0] >> 4 != 6))
		return true;
	if (len < (four ? 20 : 40) || ip[four ? 12 : 8] >= 128)
		return false;
	if (four)
		return ip[9] != 1 || ip[6] % 32 || ip[7] || at >= len || ip[at] != 5;
	if (ip[7] != 255)
		return true;
	while (next == 0 || next == 43 || next == 60 || next == 44) {
		if (at + 8 > seen)
			return false;
		if (next == 44 && (ip[at + 2] || ip[at + 3] / 8))
			return true;
		len = next == 44 ? 8 : 8 + 8u * ip[at + 1];
		next = ip[at];
		at += len;
	}
	return next != 58 || (at < seen && ip[at] != 134 && ip[at] != 137);
}

static bool permitted(const uint8_t *packet, uint32_t len)
{
	uint32_t at = 14, tags = 0, seen = len < 512 ? len : 512;

	if (!setup.filtered || !setup.ethernet)
		return permitted_ip(packet, len, seen);
	for (; len >= at && ((packet[at - 2] == 0x81 && packet[at - 1] == 0) ||
			     (packet[at - 2] == 0x88 && packet[at - 1] == 0xa8)); at += 4)
		if (++tags == 3)
			return false;
	if (len < at || ((packet[at - 2] != 8 || packet[at - 1] != 0) &&
			 (packet[at - 2] != 0x86 || packet[at - 1] != 0xdd)))
		return true;
	return len == at || permitted_ip(packet + at, len - at, seen - at);
}

/* Byte @at of the packet of @r. */
static uint8_t byte_of(const struct record *r, uint32_t at)
{
	bool udp = r->hdr.gso_type == 5;
	uint32_t l3 = fuzz_l3(&setup, r->seq);

	if (at < l3)
		return fuzz_ethernet(r->seq, at, l3, r->first);
	at -= l3;
	if (at == 0)
		return r->first;
	if (setup.neighbours && r->first >> 4 == 4 && at - 16 < 4)
		return four[r->seq / 2 % 8][at - 16];
	if (setup.neighbours && r->first >> 4 == 6 && at - 24 < 16)
		return six[r->seq / 2 % 8][at - 24];
	if (icmp(r))
		return icmp_byte(r, at);
	if (r->formed && at == 9 && r->first >> 4 == 4)
		return udp ? 17 : 6;
	if (r->formed && !udp && at == transport_of(r) + 12)
		return 0x50; /* no options */
	return fuzz_fill(r->seq, at);
}

/* Has a super-packet the headers without which a kernel refuses it?  Written here once more. */
static bool whole(const struct record *r)
{
	const struct vnc_vnet_hdr *hdr = &r->hdr;
	bool udp = hdr->gso_type == 5;
	uint32_t l3 = fuzz_l3(&setup, r->seq), at = l3 + transport_of(r), options;

	if (hdr->gso_type == 0)
		return true;
	if (r->len < l3 + 20 || (hdr->gso_type == 1 && r->first >> 4 != 4) ||
	    (hdr->gso_type == 4 && r->first >> 4 != 6))
		return false;
	if (r->first >> 4 == 4 && byte_of(r, l3 + 9) != (udp ? 17 : 6))
		return false;
	if ((hdr->flags & 1) && (hdr->csum_start < at || hdr->csum_offset != (udp ? 6 : 16)))
		return false;
	if (hdr->flags & 1)
		at = hdr->csum_start;
	if (at + (udp ? 8 : 20) > r->len)
		return false;
	if (udp || at + 20 > 128) /* of the packet's start alone */
		return true;
	options = byte_of(r, at + 12) / 16 * 4u;
	return options >= 20 && at + options <= r->len;
}

#endif
