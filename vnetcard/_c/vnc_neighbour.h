/* SPDX-License-Identifier: MIT */
/**
 * DOC: an Ethernet interface behind a link of IP packets: the Ethernet header is taken off and put on.
 *
 *   from the interface   vnc_ethernet_off(): the header and the padding of a short frame go
 *   to the interface     vnc_ethernet_on(): the next hop of the packet, and its MAC address out of a table
 *
 * The pumps of all queues share one table (struct vnc_neighbours).  Its owner, vnetcard/port/resolver.py, fills it from
 * ARP (RFC 826) and neighbour discovery (RFC 4861), and is asked over @resolver_fd: a struct vnc_question for a
 * neighbour that it marked as stale, followed by the packet for one that is not in the table.
 */
#ifndef VNC_NEIGHBOUR_H
#define VNC_NEIGHBOUR_H
#include "vnc_filter.h"
#include "vnc_finish.h"
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VNC_MAC 6u
#define VNC_NEIGHBOURS_MAX 256u
#define VNC_CONNECTED_MAX 8u

/** struct vnc_ip - an IPv4 address in the first 4 bytes of @word, or an IPv6 one in all 16; the others are 0. */
struct vnc_ip {
	uint64_t word[2];
	uint32_t version; /* 4 or 6; 0: none */
};

/** struct vnc_neighbour - an entry of the table. */
struct vnc_neighbour {
	struct vnc_ip ip;
	uint8_t mac[VNC_MAC];
	bool stale;    /* the next packet to it makes the resolver ask again */
	uint16_t next; /* in its chain: an index of @entry plus 1; 0: the last one */
};

struct vnc_neighbours {
	pthread_mutex_t lock; /* for what is below */
	int resolver_fd;      /* a SOCK_SEQPACKET socket, non-blocking */
	uint8_t mac[VNC_MAC]; /* of the interface */
	uint32_t connected;
	struct vnc_network network[VNC_CONNECTED_MAX];
	struct vnc_ip gateway[2]; /* of IPv4, of IPv6 */
	uint16_t chain[VNC_NEIGHBOURS_MAX];
	struct vnc_neighbour entry[VNC_NEIGHBOURS_MAX];
	uint64_t unasked[2]; /* atomic: packets of IPv4, of IPv6 that the resolver had no room for */
};

/** struct vnc_question - what the resolver reads, in front of a packet if there is one: 24 bytes. */
struct vnc_question {
	struct vnc_ip hop;
};
_Static_assert(sizeof(struct vnc_question) == 24, "vnetcard/port/resolver.py reads it");

/** struct vnc_ethernet - an Ethernet header for a packet. */
struct vnc_ethernet {
	uint8_t bytes[VNC_ETHERNET_HEADER];
	bool known;  /* the destination address is in it; else the packet goes to the resolver */
	bool stale;  /* ... and the resolver is to be asked about it */
	struct vnc_question question;
};

/* ---- from the interface ---------------------------------------------------------------------------- */

/** vnc_ip_length() - bytes of the IP packet at @ip, in a frame with @len of them; 0: it is none, or longer. */
static inline uint32_t vnc_ip_length(const uint8_t *ip, uint32_t len)
{
	uint32_t head = len && ip[0] >> 4 == 6 ? 40 : 20, all;

	if (len < head || (ip[0] >> 4 != 4 && ip[0] >> 4 != 6))
		return 0;
	all = head == 40 ? head + vnc_get_be16(ip + 4) : vnc_get_be16(ip + 2);
	return all < head || all > len ? 0 : all;
}

/**
 * vnc_ethernet_off() - take the Ethernet header, without VLAN tags, off @frame of @len bytes, which @hdr describes.
 * Return: the length of the IP packet at @frame + VNC_ETHERNET_HEADER; 0: there is none.
 *
 * A super-packet has no padding, and its length fields may be 0: they are for the one who cuts it.
 */
