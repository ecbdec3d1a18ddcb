/* SPDX-License-Identifier: MIT */
/*
 * pump_handover SEED ROUNDS: two threads move the packets of one tx pump in turn, over checked memory.
 *
 * Each finds the ring full and reads the peer's index, which the other has read since in a newer state.  Whoever gets
 * the pump's lock must not find it in an older one: the index would have gone back, which is a violation.
 */
#include "pump_rig.h"
#include <sys/mman.h>

static struct rig *rig;
static struct vnc_pump p;
static struct vnc_consumer consumer;
static int port[2];
static uint32_t sent, got;

/* Move packets until the ring is full; the last reads the peer's index. */
static void *fill(void *inlined)
{
	uint64_t records = vnc_pump_records(&p), before;

	do {
		before = vnc_pump_records(&p);
		CHECK(rig_send(port, sent++));
		if (inlined) {
			vnc_inline_tx(&p);
		} else {
			vnc_pump_lock(&p);
			vnc_pump_hold_if(&p, vnc_tx_move(&p, 1, VNC_RUN));
			vnc_pump_unlock(&p);
		}
		CHECK(!vnc_pump_take_events(&p) && p.command == VNC_RUN);
	} while (vnc_pump_records(&p) != before);
	CHECK(vnc_pump_records(&p) != records);
	return inlined;
}

static void *empty(void *unused)
{
	int64_t number;

	while ((number = rig_pop(&consumer)) >= 0)
		CHECK(number == got++);
	return unused;
}

static void in_thread(void *(*work)(void *), void *argument)
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, work, argument));
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	size_t size = (sizeof(*rig) + 4095) & ~4095ul;
	uint8_t *back = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vnc_producer producer;
	uint32_t rounds;

	CHECK(argc == 3 && back != MAP_FAILED);
	rounds = (uint32_t)atoi(argv[2]);
	rig = (struct rig *)(void *)vnc_checked_open(back, size, seeded(argv[1]));
	rig_port(port);
	producer = rig_producer(rig);
	producer.domain = VNC_CHECKED;
	consumer = rig_consumer(rig);
	consumer.domain = VNC_CHECKED;
	p.port.fd = port[0];
	p.link.peer_epoch = &rig->epoch;
	p.attention_fd = eventfd(0, EFD_NONBLOCK);
	CHECK(!vnc_tx_open(&p, &producer, rig->tx.ledger, rig->tx.batches));
	vnc_tx_begin(&p, &RIG_AGREEMENT);
	p.command = p.done = VNC_RUN;
	while (rounds--) {
		fill(NULL);
		in_thread(empty, NULL);
		in_thread(fill, &p);
		in_thread(empty, NULL);
	}
	printf("%u packets\n", got);
	return 0;
}
