/* SPDX-License-Identifier: MIT */
/**
 * DOC: an lwIP network interface over one side of a link (vnc_side.h).
 *
 * The same file serves bare metal (NO_SYS=1, firmware/bare) and a process on Linux (`vnetcard stack`).  It allocates
 * nothing but pbufs, has no thread, and must be called from where lwIP's core is called:
 *
 *   struct vnc_lwip v;
 *   vnc_side_open(&v.side, &config);
 *   vnc_side_start(&v.side, sys_now());
 *   netif_add(&v.netif, &address, &mask, &gateway, &v, vnc_lwip_init, netif_input);
 *   for (;;) { vnc_lwip_poll(&v, 64); sys_check_timeouts(); }
 */
#ifndef VNC_LWIP_H
#define VNC_LWIP_H
#include "vnc_side.h"
#include "lwip/netif.h"

struct vnc_lwip {
	struct vnc_side side;
	struct netif netif;
	uint32_t no_pbuf;   /* packets dropped because lwIP had no pbuf for them */
	uint32_t ring_full; /* packets that lwIP was told to send again */
};

err_t vnc_lwip_init(struct netif *netif);
unsigned int vnc_lwip_poll(struct vnc_lwip *v, unsigned int most);

#endif
