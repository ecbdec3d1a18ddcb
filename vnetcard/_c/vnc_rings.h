/* SPDX-License-Identifier: MIT */
/**
 * DOC: a port whose frames are in rings of memory that it shares with a program: what every kind of them has.
 *
 * The pumps call the functions of struct vnc_rings_ops where they would read, write and poll a descriptor.  The kinds
 * are memif (vnc_memif.h) and vhost-user (vnc_vhost.h).
 *
 * The peer may write anything at any time: each of its words is read once, checked, and only the copy is used.  What is
 * impossible ends the connection (vnc_rings_fail()).  The thread that connects (vnetcard/port/ring_port.py) attaches
 * the memory and takes it away again; an end's gate keeps a pump from using it meanwhile.
 */
#ifndef VNC_RINGS_H
#define VNC_RINGS_H
#include "vnc_barrier.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define VNC_RINGS_REGIONS 16u /* most regions of a connection */
#define VNC_RINGS_BATCH 32u   /* frames after which the peer is notified, though more follow */

/** enum vnc_rings_fault - what a correct peer never does. */
enum vnc_rings_fault {
	VNC_RINGS_SOUND = 0,
	VNC_RINGS_BAD_INDEX,  /* an index is ahead of what the ring has */
	VNC_RINGS_BAD_REGION, /* a descriptor's buffer is in no region */
	VNC_RINGS_BAD_SPAN,   /* a descriptor's buffer is not within its region, or longer than what it was given */
	VNC_RINGS_BAD_CHAIN,  /* the descriptors of a frame have no end, or do not belong together */
	VNC_RINGS_LOST,       /* a part of its memory is missing */
};

struct vnc_rings_region {
	uint8_t *base;
	uint64_t size;
	const uint32_t *lost; /* 1 once a part of it was found missing (vnc_sigbus.h); NULL: not known */
};

/** struct vnc_gate - of one end: whether a pump may use it, and how the peer is notified. */
struct vnc_gate {
	uint32_t locked;     /* 1 while a thread uses the end */
	bool attached;       /* else nothing else of the end is valid */
	uint32_t unnotified; /* frames since the peer was last notified */
	uint32_t writes;     /* to @fd, begun and ended: odd during one, which blocks where the peer wants it to */
	int fd;              /* the eventfd that wakes the peer; below 0: none */
};

struct vnc_rings;

/** struct vnc_rings_ops - what a pump does with a kind of rings. */
struct vnc_rings_ops {
	/* Is there something to read? */
	bool (*ready)(struct vnc_rings *r);
	/* From now on the peer notifies this side of frames, or does not where @masked. */
	void (*mask)(struct vnc_rings *r, bool masked);
	/* Copy the oldest frame to @iov; it stays in the ring until release().  Return: its length, at most that of
	 * @iov; -1 with EAGAIN where there is none. */
	ssize_t (*get)(struct vnc_rings *r, const struct iovec *iov, int n);
	void (*release)(struct vnc_rings *r);
	/* Send @iov as one frame; notify_sent() must follow soon.  @lost: of the memory of @iov.  Return: its length;
	 * -1 with ENOBUFS (the ring is full), EMSGSIZE (it can never hold the frame), EPIPE (no peer), or EFAULT
	 * (memory of @iov is missing). */
	ssize_t (*put)(struct vnc_rings *r, const struct iovec *iov, int n, const uint32_t *lost);
	/* Wake a peer that sleeps, if it was sent a frame since the last call. */
	void (*notify_sent)(struct vnc_rings *r);
	/* Likewise, if it was given back a frame; NULL: it is never told. */
	void (*notify_returned)(struct vnc_rings *r);
	/* Take the rings away; returns once no pump uses them, so that the regions can be unmapped. */
	void (*detach)(struct vnc_rings *r);
};

/** struct vnc_rings - both ends, between the pumps and the thread that connects; the first member of each kind. */
struct vnc_rings {
	const struct vnc_rings_ops *ops;
	struct vnc_rings_region region[VNC_RINGS_REGIONS];
	uint32_t regions;
	uint32_t fault;   /* enum vnc_rings_fault, of this connection */
	int attention_fd; /* eventfd, written with each fault */
	int poll_ms;      /* after which a sleeping pump reads the ring, as the peer never notifies it; 0: it does */
};

