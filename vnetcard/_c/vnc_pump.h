/* SPDX-License-Identifier: MIT */
/**
 * DOC: a pump moves packets between a port (a file descriptor) and one end of a FIFO.
 *
 * A tx pump moves from the port into a ring, an rx pump from a ring into the port.  Each has one thread, which runs no
 * Python and allocates nothing.  The agent commands it:
 *
 *   HOLD   touch neither port nor ring; only in HOLD may the agent reset indices and change @link
 *   DROP   (tx only) take packets from the port and count them as dropped; the ring is not touched
 *   RUN    move packets
 *   EXIT   return
 *
 * vnc_pump_command() returns once the command is in force.  On its own a pump changes only from RUN to HOLD, and
 * raises an event that says why: the peer has a new epoch, the peer violated the format, or the port is gone.
 *
 * The files call only downwards:
 *
 *   vnc_pump_thread.c   the main loop: moves until a move stops, then waits in the way that the reason asks for
 *   vnc_inline.c        moves packets of the partner, the other pump of the same side, while its thread sleeps
 *   vnc_tx.c, vnc_rx.c  move up to N packets and return why they stopped; they never wait
 *   vnc_pump_core.c     commands, events, the lock, entries for taps
 */
#ifndef VNC_PUMP_H
#define VNC_PUMP_H
#include "vnc_busypoll.h"
#include "vnc_doorbell.h"
#include "vnc_filter.h"
#include "vnc_finish.h"
#include "vnc_ledger.h"
#include "vnc_neighbour.h"
#include "vnc_offload.h"
#include "vnc_ring.h"
#include "vnc_rings.h"
#include "vnc_stats.h"
#include "vnc_tap.h"
#include "vnc_wait.h"
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#define VNC_MERGE_UDP 1u
#define VNC_MERGE_TCP4 2u
#define VNC_MERGE_TCP6 4u

enum vnc_command { VNC_HOLD, VNC_DROP_LINK_DOWN, VNC_DROP_PEER_DEAD, VNC_RUN, VNC_EXIT };

#define VNC_EVENT_EPOCH 1u     /* the peer has a new epoch */
#define VNC_EVENT_VIOLATION 2u /* the peer violated the format; counted under viol_* */
#define VNC_EVENT_PORT_GONE 4u /* the port does not exist any more */
#define VNC_EVENT_REFUSED 8u   /* the port refused an offload kind: see @refused */
#define VNC_EVENT_WINDOW_LOST 16u /* a part of the window's memory is missing: see @lost */

/** enum vnc_wake_mode - how a pump wakes the peer's pump, and is woken by it. */
enum vnc_wake_mode {
	VNC_WAKE_NONE,  /* not at all: each polls, at growing intervals */
	VNC_WAKE_FUTEX, /* by a futex on the index that moved */
	VNC_WAKE_IRQ,   /* by an interrupt */
};

/** enum vnc_stop - why a move stopped. */
enum vnc_stop {
	VNC_STOP_NONE = 0,   /* it did not: it moved as many packets as it was asked to */
	VNC_STOP_COMMAND,    /* another command waits */
	VNC_STOP_PORT_EMPTY, /* tx: the port has no packet now */
	VNC_STOP_PORT_FULL,  /* rx: the port takes no packet now; the record stays in the ring */
	VNC_STOP_PORT_GONE,  /* the port failed with @last_errno */
	VNC_STOP_RING_EMPTY, /* rx */
	VNC_STOP_RING_FULL,  /* tx: no room for the largest packet */
	VNC_STOP_EPOCH,      /* the peer has a new epoch */
	VNC_STOP_VIOLATION,  /* the peer violated the format; it is counted */
	VNC_STOP_WINDOW_LOST, /* a part of the window's memory is missing */
};

/** struct vnc_port - what a pump knows of its port. */
struct vnc_port {
	int fd;    /* non-blocking; a read or write moves one whole packet */
	struct vnc_rings *rings; /* have the packets, and @fd is an epoll(7) descriptor of their eventfd; NULL: none */
	bool vnet; /* a virtio_net_hdr precedes each packet */
	bool ethernet; /* a packet is an Ethernet frame, else an IP packet */
	bool packet_socket; /* AF_PACKET: hands over whatever its interface has, see vnc_tx_socket.h */
	struct vnc_neighbours *neighbours; /* of an interface whose frames are IP packets in the ring; NULL: none */
};

enum { VNC_PUNT_PROGRAM, VNC_PUNT_SENT, VNC_PUNT_DROPPED, VNC_PUNT_WORDS };

/** struct vnc_punt - which packets go to a program instead of the port, see vnc_punt.h; zeros: none. */
struct vnc_punt {
	/* bpf_filter() of libpcap: @program, a packet's first @have bytes of @len; 0: not picked */
	unsigned int (*run)(const void *program, const uint8_t *packet, unsigned int len, unsigned int have);
	const void *program;
	int fd;          /* a socket of messages */
	bool bypass;     /* without a program the packets go to the port, else they are dropped */
	uint64_t *state; /* shared by all queues: 1 while a program is connected; packets sent to it; dropped */
};

