/* SPDX-License-Identifier: MIT */
/**
 * DOC: lwip - a TCP/IP stack in a program (lwIP) behind a `unix:` port, which receives one TCP stream.
 *
 *   lwip PATH ADDRESS PORT
 *
 * Each message of the socket at PATH is one IP packet.  Prints the number of bytes that came and the seconds between
 * the first and the end of the stream, and ends.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lwip/init.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"

#define MTU 1500
#define BURST 64

static int port;
static double began, ended;
static uint64_t bytes;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static err_t output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	uint8_t packet[MTU];

	(void)netif;
	(void)to;
	pbuf_copy_partial(p, packet, p->tot_len, 0);
	return send(port, packet, p->tot_len, MSG_DONTWAIT) < 0 ? ERR_MEM : ERR_OK; /* TCP sends again */
}

static err_t set_up(struct netif *netif)
{
	netif->name[0] = 'u';
	netif->name[1] = 'x';
	netif->mtu = MTU;
	netif->output = output;
	netif->flags |= NETIF_FLAG_LINK_UP;
	return ERR_OK;
}

static err_t receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
	(void)arg;
	(void)error;
	if (!p) {
		ended = now();
		tcp_close(pcb);
		return ERR_OK;
	}
	if (!bytes)
		began = now();
	bytes += p->tot_len;
	tcp_recved(pcb, p->tot_len);
	pbuf_free(p);
	return ERR_OK;
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t error)
{
	(void)arg;
	if (error != ERR_OK)
		return error;
	tcp_recv(pcb, receive);
	return ERR_OK;
}

/** deliver() - at most BURST packets from the port to the stack. Return: whether the port is still open. */
static int deliver(struct netif *netif)
{
	uint8_t packet[MTU];
	struct pbuf *p;
	ssize_t n;
	int i;

	for (i = 0; i < BURST; i++) {
		n = recv(port, packet, sizeof(packet), MSG_DONTWAIT);
		if (n <= 0)
			return n < 0;
		p = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM);
		if (!p)
			continue; /* lost: TCP sends it again */
		pbuf_take(p, packet, (u16_t)n);
		if (netif->input(p, netif) != ERR_OK)
			pbuf_free(p);
	}
	return 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct netif netif = {0};
	ip4_addr_t address, mask, none = {0};
	struct tcp_pcb *listener;
	struct pollfd input;

	if (argc != 4 || !ip4addr_aton(argv[2], &address) || strlen(argv[1]) >= sizeof(at.sun_path))
		return 2;
	memcpy(at.sun_path, argv[1], strlen(argv[1]));
	port = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (port < 0 || connect(port, (struct sockaddr *)&at, sizeof(at)))
		return 1;
	lwip_init();
	IP4_ADDR(&mask, 255, 255, 255, 0);
	netif_add(&netif, &address, &mask, &none, NULL, set_up, ip_input);
	netif_set_default(&netif);
	netif_set_up(&netif);
	listener = tcp_new();
	if (!listener || tcp_bind(listener, IP_ADDR_ANY, (u16_t)atoi(argv[3])) != ERR_OK)
		return 1;
	listener = tcp_listen(listener);
	tcp_accept(listener, accepted);
	input = (struct pollfd){.fd = port, .events = POLLIN};
	while (ended == 0) {
		poll(&input, 1, 50);
		if (!deliver(&netif))
			return 1;
		sys_check_timeouts();
	}
	printf("%llu %.6f\n", (unsigned long long)bytes, ended - began);
	return 0;
}
