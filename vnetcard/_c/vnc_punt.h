/* SPDX-License-Identifier: MIT */
/**
 * DOC: packets of the peer that a filter picks for a program instead of the port; included by vnc_deliver.h only.
 *
 * The filter is one of libpcap, which also runs it.  It sees the first VNC_FILTER_HEAD_MAX bytes of a packet, in the
 * copy that the peer cannot change and that is handed on.  The program gets complete packets, as an interface without
 * offloads would: a partial checksum is completed, a super-packet is cut (vnc_finish.h).  Nobody waits for the
 * program: what its socket does not take at once is dropped.
 *
 * A completed checksum lies where the peer wants it, so each packet is judged by the rules of vnc_filter.h once more.
 */
#ifndef VNC_PUNT_H
#define VNC_PUNT_H
#include "vnc_pump.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* What deliver() returns, and punt(); else the ledger's word of a drop. */
enum { DELIVERED = 0, PORT_FULL = -1, FAULTED = -2, NOT_PUNTED = -3 };

/* Is it what a socket's write returns while no program is at the far end? */
static bool port_without_program(int error)
{
	return error == EPIPE || error == ECONNRESET || error == ENOTCONN || error == ECONNREFUSED;
}

/* The packet of @head, of which the copy comes first, as entries of @iov, at most three. Return: how many. */
static int gather(struct vnc_head *head, struct iovec *iov)
{
	uint32_t copied = head->have, skip;
	int n = 0, i;

	if (copied)
		iov[n++] = (struct iovec){head->bytes, copied};
	for (i = 0; i < 2; i++) {
		skip = copied < head->size[i] ? copied : head->size[i];
		copied -= skip;
		if (head->size[i] > skip)
			iov[n++] = (struct iovec){(uint8_t *)head->part[i] + skip, head->size[i] - skip};
	}
	return n;
}

/* Does the filter pick the packet of @head, of @len bytes? */
static bool punt_picks(const struct vnc_punt *punt, struct vnc_head *head, uint32_t len)
{
	if (!punt->run)
		return false;
	vnc_head_have(head, len < VNC_FILTER_HEAD_MAX ? len : VNC_FILTER_HEAD_MAX);
	return punt->run(punt->program, head->bytes, len, head->have);
}

/* The packet of @head in one piece that the peer cannot change. */
static uint8_t *in_one_piece(struct vnc_pump *p, struct vnc_head *head)
{
	uint8_t *at = p->scratch;
	struct iovec iov[3];
	int n, i;

	if (p->domain != VNC_COHERENT)
		return (uint8_t *)head->part[0]; /* scratch, into which the record was copied */
	n = gather(head, iov);
	for (i = 0; i < n; at += iov[i++].iov_len)
		memcpy(at, iov[i].iov_base, iov[i].iov_len);
	return p->scratch;
}

/* Let the filter of @p judge the packet of @head, with nothing copied. Return: VNC_FILTER_PASS, or the drop. */
static int judge(const struct vnc_pump *p, struct vnc_head *head)
{
	if (!vnc_filter_active(&p->filter))
		return VNC_FILTER_PASS;
	return (int)(p->port.ethernet ? vnc_filter_frame(&p->filter, head) : vnc_filter_packet(&p->filter, head, 0));
}

/* Send one packet to the program. Return: 0, or the drop under which its record is counted. */
static int send_packet(struct vnc_pump *p, const uint8_t *packet, uint32_t len)
{
	struct vnc_head head;
	ssize_t done;
	int drop;

	head.part[0] = packet;
	head.size[0] = len;
	head.size[1] = head.have = 0;
	drop = judge(p, &head);
	if (drop != VNC_FILTER_PASS)
		return drop;
	do {
		done = send(p->punt.fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (done < 0 && errno == EINTR);
	if (done >= 0)
		return 0;
	p->last_errno = errno;
	return port_without_program(errno) ? VNC_RX_DROP_PORT_DOWN : VNC_RX_DROP_PORT_REFUSED;
}

/*
 * Hand the packet of @head, of @len bytes and led by @hdr, to the program. Return: DELIVERED, FAULTED, the drop
 * under which it is counted, or NOT_PUNTED where there is no program and the packet is then for the port.
 */
static int punt(struct vnc_pump *p, const struct vnc_vnet_hdr *hdr, struct vnc_head *head, uint32_t len)
{
	uint64_t *state = p->punt.state;
	int drop = 0, failed;
	uint8_t *packet;

	if (!__atomic_load_n(&state[VNC_PUNT_PROGRAM], __ATOMIC_RELAXED)) {
		if (p->punt.bypass)
			return NOT_PUNTED;
		__atomic_fetch_add(&state[VNC_PUNT_DROPPED], 1, __ATOMIC_RELAXED);
		p->last_errno = EPIPE;
		return VNC_RX_DROP_PORT_DOWN;
	}
	packet = in_one_piece(p, head);
	if (vnc_pump_window_lost(p))
		return FAULTED; /* what was copied may be zeros in place of the packet */
	if (vnc_finish_begin(&p->finish, hdr, packet, len, p->port.ethernet))
		return VNC_RX_DROP_BAD_FRAME;
	while ((len = vnc_finish_next(&p->finish, &packet))) {
		failed = send_packet(p, packet, len);
		__atomic_fetch_add(&state[failed ? VNC_PUNT_DROPPED : VNC_PUNT_SENT], 1, __ATOMIC_RELAXED);
		drop = failed ? failed : drop;
	}
	return drop;
}

#endif
