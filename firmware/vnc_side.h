/* SPDX-License-Identifier: MIT */
/**
 * DOC: one side of a link in freestanding C: the handshake, the heartbeat, and both rings of queue pair 0.
 *
 * For firmware without an operating system: no allocation, no system calls, no threads, no clock of its own; memcpy and
 * memset are the only external functions.  The owner calls vnc_side_tick() with a time in milliseconds at least every
 * 100 ms and moves packets from the same thread.  The window's format is docs/wire-format.md; the memory must be laid
 * out by the other side's agent already.  It offers no features: records hold whole packets with complete checksums,
 * and both sides poll.
 *
 *   open -> start -> { tick; reserve, fill, commit; peek, use, release } ... -> stop
 */
#ifndef VNC_SIDE_H
#define VNC_SIDE_H
#include "vnc_ledger.h"
#include "vnc_ring.h"

#define VNC_SIDE_HOST 0u
#define VNC_SIDE_CARD 1u
#define VNC_FRAMES_IP 0u
#define VNC_FRAMES_ETHERNET 1u
#define VNC_SIDE_LINK_WORDS 24u

#ifndef VNC_SIDE_PAUSE_MAX_MS
#define VNC_SIDE_PAUSE_MAX_MS 5000u /* the longest pause after what a correct peer never does */
#endif

/** enum vnc_side_state - of the link, as this side sees it. */
enum vnc_side_state {
	VNC_SIDE_DOWN,
	VNC_SIDE_WAITING,   /* for a peer */
	VNC_SIDE_HANDSHAKE,
	VNC_SIDE_UP,        /* packets move */
	VNC_SIDE_PEER_DEAD, /* no heartbeat for a second */
	VNC_SIDE_REFUSED,   /* the peer's version, MTU, frames or layout do not suit */
	VNC_SIDE_PAUSED,    /* after what a correct peer never does */
	VNC_SIDE_GONE,      /* the window reads as all ones: its device is gone */
};

/** enum vnc_side_error - why vnc_side_open() failed. */
enum vnc_side_error {
	VNC_SIDE_OK = 0,
	VNC_SIDE_NO_WINDOW,    /* no magic number: not laid out yet, try again later */
	VNC_SIDE_BAD_VERSION,  /* a wire format that this code does not speak */
	VNC_SIDE_DAMAGED,      /* the superblock's checksum is wrong */
	VNC_SIDE_BAD_GEOMETRY, /* impossible sizes or offsets */
	VNC_SIDE_BAD_MTU,      /* the rings are too small for it */
};

/** struct vnc_side_config - @window is aligned to 64; @seed differs at each start; @name is the
 * machine's for diagnosis, NULL: the caller has written the identity itself. */
struct vnc_side_config {
	uint8_t *window;
	uint64_t bytes;
	uint32_t side;
	enum vnc_domain domain;
	uint32_t mtu;
	uint32_t frames;
	uint32_t seed;
	const char *name;
};

/** struct vnc_side_stats - the statistics of one end: in the window, and what they are. */
struct vnc_side_stats {
	uint64_t *shared;
	uint64_t now[VNC_STATS_BYTES / 8];
};

/** struct vnc_side - private, but for @state, @up, @mtu (in force while up) and the ledgers, which may be read. */
struct vnc_side {
	struct vnc_side_config config;
	enum vnc_side_state state;
	bool up;      /* packets move, and something is behind the peer's port */
	uint32_t mtu;
	struct vnc_side_control *own;
	const struct vnc_side_control *peer;
	struct vnc_producer tx;
	struct vnc_consumer rx;
	struct vnc_ledger tx_ledger, rx_ledger;
	struct vnc_side_stats tx_stats, rx_stats;
	uint64_t link[VNC_SIDE_LINK_WORDS];
	uint32_t layout, random;
	uint32_t epoch, answered;
	uint64_t generation, serial;
	bool agreed, running, violated;
	uint32_t beat, beat_at, ticked_at;
	uint32_t peer_beat, quiet_ms;
	uint32_t resume_at, pause_ms;
};

enum vnc_side_error vnc_side_open(struct vnc_side *s, const struct vnc_side_config *config);
void vnc_side_start(struct vnc_side *s, uint32_t now_ms);
void vnc_side_tick(struct vnc_side *s, uint32_t now_ms);
void vnc_side_stop(struct vnc_side *s);

bool vnc_side_reserve(struct vnc_side *s, uint32_t len, struct vnc_span span[2], bool *full);
void vnc_side_commit(struct vnc_side *s, uint32_t len);
bool vnc_side_peek(struct vnc_side *s, struct vnc_view *view);
void vnc_side_release(struct vnc_side *s, const struct vnc_view *view, unsigned int drop);

/* Many packets with one publication each way: append or retire them, then publish. */
void vnc_side_append(struct vnc_side *s, uint32_t len);
void vnc_side_retire(struct vnc_side *s, const struct vnc_view *view, unsigned int drop);
void vnc_side_publish(struct vnc_side *s);

/* In vnc_side_window.c. */
enum vnc_side_error vnc_side_map(struct vnc_side *s);
void vnc_side_write_identity(const struct vnc_side *s);
void vnc_side_count(struct vnc_side *s, unsigned int counter);

#endif
