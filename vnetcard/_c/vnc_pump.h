/* SPDX-License-Identifier: MIT */
/**
 * DOC: a pump moves packets between a port (a file descriptor) and one end of a FIFO.
 *
 * One thread a pump, no Python, no allocation.  The agent commands it:
 *
 *   HOLD   touch neither port nor ring; only in HOLD may the agent reset indices and change @link
 *   DROP   (tx only) take packets from the port and count them as dropped, ring untouched
 *   RUN    move packets
 *   EXIT   return
 *
 * A command is carried out when vnc_pump_command() returns.  On its own a pump only ever goes from RUN to
 * HOLD, and says why in @events: the peer's epoch changed, the peer violated the format, the port is gone.
 */
#ifndef VNC_PUMP_H
#define VNC_PUMP_H
#include "vnc_doorbell.h"
#include "vnc_ledger.h"
#include "vnc_stats.h"
#include "vnc_busypoll.h"
#include "vnc_ring.h"
#include "vnc_tap.h"
#include "vnc_wait.h"
#include <pthread.h>
#include <stdbool.h>

enum vnc_command { VNC_HOLD, VNC_DROP_LINK_DOWN, VNC_DROP_PEER_DEAD, VNC_RUN, VNC_EXIT };

#define VNC_EVENT_EPOCH 1u     /* the peer has a new epoch */
#define VNC_EVENT_VIOLATION 2u /* the peer broke the format; counted under viol_* */
#define VNC_EVENT_PORT_GONE 4u /* the port is no more */
#define VNC_EVENT_REFUSED 8u   /* the port refused an offload kind: see @refused */

/** struct vnc_port - what the pump must know of the file descriptor. */
struct vnc_port {
	int fd;    /* non-blocking; a read or write moves one whole packet */
	bool vnet; /* each packet is led by a virtio_net_hdr */
};

/** struct vnc_link - what the handshake has agreed on; constant while the pump runs. */
struct vnc_link {
	bool unwoken;        /* the sides cannot wake one another: no WAKE, no engine */
	bool belled;         /* they can, by interrupts */
	const uint32_t *peer_epoch;
	uint32_t epoch;      /* what *peer_epoch must read */
	uint64_t generation; /* own epoch << 32 | peer epoch */
	uint64_t serial;     /* rx: of this generation, see gen_serial in layout.py */
	uint32_t features;   /* VNC_F_* */
	uint32_t packet_max; /* largest packet in bytes, without virtio_net_hdr */
};

struct vnc_pump {
	bool tx; /* port to FIFO; else FIFO to port */
	struct vnc_port port;
	struct vnc_link link;
	union {
		struct vnc_producer producer;
		struct vnc_consumer consumer;
	};
	struct vnc_ledger ledger;
	uint64_t *stats;     /* in the window */
	uint64_t counted[VNC_STATS_BYTES / 8]; /* what stands there */
	struct vnc_stats notes;
	enum vnc_wait_mode wait;
	int irq_fd; /* eventfd on which this pump hears the peer's bell; -1: none */
	struct vnc_irq_trigger bell; /* of the peer's pump */
	bool futex; /* somebody wakes this pump when the word changes on which it sleeps */
	struct vnc_doorbell doorbell; /* of the engine that takes what is published across, if there is one */

	pthread_t thread;
	bool started;
	uint32_t command;  /* serial << 8 | enum vnc_command */
	uint32_t done;     /* the last command that was taken up */
	uint32_t events;   /* VNC_EVENT_*, set by the pump, taken by the agent */
	uint32_t refused;  /* VNC_F_* kinds that the port refused */
	int last_errno;    /* of the port's last refusal */
	int kick_fd;       /* eventfd: ends the pump's poll() */
	int attention_fd;  /* eventfd: ends the agent's */
	struct vnc_pump *other; /* of the same side, at whose work this one's thread takes turns; NULL: none */
	uint32_t taken;    /* 1 while a thread is at it, its own or the other one's */
	bool delivered;    /* rx: something since the last turn */
	bool visited;      /* rx: it is the tx pump's thread, which must not sleep here */
	uint32_t asked;    /* tx: prod when the port was last empty */
	struct vnc_busypoll patience;
	bool armed;        /* tx: an intent mark stands at the producer's place */
	long pause_ns;
	struct vnc_taps taps;        /* who looks at what this pump does */
	struct vnc_taps taps_wanted; /* from the next command on */
	uint8_t scratch[VNC_FRAME_MAX + VNC_LINE]; /* packets on their way to or from device memory, or nowhere */
};

