/* SPDX-License-Identifier: MIT */
/* A card with lwIP and no operating system: 10.10.10.5, pings, echo at port 7, discard at port 9. */
#include "platform.h"
#include "stack.h"
#include "lwip/init.h"
#include "lwip/timeouts.h"

#define MTU 1500u
#define BURST 16u

static uint32_t state;

uint32_t platform_random(void)
{
	state = state * 1664525u + 1013904223u;
	return state >> 8 ^ state << 16;
}

u32_t sys_now(void)
{
	return platform_ms();
}

void card_main(void)
{
	static struct vnc_lwip v;
	struct platform_window window = platform_window();
	struct vnc_side_config config = {
		.window = window.base, .bytes = window.bytes, .side = VNC_SIDE_CARD, .domain = VNC_COHERENT,
		.mtu = MTU, .frames = VNC_FRAMES_IP, .seed = platform_seed(), .name = "lwip card"};
	ip4_addr_t address, mask, gateway;

	state = platform_seed();
	lwip_init();
	while (vnc_side_open(&v.side, &config) != VNC_SIDE_OK)
		platform_idle();
	IP4_ADDR(&address, 10, 10, 10, 5);
	IP4_ADDR(&mask, 255, 255, 255, 0);
	IP4_ADDR(&gateway, 10, 10, 10, 1);
	netif_add(&v.netif, &address, &mask, &gateway, &v, vnc_lwip_init, netif_input);
	netif_set_default(&v.netif);
	netif_set_up(&v.netif);
	vnc_side_start(&v.side, sys_now());
	vnc_stack_serve(VNC_STACK_ECHO, 7);
	vnc_stack_serve(VNC_STACK_DISCARD, 9);
	for (;;) {
		if (!vnc_lwip_poll(&v, BURST))
			platform_idle();
		sys_check_timeouts();
	}
}
