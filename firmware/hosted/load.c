/* SPDX-License-Identifier: MIT */
/* A TCP stream for a number of seconds, as iperf 2 sends it. */
#include "stack.h"
#include "lwip/tcp.h"
#include <string.h>

#define IPERF_HEADER 24u /* zeros: iperf 2 without options */

static struct {
	struct vnc_stack_load result;
	struct tcp_pcb *pcb;
	uint64_t began_us, until_us;
	uint32_t ms;
	bool connected;
} load;
static const uint8_t zeros[8192];

static void end_load(int error)
{
	uint64_t now = vnc_stack_us();

	load.result.running = 0;
	load.result.error = error;
	load.result.ms = load.connected ? (uint32_t)((now - load.began_us) / 1000u) : 0;
	load.pcb = NULL;
}

static void write_more(void)
{
	uint16_t n;

	do
		n = tcp_sndbuf(load.pcb) < sizeof(zeros) ? (uint16_t)tcp_sndbuf(load.pcb) : (uint16_t)sizeof(zeros);
	while (n && tcp_write(load.pcb, zeros, n, 0) == ERR_OK);
	tcp_output(load.pcb);
}

static err_t load_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	(void)arg, (void)pcb;
	load.result.bytes += len; /* acknowledged */
	if (load.result.running && load.pcb)
		write_more();
	return ERR_OK;
}

static err_t load_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
	(void)arg, (void)pcb, (void)error;
	load.connected = true;
	load.began_us = vnc_stack_us();
	load.until_us = load.began_us + 1000u * (uint64_t)load.ms;
	write_more();
	return ERR_OK;
}

static void load_failed(void *arg, err_t error)
{
	(void)arg;
	end_load(error);
}

/** vnc_stack_start_load() - send zeros to @address for @ms. */
int vnc_stack_start_load(const char *address, uint16_t port, uint32_t ms)
{
	ip_addr_t to;
	err_t error;

	_Static_assert(sizeof(zeros) >= IPERF_HEADER, "the first bytes are iperf's header");
	if (!ipaddr_aton(address, &to) || load.result.running)
		return ERR_VAL;
	memset(&load, 0, sizeof(load));
	load.pcb = tcp_new();
	if (!load.pcb)
		return ERR_MEM;
	load.ms = ms;
	load.until_us = vnc_stack_us() + 1000u * (uint64_t)ms + 10000000u; /* to connect */
	load.result.running = 1;
	tcp_sent(load.pcb, load_sent);
	tcp_err(load.pcb, load_failed);
	error = tcp_connect(load.pcb, &to, port, load_connected);
	if (error != ERR_OK) {
		tcp_abort(load.pcb); /* calls load_failed() */
		load.result.running = 0;
	}
	return error;
}

/** vnc_stack_poll_load() - end the stream when its time is over. */
void vnc_stack_poll_load(void)
{
	struct tcp_pcb *pcb = load.pcb;

	if (!load.result.running || vnc_stack_us() < load.until_us)
		return;
	if (!load.connected) {
		tcp_abort(pcb); /* calls load_failed() */
		load.result.error = ERR_TIMEOUT;
		return;
	}
	tcp_err(pcb, NULL);
	tcp_sent(pcb, NULL);
	if (tcp_close(pcb) != ERR_OK)
		tcp_abort(pcb);
	end_load(0);
}

/** vnc_stack_load_result() - of the stream that runs, or ran last. */
void vnc_stack_load_result(struct vnc_stack_load *out)
{
	*out = load.result;
}
