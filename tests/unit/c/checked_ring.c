/* SPDX-License-Identifier: MIT */
/*
 * checked_ring SEED COUNT LOCKSTEP: two threads, one ring in checked memory; each thread is a side with its own front.
 *
 * Prints "ok" when COUNT records arrived whole and in order.  A store that leaves before those that it covers shows as
 * a wrong record; the watchdog finds one that never leaves.  With LOCKSTEP 1 each record waits until the one before has
 * arrived, so that no later store forces an index out.
 */
#include "harness.h"
#include "vnc_ring.h"
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#define WINDOW (VNC_RING_MIN + 2 * VNC_LINE)
#define FRAME_MAX 700u
#define WATCH_S 5

static uint32_t count, arrived;
static int lockstep;
static uint8_t *back;
static uint64_t seed;

static uint32_t len_of(uint32_t n)
{
	return 1 + (n * 2654435761u >> 16) % FRAME_MAX;
}

static void fill(uint8_t *packet, uint32_t n)
{
	for (uint32_t at = 0; at < len_of(n); at++)
		packet[at] = (uint8_t)(n * 13 + at);
}

static void *produce(void *unused)
{
	uint8_t *front = vnc_checked_open(back, WINDOW, seed), packet[FRAME_MAX];
	struct vnc_producer p = {
		.ring = front,
		.size = VNC_RING_MIN,
		.frame_max = FRAME_MAX,
		.domain = VNC_CHECKED,
		.own = (void *)(front + VNC_RING_MIN),
		.peer = (void *)(front + VNC_RING_MIN + VNC_LINE),
	};
	struct vnc_span span[2];

	for (uint32_t n = 0; n < count;) {
		if (vnc_ring_reserve(&p, len_of(n), span) != VNC_OK) {
			usleep(20);
			continue;
		}
		fill(packet, n);
		vnc_ring_write(&p, span, packet, len_of(n));
		vnc_ring_commit(&p, len_of(n), 0, 0);
		vnc_producer_publish(&p);
		n++;
		while (lockstep && __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < n)
			usleep(20);
	}
	while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < count)
		usleep(1000); /* its pending stores would leave when this thread ends */
	return unused;
}

static void *consume(void *unused)
{
	uint8_t *front = vnc_checked_open(back, WINDOW, seed + 1), packet[FRAME_MAX], wanted[FRAME_MAX];
	struct vnc_consumer c = {
		.ring = front,
		.size = VNC_RING_MIN,
		.frame_max = FRAME_MAX,
		.domain = VNC_CHECKED,
		.own = (void *)(front + VNC_RING_MIN + VNC_LINE),
		.peer = (void *)(front + VNC_RING_MIN),
	};
	enum vnc_ring_result got;
	struct vnc_view view;

	for (uint32_t n = 0; n < count;) {
		got = vnc_ring_peek(&c, &view);
		if (got == VNC_EMPTY) {
			got = vnc_consumer_refresh(&c);
			CHECK(got == VNC_OK || got == VNC_EMPTY);
			continue;
		}
		CHECK(got == VNC_OK);
		CHECK(view.len == len_of(n));
		vnc_ring_read(&c, &view, packet);
		fill(wanted, n);
		CHECK(!memcmp(packet, wanted, view.len));
		vnc_ring_release(&c, view.len);
		vnc_consumer_publish(&c);
		__atomic_store_n(&arrived, ++n, __ATOMIC_RELEASE);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread[2];
	uint32_t before;

	CHECK(argc == 4);
	lockstep = atoi(argv[3]);
	seed = seeded(argv[1]);
	count = (uint32_t)atol(argv[2]);
	back = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(back != MAP_FAILED);
	CHECK(!pthread_create(&thread[0], NULL, produce, NULL));
	CHECK(!pthread_create(&thread[1], NULL, consume, NULL));
	do {
		before = __atomic_load_n(&arrived, __ATOMIC_ACQUIRE);
		for (int n = 0; n < WATCH_S * 100 && __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) == before; n++)
			usleep(10000);
		if (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) == before)
			hung("no record arrives any more");
	} while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < count);
	for (int n = 0; n < 2; n++)
		pthread_join(thread[n], NULL);
	puts("ok");
	return 0;
}
