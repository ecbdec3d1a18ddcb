/* SPDX-License-Identifier: MIT */
/**
 * DOC: the part of the rx pump that puts an Ethernet header in front of a packet; included by vnc_deliver.h only.
 */
#ifndef VNC_ETHERNET_H
#define VNC_ETHERNET_H
#include "vnc_pump.h"
#include <errno.h>
#include <sys/uio.h>

/* Ask the resolver, with the first @n entries of @iov as the packet. Return: whether it had room. */
static bool ask_resolver(struct vnc_neighbours *to, struct vnc_ethernet *ethernet, const struct iovec *iov, int n)
{
	struct iovec all[6] = {{&ethernet->question, sizeof(ethernet->question)}};
	int i;

	for (i = 0; i < n; i++)
		all[i + 1] = iov[i];
	return writev(to->resolver_fd, all, n + 1) >= 0;
}

/* Ask the resolver about a neighbour that is stale; the next packet to it does, where it has no room now. */
static void ask_about(struct vnc_neighbours *to, struct vnc_ethernet *ethernet)
{
	if (ask_resolver(to, ethernet, NULL, 0))
		return;
	pthread_mutex_lock(&to->lock);
	vnc_neighbour_mark_stale(to, &ethernet->question.hop);
	pthread_mutex_unlock(&to->lock);
}

/*
 * Put an Ethernet header in front of the packet of @head, which is led by @hdr. *@n: entries of @iov until now.
 * Return: 0, or the drop under which it is counted.
 */
static int put_on_ethernet(struct vnc_pump *p, struct vnc_head *head, struct vnc_vnet_hdr *hdr,
			   struct vnc_ethernet *ethernet, struct iovec *iov, int *n)
{
	int refused = vnc_ethernet_on(p->port.neighbours, head, hdr, ethernet);

	if (refused) {
		p->last_errno = refused;
		return VNC_RX_DROP_PORT_REFUSED;
	}
	if (ethernet->stale)
		ask_about(p->port.neighbours, ethernet);
	iov[(*n)++] = (struct iovec){ethernet->bytes, sizeof(ethernet->bytes)};
	return 0;
}

/*
 * The MAC address for the packet in @iov is not known: it is the resolver's from now on, which counts it.
 * Return: false where memory of the window is missing.
 */
static bool leave_to_resolver(struct vnc_pump *p, struct vnc_ethernet *ethernet, const struct iovec *iov, int n)
{
	uint64_t *unasked = p->port.neighbours->unasked;

	if (ask_resolver(p->port.neighbours, ethernet, iov, n))
		return true;
	if (vnc_pump_faulted(p))
		return false;
	__atomic_fetch_add(&unasked[ethernet->question.hop.version == 6], 1, __ATOMIC_RELAXED);
	return true;
}

#endif
