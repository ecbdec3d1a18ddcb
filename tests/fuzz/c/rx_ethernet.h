/* SPDX-License-Identifier: MIT */
/**
 * DOC: which Ethernet header the rx pump has to put in front of a packet: a second implementation of vnc_neighbour.h;
 * rx.c includes it.
 */
#ifndef RX_ETHERNET_H
#define RX_ETHERNET_H

#define RESOLVER_FD 77

static const uint8_t own_mac[VNC_MAC] = {2, 0, 0, 0, 0, 1};

/* Destinations of packets: known, stale, unknown, groups, beyond a gateway and beyond none. */
static const uint8_t four[8][4] = {
	{10, 0, 0, 9}, {10, 0, 0, 8}, {10, 0, 0, 7}, {10, 0, 0, 255}, {255, 255, 255, 255}, {239, 129, 2, 3},
	{192, 0, 2, 1}, {10, 0, 1, 9},
};
static const uint8_t six[8][16] = {
	{0xfd, [15] = 9}, {0xfd, [15] = 8}, {0xfd, [15] = 7}, {0xfe, 0x80, [15] = 7},
	{0xff, 2, [12] = 1, 2, 3, 4}, {0xfe, 0x80, [15] = 9}, {0x20, 1, 13, 0xb8}, {0xfd, [7] = 1, [15] = 9},
};

static void put_mac(uint8_t *mac, uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint8_t e, uint8_t f)
{
	const uint8_t bytes[VNC_MAC] = {a, b, c, d, e, f};

	memcpy(mac, bytes, VNC_MAC);
}

enum route { NO_ROUTE, TO_MAC, TO_RESOLVER };

/* Where the packet at @ip goes: its next hop, 4 or 16 bytes, and the MAC address of a known one or of a group. */
static enum route route_of(const uint8_t *ip, uint8_t *hop, uint8_t *mac)
{
	static const uint8_t zeros[13];
	const uint8_t *to = ip + (ip[0] >> 4 == 4 ? 16 : 24);

	if (ip[0] >> 4 == 4) {
		memcpy(hop, to, 4);
		memset(mac, 0xff, VNC_MAC);
		if (to[3] == 255 && ((to[0] == 10 && !to[1] && !to[2]) || (to[0] & to[1] & to[2]) == 255))
			return TO_MAC;
		put_mac(mac, 1, 0, 0x5e, to[1] & 127, to[2], to[3]);
		if (to[0] >= 224 && to[0] < 240)
			return TO_MAC;
		if (to[0] != 10 || to[1] || to[2])
			memcpy(hop, four[0], 4);
		put_mac(mac, 2, 0, 0, 0, 4, hop[3]);
		return hop[3] == 9 || hop[3] == 8 ? TO_MAC : TO_RESOLVER;
	}
	memcpy(hop, to, 16);
	put_mac(mac, 0x33, 0x33, to[12], to[13], to[14], to[15]);
	if (to[0] == 255)
		return TO_MAC;
	if ((to[0] != 0xfd || memcmp(to + 1, zeros, 7)) && (to[0] != 0xfe || to[1] / 64 != 2))
		return NO_ROUTE;
	put_mac(mac, 2, 0, 0, 0, to[0] == 0xfd ? 6 : 7, to[15]);
	if (memcmp(to + 2, zeros, 13) || (to[0] == 0xfd ? to[1] : to[1] != 0x80))
		return TO_RESOLVER;
	return to[15] == 9 || (to[0] == 0xfd && to[15] == 8) ? TO_MAC : TO_RESOLVER;
}

/* May the packet at @ip enter the port, as far as its addresses say? */
static bool sendable(const uint8_t *ip, uint32_t len)
{
	uint8_t hop[16], mac[VNC_MAC];

	return len >= (ip[0] >> 4 == 4 ? 20u : 40u) && (ip[0] >> 4 == 4 || ip[0] >> 4 == 6) && route_of(ip, hop, mac);
}

/* The frame at @frame is written; @question: of the resolver, NULL: to the interface. */
static void check_ethernet(const uint8_t *frame, uint32_t len, const struct vnc_question *question)
{
	const uint8_t *ip = frame + VNC_ETHERNET_HEADER, *kind = frame + 12;
	uint8_t hop[16] = {0}, mac[VNC_MAC];
	enum route route;

	CHECK(len > VNC_ETHERNET_HEADER && sendable(ip, len - VNC_ETHERNET_HEADER));
	CHECK(!memcmp(frame + VNC_MAC, own_mac, VNC_MAC));
	CHECK(ip[0] >> 4 == 4 ? kind[0] == 8 && !kind[1] : kind[0] == 0x86 && kind[1] == 0xdd);
	route = route_of(ip, hop, mac);
	CHECK(route == (question ? TO_RESOLVER : TO_MAC));
	if (question)
		CHECK(question->hop.version == ip[0] >> 4 && !memcmp(question->hop.word, hop, 16));
	else
		CHECK(!memcmp(frame, mac, VNC_MAC) && (mac[0] != 2 || mac[5] != 8 || port.resolver_full ||
						       port.asked[ip[0] >> 4 == 6]));
}

/* A question of @size bytes without a packet. */
static void check_question(const struct vnc_question *question, size_t size)
{
	bool version6 = question->hop.version == 6;

	CHECK(size == sizeof(*question) && !memcmp(question->hop.word, version6 ? six[1] : four[1], version6 ? 16 : 4));
	port.asked[version6] |= !port.resolver_full;
}

static void enter(struct vnc_neighbours *n, const uint8_t *address, uint32_t version, uint8_t group)
{
	const uint8_t mac[VNC_MAC] = {2, 0, 0, 0, group, address[version == 4 ? 3 : 15]};
	struct vnc_ip ip = {.version = version};

	memcpy(ip.word, address, version == 4 ? 4 : 16);
	CHECK(vnc_neighbour_put(n, &ip, mac));
	vnc_neighbour_find(n, &ip)->stale = address[version == 4 ? 3 : 15] == 8;
}

/* The table of the pump: 10.0.0.0/24 with a gateway, and fd00::/64 without one. */
static struct vnc_neighbours *neighbours(void)
{
	static const uint8_t same_chain[] = {10, 0, 3, 132}; /* as 10.0.0.7 */
	static struct vnc_neighbours table;
	struct vnc_ip gone = {.version = 4};
	uint32_t n;

	memset(&table, 0, sizeof(table));
	pthread_mutex_init(&table.lock, NULL);
	table.resolver_fd = RESOLVER_FD;
	memcpy(table.mac, own_mac, VNC_MAC);
	table.connected = 2;
	table.network[0] = (struct vnc_network){.address = {10}, .mask = {0xffffff}, .version = 4};
	table.network[1] = (struct vnc_network){.address = {0xfd}, .mask = {UINT64_MAX}, .version = 6};
	table.gateway[0] = (struct vnc_ip){.version = 4};
	memcpy(table.gateway[0].word, four[0], 4);
	for (n = 0; n < 3; n++)
		enter(&table, four[n], 4, 4);
	memcpy(gone.word, four[2], 4);
	vnc_neighbour_remove(&table, &gone);
	for (n = 0; n < 2; n++)
		enter(&table, six[n], 6, 6);
	enter(&table, six[5], 6, 7);
	enter(&table, same_chain, 4, 4);
	return &table;
}

#endif