/** struct vnc_link - what the handshake has agreed on; constant while the pump runs. */
struct vnc_link {
	enum vnc_wake_mode wake;
	const uint32_t *peer_epoch;
	uint32_t epoch;      /* the value of *peer_epoch in this generation */
	uint64_t generation; /* own epoch << 32 | peer epoch */
	uint64_t serial;     /* rx: of this generation, see gen_serial in layout.py */
	uint32_t features;   /* VNC_F_* */
	uint32_t packet_max; /* largest packet in bytes, without virtio_net_hdr */
};

/** struct vnc_agreement - the argument of vnc_tx_begin() and vnc_rx_begin(). */
struct vnc_agreement {
	uint32_t own_epoch, peer_epoch, features, packet_max;
	uint64_t serial;
};

/** struct vnc_pump_kind - the words that differ between a tx and an rx pump. */
struct vnc_pump_kind {
	const char *thread_name;
	unsigned int records; /* word of the ledger: records moved */
	/* words of the statistics */
	unsigned int publications, sleeps, irq_wakeups, late_wakeups, busy_ns, moved_at_ns;
};

extern const struct vnc_pump_kind vnc_kind_tx, vnc_kind_rx;

struct vnc_pump {
	const struct vnc_pump_kind *kind;
	enum vnc_domain domain; /* of the ring */
	struct vnc_port port;
	struct vnc_link link;
	union {
		struct vnc_producer producer; /* tx */
		struct vnc_consumer consumer; /* rx */
	};
	uint32_t *lost; /* coherent memory: 1 once a part of it was found missing (vnc_sigbus.h); NULL: not known */
	const uint32_t *peer_index; /* on this the pump sleeps: the peer's cons (tx) or prod (rx) */
	struct vnc_ledger ledger;
	struct vnc_stats stats;
	enum vnc_wait_mode wait;
	bool futex;                      /* the peer's process can wake a futex in this memory */
	int irq_fd;                      /* eventfd of the interrupt that ends this pump's sleep; -1: none */
	struct vnc_irq_trigger peer_irq; /* interrupts the peer's pump; its fd is -1: none */
	struct vnc_doorbell doorbell;    /* of the DMA engine that carries what is published, if there is one */

	pthread_t thread;
	bool started;
	uint32_t command;      /* serial number << 8 | enum vnc_command */
	uint32_t done;         /* the command in force */
	uint32_t events;       /* VNC_EVENT_*, set by the pump, taken by the agent */
	uint32_t refused;      /* VNC_F_* kinds that the port refused */
	int last_errno;        /* of the port's last refusal */
	bool no_buffers;       /* rx: the port was full because of what is behind it, which poll() does not say */
	uint32_t doubtful;     /* set by the agent: the counters in the window may be overwritten */
	uint32_t restored;     /* how often this pump wrote them again */
	bool restarted;        /* those of the earlier owner were ruined: they began at 0 */
	uint32_t segments_max; /* rx: that the kernel may have to make of one record; set by the agent at any time */
	uint32_t merge;        /* rx: VNC_MERGE_*, whose packets are written together (vnc_merge.h); likewise */
	struct vnc_filter filter; /* rx: of packets, changed in HOLD */
	struct vnc_punt punt;  /* rx: changed in HOLD */
	int kick_fd;           /* eventfd that ends the pump's poll() */
	int attention_fd;      /* eventfd that ends the agent's poll() */
	/* the other pump of this side, whose packets this one's thread may move; NULL: none */
	struct vnc_pump *partner;
	uint32_t locked;       /* 1 while a thread, its own or its partner's, moves packets of this pump */
	uint32_t asked;        /* tx: prod when the port was last empty */
	struct vnc_busypoll busypoll; /* tx: whether to wait awake for an answer */
	bool armed;            /* tx: the place at prod is armed, see vnc_tx.c */
	/* tx, of a packet socket: what is still to be sent of its last frame; rx: of a punted packet */
	struct vnc_finish finish;
	struct vnc_vnet_hdr finish_hdr; /* ... and what precedes each packet of it */
	struct vnc_view refused_record; /* rx: what the port did not take yet; len 0: none */
	/* the thread's own: not the partner's, which moves packets of this pump */
	struct vnc_pause pause;
	struct vnc_yields yields;
	uint32_t late_ms;      /* of the sleeps in turn whose whole time has passed, at least */
	struct vnc_taps taps;
	struct vnc_taps taps_wanted; /* from the next command on */
	/* for packets that are dropped, or copied from or to device memory */
	uint8_t scratch[VNC_FRAME_MAX + VNC_LINE];
};

/** vnc_pump_l3() - where the IP header of @packet starts, of which 22 bytes are readable. */
static inline uint32_t vnc_pump_l3(const struct vnc_pump *p, const uint8_t *packet)
{
	return p->port.ethernet ? vnc_ip_offset(packet) : 0;
}

