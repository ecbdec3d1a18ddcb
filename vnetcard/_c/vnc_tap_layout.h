/* SPDX-License-Identifier: MIT */
/* Generated from vnetcard/ring/tap_layout.py by `python -m vnetcard.engine.layoutgen`; do not edit. */
#ifndef VNC_TAP_LAYOUT_H
#define VNC_TAP_LAYOUT_H
#include <stddef.h>
#include <stdint.h>

#define VNC_TAPS_MAX 4u

#define VNC_TAP_READ 0u
#define VNC_TAP_COMMIT 1u
#define VNC_TAP_PUBLISH 2u
#define VNC_TAP_PEEK 3u
#define VNC_TAP_WRITE 4u
#define VNC_TAP_RELEASE 5u

#define VNC_TAP_VNET 1u
#define VNC_TAP_NOSEQ 2u
#define VNC_TAP_ETHERNET 4u

#define VNC_NOTICE_NONE 0u
#define VNC_NOTICE_RUNG 1u
#define VNC_NOTICE_AWAKE 2u
#define VNC_NOTICE_WOKEN 3u

/* written by: agent; complete before the segment is lent; state with release */
struct vnc_tap_head {
	uint64_t magic;                 /* 0x00 `VNCDTAP1` */
	uint32_t version;               /* 0x08 of this table */
	uint32_t state;                 /* 0x0c WAITING, OPEN, CLOSED */
	uint32_t side;                  /* 0x10 0 host, 1 card */
	uint32_t pid;                   /* 0x14 of the agent */
	uint32_t stages;                /* 0x18 which stages are noted, a bit mask */
	uint32_t bytes_of;              /* 0x1c which of them with the packet's bytes */
	uint32_t snap;                  /* 0x20 at most so many bytes of a packet */
	uint32_t sample;                /* 0x24 records whose seq is a multiple of this are noted; drops always are */
	uint32_t ring_bytes;            /* 0x28 size of each ring */
	uint8_t pad[84];
};
_Static_assert(sizeof(struct vnc_tap_head) == 128, "tap_head");
_Static_assert(offsetof(struct vnc_tap_head, magic) == 0, "tap_head.magic");
_Static_assert(offsetof(struct vnc_tap_head, version) == 8, "tap_head.version");
_Static_assert(offsetof(struct vnc_tap_head, state) == 12, "tap_head.state");
_Static_assert(offsetof(struct vnc_tap_head, side) == 16, "tap_head.side");
_Static_assert(offsetof(struct vnc_tap_head, pid) == 20, "tap_head.pid");
_Static_assert(offsetof(struct vnc_tap_head, stages) == 24, "tap_head.stages");
_Static_assert(offsetof(struct vnc_tap_head, bytes_of) == 28, "tap_head.bytes_of");
_Static_assert(offsetof(struct vnc_tap_head, snap) == 32, "tap_head.snap");
_Static_assert(offsetof(struct vnc_tap_head, sample) == 36, "tap_head.sample");
_Static_assert(offsetof(struct vnc_tap_head, ring_bytes) == 40, "tap_head.ring_bytes");

/* written by: pump; prod with release, after the events that it covers */
struct vnc_tap_prod {
	uint32_t prod;                  /* 0x00 bytes of events written, free-running, a multiple of 64 */
	uint32_t reserved;              /* 0x04 0 */
	uint64_t noted;                 /* 0x08 events written */
	uint64_t missed;                /* 0x10 events that found no room */
	uint8_t pad[40];
};
_Static_assert(sizeof(struct vnc_tap_prod) == 64, "tap_prod");
_Static_assert(offsetof(struct vnc_tap_prod, prod) == 0, "tap_prod.prod");
_Static_assert(offsetof(struct vnc_tap_prod, reserved) == 4, "tap_prod.reserved");
_Static_assert(offsetof(struct vnc_tap_prod, noted) == 8, "tap_prod.noted");
_Static_assert(offsetof(struct vnc_tap_prod, missed) == 16, "tap_prod.missed");

/* written by: reader; cons with release, after the last read of what it frees */
struct vnc_tap_cons {
	uint32_t cons;                  /* 0x00 bytes of events read, free-running, a multiple of 64 */
	uint8_t pad[60];
};
_Static_assert(sizeof(struct vnc_tap_cons) == 64, "tap_cons");
_Static_assert(offsetof(struct vnc_tap_cons, cons) == 0, "tap_cons.cons");

/* written by: pump; complete before prod covers it; the packet's bytes follow, padded to a multiple of 64 */
struct vnc_tap_event {
	uint32_t size;                  /* 0x00 bytes with what follows, a multiple of 64 */
	uint8_t stage;                  /* 0x04 READ, COMMIT, ... */
	uint8_t drop;                   /* 0x05 word of the drop in this pump's ledger; 0: not dropped */
	uint16_t flags;                 /* 0x06 VNET, NOSEQ, ETHERNET */
	uint64_t time;                  /* 0x08 CLOCK_MONOTONIC in nanoseconds: the step is done */
	uint64_t generation;            /* 0x10 this side's epoch << 32 | the peer's */
	uint32_t seq;                   /* 0x18 number of the record in its generation */
	uint32_t len;                   /* 0x1c bytes of the packet without virtio_net_hdr; records of PUBLISH and RELEASE */
	uint32_t index;                 /* 0x20 prod, or cons, afterwards */
	uint32_t kept;                  /* 0x24 bytes of the packet that follow */
	uint64_t before;                /* 0x28 when the step could begin, as time; 0: not known */
	uint8_t vnet[10];               /* 0x30 the virtio_net_hdr */
	uint16_t queue;                 /* 0x3a of the pump */
	uint32_t value;                 /* 0x3c see the stage */
};
_Static_assert(sizeof(struct vnc_tap_event) == 64, "tap_event");
_Static_assert(offsetof(struct vnc_tap_event, size) == 0, "tap_event.size");
_Static_assert(offsetof(struct vnc_tap_event, stage) == 4, "tap_event.stage");
_Static_assert(offsetof(struct vnc_tap_event, drop) == 5, "tap_event.drop");
_Static_assert(offsetof(struct vnc_tap_event, flags) == 6, "tap_event.flags");
_Static_assert(offsetof(struct vnc_tap_event, time) == 8, "tap_event.time");
_Static_assert(offsetof(struct vnc_tap_event, generation) == 16, "tap_event.generation");
_Static_assert(offsetof(struct vnc_tap_event, seq) == 24, "tap_event.seq");
_Static_assert(offsetof(struct vnc_tap_event, len) == 28, "tap_event.len");
_Static_assert(offsetof(struct vnc_tap_event, index) == 32, "tap_event.index");
_Static_assert(offsetof(struct vnc_tap_event, kept) == 36, "tap_event.kept");
_Static_assert(offsetof(struct vnc_tap_event, before) == 40, "tap_event.before");
_Static_assert(offsetof(struct vnc_tap_event, vnet) == 48, "tap_event.vnet");
_Static_assert(offsetof(struct vnc_tap_event, queue) == 58, "tap_event.queue");
_Static_assert(offsetof(struct vnc_tap_event, value) == 60, "tap_event.value");

#endif