static inline bool vnc_rings_lost(const struct vnc_rings_region *region)
{
	return region->lost && __atomic_load_n(region->lost, __ATOMIC_ACQUIRE);
}

/* ---- the gate of an end -------------------------------------------------------------------------- */

static inline void vnc_gate_leave(struct vnc_gate *g)
{
	__atomic_store_n(&g->locked, 0, __ATOMIC_RELEASE);
}

/** vnc_gate_enter() - lock @g until vnc_gate_leave(). Return: whether the end is attached; else it is not locked. */
static inline bool vnc_gate_enter(struct vnc_gate *g)
{
	while (__atomic_exchange_n(&g->locked, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	if (g->attached)
		return true;
	vnc_gate_leave(g);
	return false;
}

/* The peer has done what it must not, or its memory is lost: the end of @g is used no more.
 * Return: -1 with @error in errno. */
static inline int vnc_rings_fail(struct vnc_rings *r, struct vnc_gate *g, enum vnc_rings_fault fault, int error)
{
	uint64_t one = 1;

	g->attached = false;
	__atomic_store_n(&r->fault, fault, __ATOMIC_RELEASE);
	if (write(r->attention_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: its counter is full, so its reader's poll() ends anyway */
	}
	errno = error;
	return -1;
}

/* Wake the peer; @g is locked. */
static inline void vnc_gate_signal(struct vnc_gate *g)
{
	uint64_t one = 1;

	if (g->fd < 0)
		return;
	__atomic_store_n(&g->writes, g->writes + 1, __ATOMIC_RELAXED);
	if (write(g->fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: it is notified already */
	}
	__atomic_store_n(&g->writes, g->writes + 1, __ATOMIC_RELAXED);
}

/* A hostile peer can make the eventfd that a pump writes to block, but it cannot keep it from being read. */
static inline void vnc_gate_unblock(int fd)
{
	struct pollfd full = {.fd = fd, .events = POLLIN};
	int flags = fcntl(fd, F_GETFL);
	uint64_t drain;

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (poll(&full, 1, 1) > 0 && read(fd, &drain, sizeof(drain)) < 0) {
		/* EAGAIN: its owner was faster */
	}
}

/** vnc_gate_lock() - lock @g, attached or not, also where a pump's write to the peer blocks; for no pump. */
static inline void vnc_gate_lock(struct vnc_gate *g)
{
	while (__atomic_exchange_n(&g->locked, 1, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&g->writes, __ATOMIC_RELAXED) & 1)
			vnc_gate_unblock(g->fd);
		sched_yield();
	}
}

static inline void vnc_gate_stop(struct vnc_gate *g)
{
	vnc_gate_lock(g);
	g->attached = false;
	vnc_gate_leave(g);
}

/* ---- frames -------------------------------------------------------------------------------------- */

/* Where the next bytes of a packet go to, or come from. */
struct vnc_cursor {
	const struct iovec *iov;
	size_t used; /* bytes of *iov */
	int left;    /* entries, with *iov */
};

/* Copy up to @len bytes from @at to @c, or from @c to @at where @out. Return: how many there was room for. */
static inline uint32_t vnc_cursor_copy(struct vnc_cursor *c, uint8_t *at, uint32_t len, bool out)
{
	uint32_t done = 0, n;
	uint8_t *theirs;

	while (done < len && c->left) {
		n = len - done;
		if (n > c->iov->iov_len - c->used)
			n = (uint32_t)(c->iov->iov_len - c->used);
		theirs = (uint8_t *)c->iov->iov_base + c->used;
		if (n)
			memcpy(out ? at + done : theirs, out ? theirs : at + done, n);
		done += n;
		c->used += n;
		if (c->used == c->iov->iov_len) {
			c->iov++;
			c->left--;
			c->used = 0;
		}
	}
	return done;
}

#endif