static inline uint32_t vnc_ethernet_off(struct vnc_vnet_hdr *hdr, const uint8_t *frame, uint32_t len)
{
	uint32_t ip = len < VNC_ETHERNET_HEADER ? 0 : len - VNC_ETHERNET_HEADER;

	if ((hdr->flags & VNC_VNET_NEEDS_CSUM) && hdr->csum_start < VNC_ETHERNET_HEADER)
		return 0;
	if (hdr->gso_type == VNC_GSO_NONE || ip < 40)
		ip = vnc_ip_length(frame + VNC_ETHERNET_HEADER, ip);
	if (hdr->flags & VNC_VNET_NEEDS_CSUM)
		hdr->csum_start -= VNC_ETHERNET_HEADER;
	hdr->hdr_len -= hdr->hdr_len < VNC_ETHERNET_HEADER ? hdr->hdr_len : VNC_ETHERNET_HEADER;
	if (hdr->hdr_len > ip)
		hdr->hdr_len = (uint16_t)ip;
	return ip;
}

/* ---- the table, with its lock held ------------------------------------------------------------------ */

static inline uint32_t vnc_neighbour_hash(const struct vnc_ip *ip)
{
	uint64_t mixed = (ip->word[0] ^ ip->word[1] * 3) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(mixed >> 56) % VNC_NEIGHBOURS_MAX;
}

static inline bool vnc_same_ip(const struct vnc_ip *a, const struct vnc_ip *b)
{
	return a->version == b->version && a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

/** vnc_neighbour_find() - the entry of @ip, or NULL. */
static inline struct vnc_neighbour *vnc_neighbour_find(struct vnc_neighbours *n, const struct vnc_ip *ip)
{
	uint32_t at = n->chain[vnc_neighbour_hash(ip)];

	while (at && !vnc_same_ip(&n->entry[at - 1].ip, ip))
		at = n->entry[at - 1].next;
	return at ? &n->entry[at - 1] : NULL;
}

/* Chain all entries again. */
static inline void vnc_neighbour_chain(struct vnc_neighbours *n)
{
	uint32_t i, at;

	memset(n->chain, 0, sizeof(n->chain));
	for (i = 0; i < VNC_NEIGHBOURS_MAX; i++) {
		if (!n->entry[i].ip.version)
			continue;
		at = vnc_neighbour_hash(&n->entry[i].ip);
		n->entry[i].next = n->chain[at];
		n->chain[at] = (uint16_t)(i + 1);
	}
}

/** vnc_neighbour_put() - give @ip the address @mac, and let it be fresh. Return: whether there was room. */
static inline bool vnc_neighbour_put(struct vnc_neighbours *n, const struct vnc_ip *ip, const uint8_t *mac)
{
	struct vnc_neighbour *entry = vnc_neighbour_find(n, ip);
	uint32_t i;

	for (i = 0; !entry && i < VNC_NEIGHBOURS_MAX; i++)
		if (!n->entry[i].ip.version)
			entry = &n->entry[i];
	if (!entry)
		return false;
	entry->ip = *ip;
	entry->stale = false;
	memcpy(entry->mac, mac, VNC_MAC);
	vnc_neighbour_chain(n);
	return true;
}

/** vnc_neighbour_remove() - forget @ip, if it is there. */
static inline void vnc_neighbour_remove(struct vnc_neighbours *n, const struct vnc_ip *ip)
{
	struct vnc_neighbour *entry = vnc_neighbour_find(n, ip);

	if (entry)
		entry->ip.version = 0;
	vnc_neighbour_chain(n);
}

/** vnc_neighbour_mark_stale() - let the next packet to @ip make the resolver ask again, if it is there. */
static inline void vnc_neighbour_mark_stale(struct vnc_neighbours *n, const struct vnc_ip *ip)
{
	struct vnc_neighbour *entry = vnc_neighbour_find(n, ip);

	if (entry)
		entry->stale = true;
}

/* ---- to the interface ------------------------------------------------------------------------------- */

/* Is @ip in @network? */
static inline bool vnc_connected(const struct vnc_network *network, const struct vnc_ip *ip)
{
	return network->version == ip->version && (ip->word[0] & network->mask[0]) == network->address[0] &&
	       (ip->word[1] & network->mask[1]) == network->address[1];
}

/* Is @ip the last address of the IPv4 network @network, which has more than two? */
static inline bool vnc_is_broadcast(const struct vnc_network *network, const struct vnc_ip *ip)
{
	return (uint32_t)(ip->word[0] | network->mask[0]) == UINT32_MAX && ((const uint8_t *)network->mask)[3] < 0xfe;
}

/*
 * Write the MAC address into @mac that @ip, a group or all machines, has by RFC 1112 or RFC 2464.
 * Return: whether it is one of these.
 */
static inline bool vnc_group_mac(const struct vnc_neighbours *n, const struct vnc_ip *ip, uint8_t *mac)
{
	const uint8_t *byte = (const uint8_t *)ip->word;
	uint32_t i;

	if (ip->version == 6 && byte[0] == 0xff) {
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, byte + 12, 4);
		return true;
	}
	if (ip->version == 4 && byte[0] >> 4 == 14) {
		memcpy(mac, "\x01\x00\x5e", 3);
		mac[3] = byte[1] & 0x7f;
		memcpy(mac + 4, byte + 2, 2);
		return true;
	}
	memset(mac, 0xff, VNC_MAC);
	for (i = 0; ip->version == 4 && i < n->connected; i++)
		if (vnc_connected(&n->network[i], ip) && vnc_is_broadcast(&n->network[i], ip))
			return true;
	return ip->version == 4 && (uint32_t)ip->word[0] == UINT32_MAX;
}

