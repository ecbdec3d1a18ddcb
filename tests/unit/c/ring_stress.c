/* SPDX-License-Identifier: MIT */
/*
 * ring_stress SEED COUNT [SIZE]: two threads at one ring, which sleep and wake each other as pumps do.
 *
 * Prints "ok" when COUNT records arrived whole and in order.  A lost wake-up is found by the watchdog: sleeps have no
 * time limit here.
 *
 * -DBREAK_RELEASE     publishes indices by plain stores: TSan must report it
 * -DBREAK_RECHECK     sleeps without the last load of the index: must hang
 * -DBREAK_WAKEUP      never wakes: must hang
 */
#include "harness.h"
#include "vnc_ring.h"
#include "vnc_wait.h"
#include <pthread.h>
#include <string.h>

#define FRAME_MAX 700u
#define WATCH_S 5

static struct vnc_prod_line prod_line __attribute__((aligned(128)));
static struct vnc_cons_line cons_line __attribute__((aligned(128)));
static struct vnc_producer producer;
static struct vnc_consumer consumer;
static uint32_t count, arrived;
static uint64_t sleeps[2];
static uint64_t random_p, random_c;

static uint32_t len_of(uint32_t n)
{
	return 8 + (n * 2654435761u >> 16) % (FRAME_MAX - 7);
}

static uint8_t byte_of(uint32_t n, uint32_t at)
{
	return (uint8_t)(n * 13 + at);
}

static void sleep_on(const uint32_t *word, uint32_t seen)
{
	syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0); /* without a time limit */
}

static void delay(uint64_t *random)
{
	for (uint32_t n = below(random, 64) ? 0 : below(random, 2000); n; n--)
		vnc_cpu_relax();
}

static void publish_prod(void)
{
#ifdef BREAK_RELEASE
	producer.published = producer.prod;
	__atomic_store_n(&prod_line.prod, producer.prod, __ATOMIC_RELAXED);
#else
	if (!vnc_producer_publish(&producer))
		return;
#endif
#ifndef BREAK_WAKEUP
	if (vnc_consumer_sleeps(&producer))
		vnc_futex_wake(&prod_line.prod);
#endif
}

static void wait_for_room(uint32_t len)
{
	struct vnc_span span[2];

	vnc_store32(producer.domain, &prod_line.need_wakeup, 1);
#ifndef BREAK_RECHECK
	vnc_full_fence(producer.domain);
	if (vnc_ring_reserve(&producer, len, span) == VNC_FULL)
#else
	delay(&random_p); /* the peer moves on meanwhile, and we read its new index as "seen" */
	(void)len, (void)span;
	producer.cons = vnc_load32(producer.domain, &cons_line.cons);
#endif
	{
		sleeps[0]++;
		sleep_on(&cons_line.cons, producer.cons);
	}
	vnc_store32(producer.domain, &prod_line.need_wakeup, 0);
}

static void *produce(void *unused)
{
	uint8_t packet[FRAME_MAX];
	struct vnc_span span[2];
	enum vnc_ring_result got;
	uint32_t n, at, len;

	for (n = 0; n < count; n++) {
		len = len_of(n);
		while ((got = vnc_ring_reserve(&producer, len, span)) == VNC_FULL)
			wait_for_room(len);
		CHECK(got == VNC_OK);
		for (at = 0; at < len; at++)
			packet[at] = byte_of(n, at);
		vnc_ring_write(&producer, span, packet, len);
		vnc_ring_commit(&producer, len, 0, 0);
		publish_prod();
		delay(&random_p);
	}
	return unused;
}

static void wait_for_record(void)
{
	vnc_store32(consumer.domain, &cons_line.need_wakeup, 1);
#ifndef BREAK_RECHECK
	vnc_full_fence(consumer.domain);
	if (vnc_consumer_refresh(&consumer) == VNC_EMPTY)
#else
	delay(&random_c);
	consumer.prod = vnc_load32(consumer.domain, &prod_line.prod);
#endif
	{
		sleeps[1]++;
		sleep_on(&prod_line.prod, consumer.prod);
	}
	vnc_store32(consumer.domain, &cons_line.need_wakeup, 0);
}

static void *consume(void *unused)
{
	uint8_t packet[FRAME_MAX];
	enum vnc_ring_result got;
	struct vnc_view view;
	uint32_t n = 0, at;

	while (n < count) {
		got = vnc_ring_peek(&consumer, &view);
		if (got == VNC_EMPTY && vnc_consumer_refresh(&consumer) == VNC_EMPTY)
			wait_for_record();
		if (got == VNC_EMPTY)
			continue;
		CHECK(got == VNC_OK);
		CHECK(view.len == len_of(n));
		vnc_ring_read(&consumer, &view, packet);
		for (at = 0; at < view.len; at++)
			CHECK(packet[at] == byte_of(n, at));
		vnc_ring_release(&consumer, view.len);
		if (vnc_consumer_publish(&consumer) && vnc_producer_sleeps(&consumer))
			vnc_futex_wake(&cons_line.cons);
		__atomic_store_n(&arrived, ++n, __ATOMIC_RELAXED);
		delay(&random_c);
	}
	return unused;
}

static void *watch(void *unused)
{
	uint32_t before = 0, now, still = 0;

	while (still++ < WATCH_S * 10) {
		usleep(100000);
		now = __atomic_load_n(&arrived, __ATOMIC_RELAXED);
		still = now == before ? still : 0;
		before = now;
	}
	fprintf(stderr, "%u of %u arrived\n", before, count);
	hung("nothing moves");
	return unused;
}

int main(int argc, char **argv)
{
	uint32_t size = argc > 3 ? (uint32_t)atoi(argv[3]) : VNC_RING_MIN;
	pthread_t tx, rx, dog;

	random_p = seeded(argc > 1 ? argv[1] : "1");
	random_c = random_p ^ 0x5555;
	count = argc > 2 ? (uint32_t)atoi(argv[2]) : 100000;
	producer = (struct vnc_producer){.ring = aligned_alloc(64, size), .size = size, .frame_max = FRAME_MAX,
					 .own = &prod_line, .peer = &cons_line};
	consumer = (struct vnc_consumer){.ring = producer.ring, .size = size, .frame_max = FRAME_MAX,
					 .own = &cons_line, .peer = &prod_line};
	vnc_producer_reset(&producer, 0u - 64 * size); /* so that the indices pass 2^32 */
	vnc_consumer_reset(&consumer, 0u - 64 * size);
	pthread_create(&dog, NULL, watch, NULL);
	pthread_detach(dog);
	pthread_create(&rx, NULL, consume, NULL);
	pthread_create(&tx, NULL, produce, NULL);
	pthread_join(tx, NULL);
	pthread_join(rx, NULL);
	printf("sleeps: producer %llu, consumer %llu\nok\n", (unsigned long long)sleeps[0],
	       (unsigned long long)sleeps[1]);
	return 0;
}
