/* SPDX-License-Identifier: MIT */
/* Echo requests of any size, each reply compared byte for byte. */
#include "stack.h"
#include "lwip/icmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/prot/ip4.h"
#include "lwip/raw.h"
#include <string.h>

#define ICMP_BYTES 8u

static struct {
	struct vnc_stack_ping result;
	struct raw_pcb *pcb;
	ip_addr_t to;
	uint32_t size, count, interval_us, wait_us;
	uint16_t id, seq;
	uint64_t next_us, end_us, sent_us[256]; /* by the lower 8 bits of seq */
} ping;

static uint8_t pattern(uint32_t at, uint16_t seq)
{
	return (uint8_t)(at * 31u + seq);
}

/* Compare the reply behind the IP header of @hlen bytes. Return: whether it is undamaged. */
static bool intact(const struct pbuf *p, uint32_t hlen, uint16_t seq)
{
	uint32_t n;

	if (p->tot_len != hlen + ICMP_BYTES + ping.size)
		return false;
	for (n = 0; n < ping.size; n++)
		if (pbuf_get_at(p, (u16_t)(hlen + ICMP_BYTES + n)) != pattern(n, seq))
			return false;
	return true;
}

static void count_reply(uint16_t seq, bool good)
{
	uint32_t us = (uint32_t)(vnc_stack_us() - ping.sent_us[seq & 255]);
	struct vnc_stack_ping *r = &ping.result;

	if (!ping.sent_us[seq & 255])
		return; /* a second reply */
	ping.sent_us[seq & 255] = 0;
	if (!good) {
		r->damaged++;
		return;
	}
	r->received++;
	r->last_us = us;
	r->last_seq = seq;
	r->sum_us += us;
	r->min_us = r->received == 1 || us < r->min_us ? us : r->min_us;
	r->max_us = us > r->max_us ? us : r->max_us;
}

static u8_t received(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	uint32_t hlen = (pbuf_get_at(p, 0) & 0xfu) * 4;
	uint16_t id = (uint16_t)(pbuf_get_at(p, (u16_t)(hlen + 4)) << 8 | pbuf_get_at(p, (u16_t)(hlen + 5)));
	uint16_t seq = (uint16_t)(pbuf_get_at(p, (u16_t)(hlen + 6)) << 8 | pbuf_get_at(p, (u16_t)(hlen + 7)));

	(void)arg, (void)pcb;
	if (!ping.result.running || pbuf_get_at(p, (u16_t)hlen) != ICMP_ER || id != ping.id ||
	    !ip_addr_cmp(from, &ping.to))
		return 0;
	count_reply(seq, intact(p, hlen, seq));
	pbuf_free(p);
	return 1;
}

static void send_one(void)
{
	struct pbuf *p = pbuf_alloc(PBUF_IP, (u16_t)(ICMP_BYTES + ping.size), PBUF_RAM);
	uint8_t *bytes;
	uint32_t n;
	u16_t sum;

	if (!p)
		return;
	bytes = p->payload;
	ping.seq++;
	bytes[0] = ICMP_ECHO;
	bytes[1] = bytes[2] = bytes[3] = 0;
	bytes[4] = (uint8_t)(ping.id >> 8), bytes[5] = (uint8_t)ping.id;
	bytes[6] = (uint8_t)(ping.seq >> 8), bytes[7] = (uint8_t)ping.seq;
	for (n = 0; n < ping.size; n++)
		bytes[ICMP_BYTES + n] = pattern(n, ping.seq);
	sum = inet_chksum(bytes, p->len); /* in network order */
	memcpy(&bytes[2], &sum, 2);
	ping.sent_us[ping.seq & 255] = vnc_stack_us();
	ping.result.sent++;
	raw_sendto(ping.pcb, p, &ping.to);
	pbuf_free(p);
}

/** vnc_stack_start_ping() - @count requests of @size bytes every @interval_ms; the last may take @wait_ms. */
int vnc_stack_start_ping(const char *address, uint32_t size, uint32_t count, uint32_t interval_ms, uint32_t wait_ms)
{
	if (!ipaddr_aton(address, &ping.to) || size > 0xffffu - IP_HLEN - ICMP_BYTES || !count)
		return ERR_VAL;
	if (!ping.pcb) {
		ping.pcb = raw_new(IP_PROTO_ICMP);
		if (!ping.pcb)
			return ERR_MEM;
		raw_recv(ping.pcb, received, NULL);
		raw_bind(ping.pcb, IP_ADDR_ANY);
	}
	memset(&ping.result, 0, sizeof(ping.result));
	memset(ping.sent_us, 0, sizeof(ping.sent_us));
	ping.size = size;
	ping.count = count;
	ping.interval_us = 1000 * interval_ms;
	ping.wait_us = 1000 * wait_ms;
	ping.id = (uint16_t)(ping.id * 5u + 12345u);
	ping.seq = 0;
	ping.next_us = vnc_stack_us();
	ping.result.running = 1;
	return 0;
}

/** vnc_stack_poll_ping() - send what is due. */
void vnc_stack_poll_ping(void)
{
	uint64_t now;

	if (!ping.result.running)
		return;
	now = vnc_stack_us();
	if (ping.result.sent < ping.count && now >= ping.next_us) {
		send_one();
		ping.next_us += ping.interval_us;
		ping.end_us = now + ping.wait_us;
	}
	if (ping.result.sent == ping.count &&
	    (ping.result.received + ping.result.damaged == ping.count || now >= ping.end_us))
		ping.result.running = 0;
}

/** vnc_stack_ping_result() - of the series that runs, or ran last. */
void vnc_stack_ping_result(struct vnc_stack_ping *out)
{
	*out = ping.result;
}
