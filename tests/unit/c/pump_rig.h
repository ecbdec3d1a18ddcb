/* SPDX-License-Identifier: MIT */
/* What the harnesses of pumps share: the memory of one ring with its two ends, and pumps at either end of it. */
#ifndef PUMP_RIG_H
#define PUMP_RIG_H
#include "harness.h"
#include "vnc_pump.h"
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define RIG_PACKET_MAX 1500u

/** struct rig_end - what one end of a FIFO has in a window. */
struct rig_end {
	uint64_t ledger[2 * VNC_LEDGER_WORDS + VNC_STATS_WORDS], batches[VNC_BATCH_WORDS];
};

/** struct rig - one direction of a window, in the memory of this process; starts as zeros. */
struct rig {
	uint8_t ring[VNC_RING_MIN] __attribute__((aligned(64)));
	struct vnc_prod_line prod;
	struct vnc_cons_line cons;
	struct rig_end tx, rx;
	uint32_t epoch;
};

static inline struct vnc_producer rig_producer(struct rig *rig)
{
	return (struct vnc_producer){.ring = rig->ring, .size = sizeof(rig->ring), .frame_max = RIG_PACKET_MAX,
				     .own = &rig->prod, .peer = &rig->cons};
}

static inline struct vnc_consumer rig_consumer(struct rig *rig)
{
	return (struct vnc_consumer){.ring = rig->ring, .size = sizeof(rig->ring), .frame_max = RIG_PACKET_MAX,
				     .own = &rig->cons, .peer = &rig->prod};
}

/* A generation with the epochs 0, in which both sides wake one another. */
static const struct vnc_agreement RIG_AGREEMENT = {.features = VNC_F_WAKE, .packet_max = RIG_PACKET_MAX};

/** rig_open_tx() - a tx pump in HOLD between the descriptor @port and @rig; its thread is not started. */
static inline void rig_open_tx(struct rig *rig, struct vnc_pump *p, int port)
{
	struct vnc_producer producer = rig_producer(rig);

	p->futex = true;
	p->port.fd = port;
	p->link.peer_epoch = &rig->epoch;
	p->attention_fd = eventfd(0, EFD_NONBLOCK);
	CHECK(!vnc_tx_open(p, &producer, rig->tx.ledger, rig->tx.batches));
	vnc_tx_begin(p, &RIG_AGREEMENT);
}

/** rig_open_rx() - an rx pump, likewise. */
static inline void rig_open_rx(struct rig *rig, struct vnc_pump *p, int port)
{
	struct vnc_consumer consumer = rig_consumer(rig);

	p->futex = true;
	p->port.fd = port;
	p->link.peer_epoch = &rig->epoch;
	p->attention_fd = eventfd(0, EFD_NONBLOCK);
	CHECK(!vnc_rx_open(p, &consumer, rig->rx.ledger, rig->rx.batches));
	vnc_rx_begin(p, &RIG_AGREEMENT);
}

/** rig_port() - a port: the pump gets @port[0], the test @port[1]. */
static inline void rig_port(int port[2])
{
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, port));
}

/** rig_push() - the peer sends a record with @number. Return: false when the ring is full. */
static inline bool rig_push(struct vnc_producer *producer, uint32_t number)
{
	struct vnc_span span[2];

	if (vnc_ring_reserve(producer, sizeof(number), span) != VNC_OK)
		return false;
	vnc_ring_write(producer, span, (const uint8_t *)&number, sizeof(number));
	vnc_ring_commit(producer, sizeof(number), 0, 0);
	vnc_producer_publish(producer);
	if (vnc_consumer_sleeps(producer))
		vnc_futex_wake(&producer->own->prod);
	return true;
}

/** rig_pop() - the peer takes the oldest record. Return: its number, or -1 when there is none. */
static inline int64_t rig_pop(struct vnc_consumer *consumer)
{
	struct vnc_view view;
	uint32_t number;

	if (vnc_ring_peek(consumer, &view) != VNC_OK) {
		CHECK(vnc_consumer_refresh(consumer) != VNC_BAD_INDEX);
		if (vnc_ring_peek(consumer, &view) != VNC_OK)
			return -1;
	}
	CHECK(view.len == sizeof(number));
	vnc_ring_read(consumer, &view, (uint8_t *)&number);
	vnc_ring_release(consumer, view.len);
	vnc_consumer_publish(consumer);
	if (vnc_producer_sleeps(consumer))
		vnc_futex_wake(&consumer->own->cons);
	return number;
}

/** rig_send() - a packet with @number comes in at the port. Return: false when the port is full. */
static inline bool rig_send(const int port[2], uint32_t number)
{
	return write(port[1], &number, sizeof(number)) == sizeof(number);
}

/** rig_receive() - take the oldest packet that the pump has written. Return: its number, or -1 when there is none. */
static inline int64_t rig_receive(const int port[2])
{
	uint32_t number;

	return read(port[1], &number, sizeof(number)) == sizeof(number) ? (int64_t)number : -1;
}

#endif
