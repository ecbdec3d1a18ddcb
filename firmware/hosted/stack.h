/* SPDX-License-Identifier: MIT */
/**
 * DOC: vnc_lwip.h in a process on Linux, as a library for firmware/stack.py.
 *
 * One stack per process, one thread: lwIP's core without its threads, so that the loop is that of bare metal.  Times
 * are in ms, addresses IPv4 in text.  A function that returns int returns 0 or an err_t of lwIP, unless it says more.
 */
#ifndef VNC_STACK_H
#define VNC_STACK_H
#include "vnc_lwip.h"

#define API __attribute__((visibility("default")))
enum vnc_stack_kind { VNC_STACK_ECHO, VNC_STACK_DISCARD };

/** struct vnc_stack_ping - one series of echo requests. */
struct vnc_stack_ping {
	uint32_t sent, received, damaged, running;
	uint32_t last_us, min_us, max_us, last_seq;
	uint64_t sum_us;
};

/** struct vnc_stack_load - what a TCP stream that this stack sends has reached. */
struct vnc_stack_load {
	uint64_t bytes;
	uint32_t ms, running;
	int32_t error;
};

/** struct vnc_stack_service - what a port has served. */
struct vnc_stack_service {
	uint16_t port;
	uint8_t kind, listening;
	uint32_t connections, open;
	uint64_t tcp_bytes, udp_bytes;
};

extern struct vnc_lwip vnc_stack_netif;
uint64_t vnc_stack_us(void);
void vnc_stack_poll_ping(void);
void vnc_stack_poll_load(void);

API int vnc_stack_open(uint8_t *window, uint64_t bytes, uint32_t side, uint32_t mtu, uint32_t frames, uint32_t seed,
		       const uint8_t mac[6]);
API int vnc_stack_address(const char *address, const char *mask, const char *gateway);
API int vnc_stack_poll(uint32_t ms, int fd);
API void vnc_stack_close(void);
API void vnc_stack_link(uint32_t out[6]);
API int vnc_stack_table(const char *which, char *out, uint32_t room);

API int vnc_stack_start_ping(const char *address, uint32_t size, uint32_t count, uint32_t interval_ms,
			     uint32_t wait_ms);
API void vnc_stack_ping_result(struct vnc_stack_ping *out);
API int vnc_stack_serve(uint32_t kind, uint16_t port);
API int vnc_stack_read_service(uint32_t index, struct vnc_stack_service *out);
API int vnc_stack_start_load(const char *address, uint16_t port, uint32_t ms);
API void vnc_stack_load_result(struct vnc_stack_load *out);

#endif