/** vnc_pump_lead() - bytes in front of a packet of the port that do not enter the ring as a part of it. */
static inline uint32_t vnc_pump_lead(const struct vnc_pump *p)
{
	return (p->port.vnet ? VNC_VNET_HDR : 0) + (p->port.neighbours ? VNC_ETHERNET_HEADER : 0);
}

static inline bool vnc_pump_is_tx(const struct vnc_pump *p)
{
	return p->kind == &vnc_kind_tx;
}

/** vnc_pump_records() - how many records the pump has moved, in all generations. */
static inline uint64_t vnc_pump_records(const struct vnc_pump *p)
{
	return p->ledger.now[p->kind->records];
}

/** vnc_pump_commanded() - does a command other than @command wait? */
static inline bool vnc_pump_commanded(const struct vnc_pump *p, uint32_t command)
{
	return __atomic_load_n(&p->command, __ATOMIC_ACQUIRE) != command;
}

/** vnc_pump_window_lost() - was a part of the window's memory found missing? */
static inline bool vnc_pump_window_lost(const struct vnc_pump *p)
{
	return p->lost && __atomic_load_n(p->lost, __ATOMIC_ACQUIRE);
}

/** vnc_pump_faulted() - did a system call of the pump fail, with errno, because memory of the window is missing? */
static inline bool vnc_pump_faulted(struct vnc_pump *p)
{
	if (errno != EFAULT || p->domain != VNC_COHERENT)
		return false;
	if (p->lost)
		__atomic_store_n(p->lost, 1, __ATOMIC_RELEASE);
	return true;
}

/** vnc_pump_epoch_changed() - has the peer a new epoch? */
static inline bool vnc_pump_epoch_changed(const struct vnc_pump *p)
{
	return vnc_load32(p->domain, p->link.peer_epoch) != p->link.epoch; /* (H) pairs with (G) */
}

/* vnc_pump_core.c */
int vnc_pump_open(struct vnc_pump *p, const struct vnc_pump_kind *kind, enum vnc_domain domain, uint64_t *ledger,
		  uint64_t *batches);
void vnc_pump_begin(struct vnc_pump *p, const struct vnc_agreement *with);
void vnc_pump_command(struct vnc_pump *p, enum vnc_command command);
void vnc_pump_set_partner(struct vnc_pump *p, struct vnc_pump *partner);
void vnc_pump_set_taps(struct vnc_pump *p, struct vnc_tap *const *taps, uint32_t count);
uint32_t vnc_pump_take_events(struct vnc_pump *p);
void vnc_pump_restore(struct vnc_pump *p);
uint32_t vnc_pump_check_counters(struct vnc_pump *p);
void vnc_pump_close(struct vnc_pump *p);
void vnc_pump_raise(struct vnc_pump *p, uint32_t event);
void vnc_pump_hold(struct vnc_pump *p, uint32_t event);
bool vnc_pump_hold_if(struct vnc_pump *p, enum vnc_stop stop);
bool vnc_pump_try_lock(struct vnc_pump *p);
void vnc_pump_lock(struct vnc_pump *p);
void vnc_pump_unlock(struct vnc_pump *p);
void vnc_pump_kick(const struct vnc_pump *p);
void vnc_pump_wake_peer(const struct vnc_pump *p, const uint32_t *index);
void vnc_pump_end_batch(struct vnc_pump *p);
void vnc_pump_tap_packet(struct vnc_pump *p, const struct vnc_tap_entry *entry);
void vnc_pump_tap_batch(struct vnc_pump *p, const struct vnc_tap_entry *entry);

/* vnc_tx.c */
int vnc_tx_open(struct vnc_pump *p, const struct vnc_producer *producer, uint64_t *ledger, uint64_t *batches);
void vnc_tx_recover(struct vnc_ledger *l, uint8_t *ring, uint32_t size);
void vnc_tx_begin(struct vnc_pump *p, const struct vnc_agreement *with);
void vnc_tx_reset(struct vnc_pump *p, uint32_t index);
enum vnc_stop vnc_tx_move(struct vnc_pump *p, uint32_t max, uint32_t command);
enum vnc_stop vnc_tx_drop(struct vnc_pump *p, uint32_t command, unsigned int which);

/* vnc_rx.c */
int vnc_rx_open(struct vnc_pump *p, const struct vnc_consumer *consumer, uint64_t *ledger, uint64_t *batches);
void vnc_rx_begin(struct vnc_pump *p, const struct vnc_agreement *with);
void vnc_rx_reset(struct vnc_pump *p, uint32_t index);
enum vnc_stop vnc_rx_move(struct vnc_pump *p, uint32_t max, uint32_t command);

/* vnc_inline.c */
void vnc_inline_tx(struct vnc_pump *tx);
bool vnc_inline_rx(struct vnc_pump *rx, struct vnc_pump *tx, uint32_t command);

/* vnc_pump_thread.c */
int vnc_pump_start(struct vnc_pump *p);
void vnc_pump_step(struct vnc_pump *p, uint32_t command);

#endif