/** vnc_pump_domain() - of the memory that the pump moves packets into, or out of. */
static inline enum vnc_domain vnc_pump_domain(const struct vnc_pump *p)
{
	return p->tx ? p->producer.domain : p->consumer.domain;
}

/** vnc_count() - add one to a figure that only this thread writes and others read. */
static inline void vnc_count(struct vnc_pump *p, unsigned int which)
{
	uint64_t value = p->counted[which] + 1;

	__atomic_store_n(&p->counted[which], value, __ATOMIC_RELAXED);
	vnc_put64(vnc_pump_domain(p), &p->stats[which], value);
}

/** vnc_set() - as vnc_count(), to @value. */
static inline void vnc_set(struct vnc_pump *p, unsigned int which, uint64_t value)
{
	__atomic_store_n(&p->counted[which], value, __ATOMIC_RELAXED);
	vnc_put64(vnc_pump_domain(p), &p->stats[which], value);
}

/** vnc_pump_waits() - before a wait: what was moved since the last one was a batch. */
static inline void vnc_pump_waits(struct vnc_pump *p)
{
	uint64_t records = p->ledger.now[p->tx ? VNC_TX_TX_SENT : VNC_RX_RX_RECEIVED];

	if (!vnc_batch_ends(&p->notes, vnc_pump_domain(p), records))
		return;
	vnc_set(p, p->tx ? VNC_TXSTAT_BUSY_NS : VNC_RXSTAT_BUSY_NS, p->notes.busy_ns);
	vnc_set(p, p->tx ? VNC_TXSTAT_MOVED_AT_NS : VNC_RXSTAT_MOVED_AT_NS, vnc_clock_ns(CLOCK_REALTIME_COARSE));
}

/** vnc_pump_spins() - is a change of the peer's index so likely that looking again at once is worth it? */
static inline bool vnc_pump_spins(const struct vnc_pump *p)
{
	return p->wait != VNC_WAIT_SLEEP && p->pause_ns < VNC_PAUSE_BUSY_NS;
}

/** vnc_pump_wakeable() - can the peer wake this pump, and this pump the peer? */
static inline bool vnc_pump_wakeable(const struct vnc_pump *p)
{
	return p->link.belled || (p->futex && !p->link.unwoken);
}

/** vnc_pump_wake() - end the sleep of the peer's pump, which sleeps on @word. */
static inline void vnc_pump_wake(const struct vnc_pump *p, const uint32_t *word)
{
	if (p->link.belled)
		vnc_irq_raise(&p->bell);
	else
		vnc_futex_wake(word);
}

int vnc_pump_start(struct vnc_pump *p);
void vnc_pump_command(struct vnc_pump *p, enum vnc_command command);
void vnc_pump_pair(struct vnc_pump *p, struct vnc_pump *other);
void vnc_pump_tap(struct vnc_pump *p, struct vnc_tap *const *taps, uint32_t count);
void vnc_pump_stop(struct vnc_pump *p);
uint32_t vnc_pump_take_events(struct vnc_pump *p);

void vnc_tx_step(struct vnc_pump *p, uint32_t command);
void vnc_tx_recover(struct vnc_pump *p);
void vnc_tx_some(struct vnc_pump *p, uint32_t most, uint32_t command);
void vnc_rx_step(struct vnc_pump *p, uint32_t command);
void vnc_rx_some(struct vnc_pump *p, uint32_t most, uint32_t command);
void vnc_inline_tx(struct vnc_pump *p);
bool vnc_inline_rx(struct vnc_pump *p, struct vnc_pump *tx, uint32_t command);

/* for the two directions */
void vnc_pump_rouse(struct vnc_pump *p, const uint32_t *word);
void vnc_pump_lock(struct vnc_pump *p);
void vnc_pump_unlock(struct vnc_pump *p);
bool vnc_pump_commanded(const struct vnc_pump *p, uint32_t command);
bool vnc_pump_epoch_changed(struct vnc_pump *p);
void vnc_pump_raise(struct vnc_pump *p, uint32_t event);
void vnc_pump_hold(struct vnc_pump *p, uint32_t event);
void vnc_pump_sleep_on_word(struct vnc_pump *p, const uint32_t *word, uint32_t seen);
void vnc_pump_sleep_on_port(struct vnc_pump *p, short events);
void vnc_pump_note_packet(struct vnc_pump *p, const struct vnc_note *what);
void vnc_pump_note_batch(struct vnc_pump *p, unsigned int stage, uint64_t visible, uint32_t notice);

#endif
