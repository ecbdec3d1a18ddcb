/* SPDX-License-Identifier: MIT */
/**
 * DOC: the packets of an honest producer for merge.c, which includes it: of a few flows, with what makes them
 * mergeable, or not.
 */
#ifndef MERGE_PACKETS_H
#define MERGE_PACKETS_H

/* Make the header of TCP of a segment of @size bytes of flow @flow at @at; @psh: with PSH. */
static void make_tcp(uint8_t *at, uint32_t flow, uint32_t size, bool psh)
{
	static const uint8_t stamps[OPTIONS] = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};

	vnc_put_be16(at + 4, sent.next[flow] >> 16);
	vnc_put_be16(at + 6, sent.next[flow] & 0xffff);
	sent.next[flow] += size;
	at[11] = 7;
	at[12] = (20 + OPTIONS) / 4 << 4;
	at[13] = psh ? ACK | PSH : ACK;
	at[14] = 1;
	memcpy(at + 20, stamps, OPTIONS);
}

/*
 * Make the packet of @r, of flow @flow, with @size bytes of payload; @psh: with TCP's PSH.  Its checksums are missing.
 * Return: where its transport header starts.
 */
static uint32_t make(struct record *r, uint32_t flow, uint32_t size, bool psh)
{
	uint32_t l3 = setup.ethernet ? 14 : 0, ipv6 = flow & 1, l4 = l3 + (ipv6 ? 40 : 20), n;
	uint32_t head = tcp ? 20 + OPTIONS : 8;
	static const uint8_t kind[][2] = {{0x08, 0x00}, {0x86, 0xdd}};
	uint8_t *ip = r->packet + l3, *transport = r->packet + l4;

	memset(r, 0, sizeof(*r));
	r->len = l4 + head + size;
	for (n = 0; n < l3; n++)
		r->packet[n] = n < 12 ? (uint8_t)(flow & 2 ? n : 7) : kind[ipv6][n - 12];
	if (ipv6) {
		ip[0] = 0x60;
		vnc_put_be16(ip + 4, head + size);
		ip[6] = tcp ? 6 : 17;
		ip[7] = 64;
		ip[39] = (uint8_t)(flow & 4);
	} else {
		ip[0] = 0x45;
		vnc_put_be16(ip + 2, 20 + head + size);
		vnc_put_be16(ip + 4, sent.identity++);
		ip[6] = flow & 4 ? 0x40 : 0;
		ip[8] = 64;
		ip[9] = tcp ? 6 : 17;
		ip[15] = (uint8_t)(flow & 2);
	}
	vnc_put_be16(transport, 1000 + (flow & 8));
	if (tcp)
		make_tcp(transport, flow, size, psh);
	else
		vnc_put_be16(transport + 4, 8 + size);
	for (n = 0; n < size; n++)
		transport[head + n] = fuzz_fill(sent.seq, n);
	return l4;
}

/* Fill in the checksum of IPv4, and the one of the transport header at @l4, partial or whole. */
static void add_checksums(struct record *r, uint32_t l4)
{
	uint8_t *ip = r->packet + (setup.ethernet ? 14 : 0), *transport = r->packet + l4;
	uint32_t ipv6 = ip[0] >> 4 == 6, len = r->len - l4, sum;

	if (!ipv6)
		vnc_put_be16(ip + 10, ~folded(sum16(ip, 20, 0)) & 0xffff);
	sum = sum16(ip + (ipv6 ? 8 : 12), ipv6 ? 32 : 8, (tcp ? 6 : 17) + len);
	if (whole) {
		sum = sum16(transport, len & ~1u, sum);
		sum = ~folded(sum + (len & 1 ? transport[len - 1] * 256u : 0));
	} else {
		sum = folded(sum);
	}
	vnc_put_be16(transport + (tcp ? 16 : 6), sum & 0xffff);
}

#define CHANGES 23u

/* Change what makes a packet mergeable, or not, before its checksums are filled in. */
static void change(struct record *r, struct vnc_vnet_hdr *hdr, uint32_t how, uint32_t l4)
{
	uint8_t *ip = r->packet + (setup.ethernet ? 14 : 0), *transport = r->packet + l4;

	switch (how) {
	case 0: hdr->flags = 0; break;
	case 1: hdr->csum_start++; break;
	case 2: hdr->csum_offset ^= 22; break;
	case 3: ip[0] ^= 0x07; break;
	case 4: ip[1] ^= 1; break;
	case 5: ip[6] ^= 0x20; break;
	case 6: ip[7] ^= 1; break;
	case 7: ip[4] ^= 1; break;
	case 8: ip[9] ^= 1; break;
	case 9: transport[5] ^= 1; break;
	case 10: transport[2] ^= 1; break;
	case 11: r->packet[setup.ethernet ? 13 : 3] ^= 1; break;
	case 13: transport[tcp ? 8 : 2] ^= 1; break;
	case 14: transport[tcp ? 13 : 3] ^= 1; break;
	case 15: transport[tcp ? 13 : 3] ^= PSH; break;
	case 16: transport[tcp ? 14 : 3] ^= 1; break;
	case 17: transport[tcp ? 19 : 3] ^= 1; break;
	case 18: transport[tcp ? 31 : 3] ^= 1; break;
	case 19: transport[tcp ? 12 : 3] ^= 0x10; break;
	case 20: transport[tcp ? 12 : 3] = 0x40; break;
	case 21:
	case 22: break; /* spoil() */
	default: sent.identity += 3;
	}
}

/* Make a checksum wrong. */
static void spoil(struct record *r, uint32_t how, uint32_t l4)
{
	if (how == 21 && r->packet[setup.ethernet ? 14 : 0] >> 4 == 4) {
		r->packet[(setup.ethernet ? 14 : 0) + 11] ^= 1;
		r->checked = false;
	}
	if (how == 22) {
		r->packet[l4 + (tcp ? 17 : 7)] ^= 1;
		r->checked = false;
	}
}

#endif
