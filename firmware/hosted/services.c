/* SPDX-License-Identifier: MIT */
/* Echo (RFC 862) and discard (RFC 863) by TCP and UDP; lwIP is all that it needs, also on bare metal. */
#include "stack.h"
#include "lwip/mem.h"
#include "lwip/tcp.h"
#include "lwip/udp.h"

#define SERVICES 16u

struct connection {
	struct vnc_stack_service *service;
	struct pbuf *queue; /* received, and not all sent back yet */
	uint16_t offset;    /* of queue's first piece */
	bool ended;         /* by the far end */
};

static struct vnc_stack_service services[SERVICES];

/* ---- a connection of a service ------------------------------------------------------------------------ */

static void forget(struct connection *c)
{
	c->service->open--;
	if (c->queue)
		pbuf_free(c->queue);
	mem_free(c);
}

static err_t close_connection(struct connection *c, struct tcp_pcb *pcb)
{
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_poll(pcb, NULL, 0);
	tcp_err(pcb, NULL);
	forget(c);
	if (tcp_close(pcb) == ERR_OK)
		return ERR_OK;
	tcp_abort(pcb);
	return ERR_ABRT;
}

static void drop_piece(struct connection *c)
{
	struct pbuf *next = c->queue->next;

	if (next)
		pbuf_ref(next);
	pbuf_free(c->queue);
	c->queue = next;
	c->offset = 0;
}

/* Send back, or drop, what is in the queue; the far end may send as much again. */
static err_t serve(struct connection *c, struct tcp_pcb *pcb)
{
	uint16_t n;

	while (c->queue) {
		n = (uint16_t)(c->queue->len - c->offset);
		if (c->service->kind == VNC_STACK_ECHO) {
			n = tcp_sndbuf(pcb) < n ? (uint16_t)tcp_sndbuf(pcb) : n;
			if (!n || tcp_write(pcb, (uint8_t *)c->queue->payload + c->offset, n,
					    TCP_WRITE_FLAG_COPY) != ERR_OK)
				break;
		}
		c->service->tcp_bytes += n;
		c->offset = (uint16_t)(c->offset + n);
		tcp_recved(pcb, n);
		if (c->offset == c->queue->len)
			drop_piece(c);
	}
	tcp_output(pcb);
	return !c->queue && c->ended ? close_connection(c, pcb) : ERR_OK;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
	struct connection *c = arg;

	(void)error;
	if (!p)
		c->ended = true;
	else if (c->queue)
		pbuf_cat(c->queue, p);
	else
		c->queue = p;
	return serve(c, pcb);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	(void)len;
	return serve(arg, pcb);
}

static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
	return serve(arg, pcb);
}

static void on_error(void *arg, err_t error)
{
	(void)error;
	forget(arg);
}

static err_t on_accepted(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct connection *c = pcb && error == ERR_OK ? mem_calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return ERR_MEM;
	c->service = arg;
	c->service->connections++;
	c->service->open++;
	tcp_arg(pcb, c);
	tcp_recv(pcb, on_received);
	tcp_sent(pcb, on_sent);
	tcp_poll(pcb, on_poll, 1);
	tcp_err(pcb, on_error);
	return ERR_OK;
}

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
	struct vnc_stack_service *service = arg;

	service->udp_bytes += p->tot_len;
	if (service->kind == VNC_STACK_ECHO)
		udp_sendto(pcb, p, from, port);
	pbuf_free(p);
}

/** vnc_stack_serve() - serve @kind at TCP and UDP port @port, for as long as the stack runs. */
int vnc_stack_serve(uint32_t kind, uint16_t port)
{
	struct vnc_stack_service *service = services;
	struct tcp_pcb *tcp = tcp_new(), *listening = NULL;
	struct udp_pcb *udp = udp_new();
	err_t error = tcp && udp ? ERR_OK : ERR_MEM;

	while (service < services + SERVICES && service->listening)
		service++;
	if (service == services + SERVICES)
		error = ERR_MEM;
	if (error == ERR_OK)
		error = tcp_bind(tcp, IP_ADDR_ANY, port);
	if (error == ERR_OK)
		error = udp_bind(udp, IP_ADDR_ANY, port);
	if (error == ERR_OK && !(listening = tcp_listen_with_backlog_and_err(tcp, 16, &error)))
		error = error ? error : ERR_MEM;
	if (error != ERR_OK) {
		if (tcp)
			tcp_close(tcp);
		if (udp)
			udp_remove(udp);
		return error;
	}
	*service = (struct vnc_stack_service){.port = port, .kind = (uint8_t)kind, .listening = 1};
	tcp_arg(listening, service);
	tcp_accept(listening, on_accepted);
	udp_recv(udp, on_datagram, service);
	return ERR_OK;
}

/** vnc_stack_read_service() - the figures of service @index. Return: 0, or -1 if there is none. */
int vnc_stack_read_service(uint32_t index, struct vnc_stack_service *out)
{
	if (index >= SERVICES || !services[index].listening)
		return -1;
	*out = services[index];
	return 0;
}