/* Make @ip, a destination, the next hop towards it. Return: whether there is one. */
static inline bool vnc_next_hop(const struct vnc_neighbours *n, struct vnc_ip *ip)
{
	const uint8_t *byte = (const uint8_t *)ip->word;
	bool own = false; /* has the port an address of this version? */
	uint32_t i;

	for (i = 0; i < n->connected; i++) {
		if (vnc_connected(&n->network[i], ip))
			return true;
		own |= n->network[i].version == ip->version;
	}
	if (own && ip->version == 6 && byte[0] == 0xfe && byte[1] >> 6 == 2) /* fe80::/10 */
		return true;
	*ip = n->gateway[ip->version == 6];
	return ip->version;
}

/* Find the MAC address of @out->question.hop. */
static inline void vnc_find_mac(struct vnc_neighbours *n, struct vnc_ethernet *out)
{
	struct vnc_neighbour *entry = vnc_neighbour_find(n, &out->question.hop);

	out->known = entry;
	if (!entry)
		return;
	memcpy(out->bytes, entry->mac, VNC_MAC);
	out->stale = entry->stale;
	entry->stale = false;
}

/**
 * vnc_ethernet_on() - make the Ethernet header for the packet of @head, led by @hdr, which is changed to describe both.
 * Return: 0, or the errno that says why it cannot be sent: EINVAL, ENETUNREACH.
 */
static inline int vnc_ethernet_on(struct vnc_neighbours *n, struct vnc_head *head, struct vnc_vnet_hdr *hdr,
				  struct vnc_ethernet *out)
{
	uint32_t version = vnc_head_have(head, 20) ? head->bytes[0] >> 4 : 0;
	struct vnc_ip *hop = &out->question.hop;
	bool route = true;

	if ((version != 4 && version != 6) || (version == 6 && !vnc_head_have(head, 40)) ||
	    hdr->csum_start > UINT16_MAX - VNC_ETHERNET_HEADER || hdr->hdr_len > UINT16_MAX - VNC_ETHERNET_HEADER)
		return EINVAL;
	memset(out, 0, sizeof(*out));
	hop->version = version;
	memcpy(hop->word, head->bytes + (version == 4 ? 16 : 24), version == 4 ? 4 : 16);
	pthread_mutex_lock(&n->lock);
	memcpy(out->bytes + VNC_MAC, n->mac, VNC_MAC);
	out->known = vnc_group_mac(n, hop, out->bytes);
	if (!out->known && (route = vnc_next_hop(n, hop)))
		vnc_find_mac(n, out);
	pthread_mutex_unlock(&n->lock);
	vnc_put_be16(out->bytes + 2 * VNC_MAC, version == 4 ? 0x0800 : 0x86dd);
	if (hdr->flags & VNC_VNET_NEEDS_CSUM)
		hdr->csum_start += VNC_ETHERNET_HEADER;
	if (hdr->hdr_len)
		hdr->hdr_len += VNC_ETHERNET_HEADER;
	return route ? 0 : ENETUNREACH;
}

#endif
