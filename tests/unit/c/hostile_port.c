/* SPDX-License-Identifier: MIT */
/* The far end of the port, during the attack and after it. */
#include "hostile.h"
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define LIMIT_MS 2000

/** feed() - a thread that sends packets of all sizes, good and bad, into the port. */
void *feed(void *seed)
{
	uint8_t *packet = calloc(1, VNC_FRAME_MAX + 64);
	uint64_t random = seeded(seed);
	uint32_t len;

	while (__atomic_load_n(&w.feeding, __ATOMIC_ACQUIRE)) {
		len = below(&random, 16) ? below(&random, 1500) : below(&random, w.packet_max + 32);
		packet[w.vnet_port ? VNC_VNET_HDR : 0] = 0x45;
		packet[0] = w.vnet_port ? below(&random, 2) : 0x45;
		packet[1] = w.vnet_port && !below(&random, 8) ? (uint8_t)below(&random, 7) : 0;
		if (send(w.port[1], packet, len, MSG_DONTWAIT) < 0)
			usleep(50);
	}
	free(packet);
	return NULL;
}

/** drain() - a thread that receives from the port, and checks that the peer could make no packet harmful. */
void *drain(void *unused)
{
	uint8_t *packet = malloc(VNC_FRAME_MAX + 1);
	struct pollfd fd = {.fd = w.port[1], .events = POLLIN};
	struct vnc_vnet_hdr hdr;
	uint32_t lazy = 0;
	ssize_t got;

	while (__atomic_load_n(&w.feeding, __ATOMIC_ACQUIRE)) {
		poll(&fd, 1, 20);
		usleep(++lazy % 8 ? 0 : 5000); /* so that the port is full at times */
		while ((got = recv(w.port[1], packet, VNC_FRAME_MAX + 1, MSG_DONTWAIT)) >= 0) {
			got -= w.vnet_port ? VNC_VNET_HDR : 0;
			CHECK(got >= 1 && (uint32_t)got <= w.packet_max);
			memcpy(&hdr, packet, sizeof(hdr)); /* whatever the peer did, the kernel gets sane ones */
			CHECK(!w.vnet_port || (vnc_vnet_sane(&hdr, (uint32_t)got) &&
					     !(vnc_needed_feature(&hdr, packet[VNC_VNET_HDR]) & 0x80000000u &
					       ~w.features)));
		}
	}
	free(packet);
	return unused;
}

static void wait_while_empty(struct vnc_consumer *c)
{
	for (uint32_t ms = 0; vnc_consumer_refresh(c) != VNC_OK; ms++) {
		CHECK(ms < LIMIT_MS);
		usleep(1000);
	}
}

/** exchange() - with a peer that follows the rules: packets from port to ring, and from ring to port. */
void exchange(void)
{
	uint32_t head = w.features & VNC_F_CSUM ? VNC_VNET_HDR : 0, port_head = w.vnet_port ? VNC_VNET_HDR : 0, len;
	struct vnc_consumer c = {.ring = w.tx_ring, .size = w.ring, .frame_max = w.tx.producer.frame_max,
				 .domain = w.tx.producer.domain, .own = &w.shared->tx_peer, .peer = &w.shared->tx_own};
	struct vnc_producer p = {.ring = w.rx_ring, .size = w.ring, .frame_max = w.tx.producer.frame_max,
				 .domain = w.tx.producer.domain, .own = &w.shared->rx_peer, .peer = &w.shared->rx_own};
	uint8_t packet[1600] = {0}, back[1600];
	struct vnc_span span[2];
	struct vnc_view view;
	struct pollfd fd = {.fd = w.port[1], .events = POLLIN};

	for (uint32_t n = 1; n <= EXCHANGES; n++) {
		len = 20 + n * 4;
		for (uint32_t at = port_head; at < port_head + len; at++)
			packet[at] = (uint8_t)(n + at);
		CHECK(send(w.port[1], packet, port_head + len, 0) == (ssize_t)(port_head + len));
		wait_while_empty(&c);
		CHECK(vnc_ring_peek(&c, &view) == VNC_OK);
		CHECK(view.len == len + head && view.hdr_len == head);
		vnc_ring_read(&c, &view, back);
		CHECK(!memcmp(back + head, packet + port_head, len));
		vnc_ring_release(&c, view.len);
		if (vnc_consumer_publish(&c) && vnc_producer_sleeps(&c))
			vnc_futex_wake(&c.own->cons);

		CHECK(vnc_ring_reserve(&p, view.len, span) == VNC_OK);
		vnc_ring_write(&p, span, back, view.len);
		vnc_ring_commit(&p, view.len, head ? VNC_REC_VNET : 0, (uint16_t)head);
		if (vnc_producer_publish(&p) && vnc_consumer_sleeps(&p))
			vnc_futex_wake(&p.own->prod);
		CHECK(poll(&fd, 1, LIMIT_MS) == 1);
		CHECK(recv(w.port[1], back, sizeof(back), 0) == (ssize_t)(port_head + len));
		CHECK(!memcmp(back, packet, port_head + len));
		__atomic_fetch_add(&w.moves, 1, __ATOMIC_RELAXED);
	}
}
