/* SPDX-License-Identifier: MIT */
#include "vnc_lwip.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/opt.h"
#include "lwip/pbuf.h"
#include "lwip/sys.h"
#include "netif/ethernet.h"

#ifndef VNC_LWIP_PBUF
#define VNC_LWIP_PBUF PBUF_POOL /* what a received packet is put into */
#endif

/* ---- copies between pbufs, which are in pieces, and a ring, which ends ------------------------------- */

static void send_pieces(const struct vnc_producer *r, const struct vnc_span span[2], const struct pbuf *p)
{
	uint32_t at, len = p->tot_len;
	uint8_t *place;
	uint64_t word;

	if (!p->next) {
		vnc_ring_write(r, span, p->payload, len);
	} else if (r->domain == VNC_COHERENT) {
		at = len < span[0].len ? len : span[0].len;
		pbuf_copy_partial(p, span[0].base, (u16_t)at, 0);
		pbuf_copy_partial(p, span[1].base, (u16_t)(len - at), (u16_t)at);
	} else {
		for (at = 0; at < len; at += 8) { /* span[0].len is a multiple of 8 unless the packet ends there */
			word = 0;
			pbuf_copy_partial(p, &word, 8, (u16_t)at);
			place = at < span[0].len ? span[0].base + at : span[1].base + (at - span[0].len);
			vnc_put64(r->domain, (uint64_t *)(void *)place, word);
		}
	}
}

static void receive_pieces(const struct vnc_consumer *r, const struct vnc_view *view, struct pbuf *p)
{
	const uint8_t *place;
	uint32_t at, n;
	uint64_t word;

	if (!p->next) {
		vnc_ring_read(r, view, p->payload);
	} else if (r->domain == VNC_COHERENT) {
		pbuf_take_at(p, view->span[0].base, (u16_t)view->span[0].len, 0);
		if (view->span[1].len)
			pbuf_take_at(p, view->span[1].base, (u16_t)view->span[1].len, (u16_t)view->span[0].len);
	} else {
		for (at = 0; at < view->len; at += 8) {
			n = view->len - at < 8 ? view->len - at : 8;
			place = at < view->span[0].len ? view->span[0].base + at :
							 view->span[1].base + (at - view->span[0].len);
			word = vnc_get64(r->domain, (const uint64_t *)(const void *)place);
			pbuf_take_at(p, &word, (u16_t)n, (u16_t)at);
		}
	}
}

/* ---- the interface ----------------------------------------------------------------------------------- */

static err_t link_output(struct netif *netif, struct pbuf *p)
{
	struct vnc_lwip *v = netif->state;
	struct vnc_span span[2];
	bool full;

	if (vnc_side_reserve(&v->side, p->tot_len, span, &full)) {
		send_pieces(&v->side.tx, span, p);
		vnc_side_commit(&v->side, p->tot_len);
		return ERR_OK;
	}
	v->ring_full += full;
	return full ? ERR_MEM : ERR_IF; /* TCP sends again; the side's ledger has what was dropped */
}

#if LWIP_IPV4
static err_t output_ip4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	(void)to;
	return link_output(netif, p);
}
#endif

#if LWIP_IPV6
static err_t output_ip6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	(void)to;
	return link_output(netif, p);
}
#endif

/** vnc_lwip_init() - for netif_add(), with the struct vnc_lwip as state; set netif->hwaddr afterwards (Ethernet). */
err_t vnc_lwip_init(struct netif *netif)
{
	const struct vnc_lwip *v = netif->state;
	bool ethernet = v->side.config.frames == VNC_FRAMES_ETHERNET;

	netif->name[0] = 'v';
	netif->name[1] = 'n';
	netif->mtu = (u16_t)v->side.config.mtu;
	netif->linkoutput = link_output;
#if LWIP_IPV4
	netif->output = ethernet ? etharp_output : output_ip4;
#endif
#if LWIP_IPV6
	netif->output_ip6 = ethernet ? ethip6_output : output_ip6;
#endif
	if (ethernet) {
		netif->hwaddr_len = ETH_HWADDR_LEN;
		netif->flags |= NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	}
	return ERR_OK;
}

static void receive(struct vnc_lwip *v, const struct vnc_view *view)
{
	struct pbuf *p = view->len <= 0xffff ? pbuf_alloc(PBUF_RAW, (u16_t)view->len, VNC_LWIP_PBUF) : NULL;

	if (!p) {
		v->no_pbuf++;
		vnc_side_release(&v->side, view, VNC_RX_DROP_PORT_REFUSED);
		return;
	}
	receive_pieces(&v->side.rx, view, p);
	vnc_side_release(&v->side, view, 0);
	if (v->netif.input(p, &v->netif) != ERR_OK)
		pbuf_free(p);
}

/**
 * vnc_lwip_poll() - advance the link, set lwIP's link state by it, and deliver up to @most packets.
 * Return: how many were delivered or dropped; 0: nothing to do now.
 */
unsigned int vnc_lwip_poll(struct vnc_lwip *v, unsigned int most)
{
	struct vnc_view view;
	uint32_t now = sys_now();
	unsigned int n = 0;

	if (now != v->side.ticked_at) /* each tick reads words of the peer's, perhaps across PCIe */
		vnc_side_tick(&v->side, now);
	if (v->side.up != (bool)netif_is_link_up(&v->netif)) {
		if (v->side.up) {
			v->netif.mtu = (u16_t)v->side.mtu;
			netif_set_link_up(&v->netif);
		} else {
			netif_set_link_down(&v->netif);
		}
	}
	while (n < most && vnc_side_peek(&v->side, &view)) {
		receive(v, &view);
		n++;
	}
	return n;
}
