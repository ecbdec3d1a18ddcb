/* SPDX-License-Identifier: MIT */
/* What the harnesses of memif share: a client and a server on one region, between two pages that fault. */
#ifndef MEMIF_RIG_H
#define MEMIF_RIG_H
#define _GNU_SOURCE
#include "harness.h"
#include "vnc_memif_attach.h"
#include "vnc_memif_io.h"
#include <sys/eventfd.h>
#include <sys/mman.h>

#define RIG_LOG2 3u
#define RIG_SLOTS (1u << RIG_LOG2)
#define RIG_BUFFER 256u
#define RIG_RING (sizeof(struct vnc_memif_ring) + RIG_SLOTS * sizeof(struct vnc_memif_desc))
#define RIG_BYTES (2 * RIG_RING + 2 * RIG_SLOTS * RIG_BUFFER)
#define RIG_PAGE 4096u
#define RIG_PAGES ((RIG_BYTES + RIG_PAGE - 1) / RIG_PAGE)

struct memif_rig {
	uint8_t *region; /* its end is that of a page */
	struct vnc_memif client, server;
	int to_client, to_server, attention; /* eventfds */
};

static const struct vnc_memif_place rig_s2m = {0, 0, RIG_LOG2}, rig_m2s = {0, RIG_RING, RIG_LOG2};

static inline struct vnc_memif_ring *rig_ring(struct memif_rig *r, const struct vnc_memif_place *place)
{
	return (struct vnc_memif_ring *)(void *)(r->region + place->offset);
}

static inline void rig_map(struct memif_rig *r)
{
	uint8_t *base = mmap(NULL, (RIG_PAGES + 2) * RIG_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(base != MAP_FAILED);
	CHECK(!mprotect(base + RIG_PAGE, RIG_PAGES * RIG_PAGE, PROT_READ | PROT_WRITE));
	r->region = base + (RIG_PAGES + 1) * RIG_PAGE - RIG_BYTES;
	r->to_client = eventfd(0, EFD_NONBLOCK);
	r->to_server = eventfd(0, EFD_NONBLOCK);
	r->attention = eventfd(0, EFD_NONBLOCK);
}

/* Attach one side; the client first, as it gives the buffers out. */
static inline void rig_attach(struct memif_rig *r, struct vnc_memif *m, bool client)
{
	static const struct vnc_memif_buffers ours = {2 * RIG_RING + RIG_SLOTS * RIG_BUFFER, 2 * RIG_RING, RIG_BUFFER};
	static const struct vnc_memif_buffers none;

	m->rings.attention_fd = r->attention;
	m->rings.region[0] = (struct vnc_rings_region){r->region, RIG_BYTES, NULL};
	m->rings.regions = 1;
	rig_ring(r, &rig_s2m)->cookie = rig_ring(r, &rig_m2s)->cookie = VNC_MEMIF_COOKIE;
	CHECK(vnc_memif_attach(m, client ? &rig_m2s : &rig_s2m, client ? &rig_s2m : &rig_m2s, client ? &ours : &none,
			       client ? r->to_server : r->to_client));
}

#endif
