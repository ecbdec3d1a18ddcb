/* SPDX-License-Identifier: MIT */
/* The loop, the addresses and the tables of stack.h. */
#define _GNU_SOURCE
#include "stack.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"
#include "lwip/udp.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLLS_BEFORE_SLEEP 200u
#define SLEEP_FIRST_NS 20000u
#define SLEEP_LAST_NS 500000u
#define BURST 64u

struct vnc_lwip vnc_stack_netif;
static bool added;

uint64_t vnc_stack_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/** vnc_stack_open() - attach to the window, and start. Return: an enum vnc_side_error. */
int vnc_stack_open(uint8_t *window, uint64_t bytes, uint32_t side, uint32_t mtu, uint32_t frames, uint32_t seed,
		   const uint8_t mac[6])
{
	struct vnc_lwip *v = &vnc_stack_netif;
	struct vnc_side_config config = {.window = window, .bytes = bytes, .side = side, .domain = VNC_COHERENT,
					 .mtu = mtu, .frames = frames, .seed = seed};
	enum vnc_side_error error = vnc_side_open(&v->side, &config);

	if (error != VNC_SIDE_OK)
		return (int)error;
	srand(seed); /* lwIP's ports and TCP's first sequence numbers */
	lwip_init();
	netif_add_noaddr(&v->netif, v, vnc_lwip_init, netif_input);
	memcpy(v->netif.hwaddr, mac, ETH_HWADDR_LEN);
	netif_set_default(&v->netif);
	netif_set_up(&v->netif);
	added = true;
	vnc_side_start(&v->side, sys_now());
	return 0;
}

/** vnc_stack_address() - set the interface's address, mask and gateway. */
int vnc_stack_address(const char *address, const char *mask, const char *gateway)
{
	ip4_addr_t one, two, three;

	if (!ip4addr_aton(address, &one) || !ip4addr_aton(mask, &two) || !ip4addr_aton(gateway, &three))
		return ERR_VAL;
	netif_set_addr(&vnc_stack_netif.netif, &one, &two, &three);
	return 0;
}

/** vnc_stack_poll() - run the stack for @ms, less once @fd (-1: none) is readable. Return: whether it is. */
int vnc_stack_poll(uint32_t ms, int fd)
{
	uint64_t until = vnc_stack_us() + 1000u * (uint64_t)ms;
	struct pollfd input = {.fd = fd, .events = POLLIN};
	struct timespec pause = {.tv_nsec = SLEEP_FIRST_NS};
	unsigned int idle = 0;

	do {
		unsigned int moved = vnc_lwip_poll(&vnc_stack_netif, BURST);

		sys_check_timeouts();
		vnc_stack_poll_ping();
		vnc_stack_poll_load();
		if (moved) {
			idle = 0;
			pause.tv_nsec = SLEEP_FIRST_NS;
		} else if (++idle > POLLS_BEFORE_SLEEP) {
			if (ppoll(&input, fd >= 0, &pause, NULL) > 0)
				return 1;
			pause.tv_nsec = pause.tv_nsec < SLEEP_LAST_NS / 2 ? 2 * pause.tv_nsec : SLEEP_LAST_NS;
		} else {
			vnc_cpu_relax();
		}
	} while (vnc_stack_us() < until);
	return fd >= 0 && poll(&input, 1, 0) > 0;
}

/** vnc_stack_close() - stop the link; the peer sees it at once. */
void vnc_stack_close(void)
{
	if (added)
		vnc_side_stop(&vnc_stack_netif.side);
	added = false;
}

/** vnc_stack_link() - state (enum vnc_side_state), up, mtu, epoch, packets without a pbuf, sends to a full ring. */
void vnc_stack_link(uint32_t out[6])
{
	const struct vnc_lwip *v = &vnc_stack_netif;
	const uint32_t values[6] = {v->side.state, v->side.up, v->side.mtu, v->side.epoch, v->no_pbuf, v->ring_full};

	memcpy(out, values, sizeof(values));
}

