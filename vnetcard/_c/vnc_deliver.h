/* SPDX-License-Identifier: MIT */
/**
 * DOC: the part of the rx pump that judges one record's packet and writes it into the port; included by vnc_rx.c only.
 */
#ifndef VNC_DELIVER_H
#define VNC_DELIVER_H
#include "vnc_ethernet.h"
#include "vnc_pump.h"
#include "vnc_punt.h"
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

/*
 * The port has not taken a packet led by @hdr, with errno. Return: PORT_FULL, FAULTED if its memory is missing, or the
 * drop under which it is counted.
 */
static int write_failed(struct vnc_pump *p, const struct vnc_vnet_hdr *hdr, uint8_t first)
{
	if (errno == EAGAIN || errno == ENOBUFS) {
		p->no_buffers = errno == ENOBUFS;
		return PORT_FULL;
	}
	if (vnc_pump_faulted(p))
		return FAULTED;
	p->last_errno = errno;
	if (errno == ENXIO || errno == ENODEV) /* a packet socket whose interface was deleted */
		return VNC_RX_DROP_PORT_DOWN;
	if (errno == EIO || errno == ENETDOWN || errno == EBADFD || errno == EBADF || port_without_program(errno))
		return VNC_RX_DROP_PORT_DOWN;
	if (hdr->gso_type != VNC_GSO_NONE) {
		__atomic_fetch_or(&p->refused, vnc_needed_feature(hdr, first), __ATOMIC_RELEASE);
		vnc_pump_raise(p, VNC_EVENT_REFUSED);
	}
	return VNC_RX_DROP_PORT_REFUSED;
}

/* Has @view, a GSO packet of @len bytes led by @hdr, all its headers?  Its IP header starts at @l3. */
static int gso_whole(const struct vnc_view *view, const struct vnc_vnet_hdr *hdr, uint32_t len, uint32_t l3)
{
	const struct vnc_span *span = view->span;
	uint8_t head[VNC_GSO_HEAD];
	uint32_t want = len < sizeof(head) ? len : sizeof(head);
	uint32_t first = span[0].len - view->hdr_len;

	if (len < l3 + 20)
		return 0;
	if (first > want)
		first = want;
	memcpy(head, span[0].base + view->hdr_len, first);
	memcpy(head + first, span[1].base, want - first);
	return vnc_gso_whole(hdr, head, len, l3);
}

/* Let the filter of @p judge the packet of @view. Return: VNC_FILTER_PASS, or the drop. @head: what was copied. */
static int filtered(const struct vnc_pump *p, const struct vnc_view *view, struct vnc_head *head)
{
	head->part[0] = view->span[0].base + view->hdr_len;
	head->size[0] = view->span[0].len - view->hdr_len;
	head->part[1] = view->span[1].base;
	head->size[1] = view->span[1].len;
	head->have = 0;
	return judge(p, head);
}

/* Write one packet as writev() does. */
static ssize_t write_packet(struct vnc_pump *p, const struct iovec *iov, int n)
{
	vnc_stats_count(&p->stats, VNC_RXSTAT_PORT_WRITES);
	return p->port.rings ? p->port.rings->ops->put(p->port.rings, iov, n, p->lost) : writev(p->port.fd, iov, n);
}

/* Write one packet into the port, or punt it. Return: DELIVERED, or as write_failed(). */
static int deliver(struct vnc_pump *p, const struct vnc_view *view)
{
	struct vnc_vnet_hdr hdr = {0};
	const uint8_t *packet = view->span[0].base + view->hdr_len;
	uint32_t len = view->len - view->hdr_len, l3 = 0;
	struct vnc_ethernet ethernet = {.known = true};
	struct vnc_head head;
	struct iovec iov[5];
	uint32_t needed;
	ssize_t done;
	int n = 0, drop;

	if (len > p->link.packet_max || (p->port.ethernet && len < VNC_ETHERNET_HEADER))
		return VNC_RX_DROP_BAD_FRAME;
	if (view->hdr_len) {
		memcpy(&hdr, view->span[0].base, sizeof(hdr)); /* once: the peer may change it */
		l3 = vnc_pump_l3(p, packet);
		needed = vnc_needed_feature(&hdr, packet[l3]);
		if ((needed & ~p->link.features) || !vnc_vnet_sane(&hdr, len))
			return VNC_RX_DROP_BAD_FRAME;
		if (hdr.gso_type != VNC_GSO_NONE) {
			if (!vnc_gso_cheap(&hdr, len, __atomic_load_n(&p->segments_max, __ATOMIC_RELAXED)))
				return VNC_RX_DROP_SEGMENTS;
			if (!gso_whole(view, &hdr, len, l3))
				return VNC_RX_DROP_BAD_FRAME;
		}
	}
	drop = filtered(p, view, &head);
	if (drop != VNC_FILTER_PASS)
		return drop;
	if (punt_picks(&p->punt, &head, len)) {
		drop = punt(p, &hdr, &head, len);
		if (drop != NOT_PUNTED)
			return drop;
	}
	if (p->port.vnet)
		iov[n++] = (struct iovec){&hdr, sizeof(hdr)};
	if (p->port.neighbours && (drop = put_on_ethernet(p, &head, &hdr, &ethernet, iov, &n)) != 0)
		return drop;
	n += gather(&head, iov + n);
	if (!ethernet.known)
		return leave_to_resolver(p, &ethernet, iov, n) ? DELIVERED : FAULTED;
	do {
		done = write_packet(p, iov, n);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? write_failed(p, &hdr, packet[l3]) : DELIVERED;
}

#endif