/* ---- tables ------------------------------------------------------------------------------------------ */

struct text {
	char *out;
	uint32_t room, used;
};

static void add(struct text *t, const char *proto, const char *a, const char *b, const char *c)
{
	int n = snprintf(t->out + t->used, t->room - t->used, "%s\t%s\t%s\t%s\n", proto, a, b, c);

	if (n > 0 && (uint32_t)n < t->room - t->used)
		t->used += (uint32_t)n;
	else
		t->out[t->used] = 0; /* no room: without the line */
}

static const char *endpoint(char *out, const ip_addr_t *address, uint16_t port)
{
	char text[IPADDR_STRLEN_MAX];

	snprintf(out, 64, "%s:%u", ipaddr_ntoa_r(address, text, sizeof(text)), port);
	return out;
}

static void add_tcp(struct text *t, const struct tcp_pcb *pcb)
{
	char local[64], remote[64];

	for (; pcb; pcb = pcb->next)
		add(t, "tcp", endpoint(local, &pcb->local_ip, pcb->local_port),
		    endpoint(remote, &pcb->remote_ip, pcb->remote_port), tcp_debug_state_str(pcb->state));
}

static void add_netstat(struct text *t)
{
	const struct tcp_pcb_listen *listening;
	const struct udp_pcb *udp;
	char local[64], remote[64];

	for (listening = tcp_listen_pcbs.listen_pcbs; listening; listening = listening->next)
		add(t, "tcp", endpoint(local, &listening->local_ip, listening->local_port), "*", "LISTEN");
	add_tcp(t, tcp_active_pcbs);
	add_tcp(t, tcp_tw_pcbs);
	for (udp = udp_pcbs; udp; udp = udp->next)
		add(t, "udp", endpoint(local, &udp->local_ip, udp->local_port),
		    udp->remote_port ? endpoint(remote, &udp->remote_ip, udp->remote_port) : "*", "");
}

static void add_route(struct text *t)
{
	const struct netif *n = &vnc_stack_netif.netif;
	char network[IP4ADDR_STRLEN_MAX], mask[IP4ADDR_STRLEN_MAX], gateway[IP4ADDR_STRLEN_MAX];
	ip4_addr_t base;

	ip4_addr_get_network(&base, netif_ip4_addr(n), netif_ip4_netmask(n));
	add(t, ip4addr_ntoa_r(&base, network, sizeof(network)),
	    ip4addr_ntoa_r(netif_ip4_netmask(n), mask, sizeof(mask)), "*", "vn0");
	if (!ip4_addr_isany(netif_ip4_gw(n)))
		add(t, "0.0.0.0", "0.0.0.0", ip4addr_ntoa_r(netif_ip4_gw(n), gateway, sizeof(gateway)), "vn0");
}

static void add_arp(struct text *t)
{
	struct eth_addr *mac;
	struct netif *netif;
	ip4_addr_t *address;
	char text[32], hex[32];
	size_t n;

	for (n = 0; n < ARP_TABLE_SIZE; n++) {
		if (!etharp_get_entry(n, &address, &netif, &mac))
			continue;
		snprintf(hex, sizeof(hex), "%02x:%02x:%02x:%02x:%02x:%02x", mac->addr[0], mac->addr[1], mac->addr[2],
			 mac->addr[3], mac->addr[4], mac->addr[5]);
		add(t, ip4addr_ntoa_r(address, text, sizeof(text)), hex, "vn0", "");
	}
}

/** vnc_stack_table() - "netstat", "route" or "arp": lines of four columns between tabs. Return: bytes, -1: unknown. */
int vnc_stack_table(const char *which, char *out, uint32_t room)
{
	struct text t = {out, room, 0};

	out[0] = 0;
	if (!strcmp(which, "netstat"))
		add_netstat(&t);
	else if (!strcmp(which, "route"))
		add_route(&t);
	else if (!strcmp(which, "arp"))
		add_arp(&t);
	else
		return -1;
	return (int)t.used;
}
