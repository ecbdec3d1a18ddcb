/* SPDX-License-Identifier: MIT */
/*
 * tap_stress SEED COUNT [hostile]: the pump's end of a tap against its reader.
 *
 * The honest reader checks that events come in order, whole, with their bytes, and that their number and that of the
 * missed ones add up.  The hostile reader writes anything into its line and the ring: the writer must neither leave the
 * ring nor stop.
 */
#include "harness.h"
#include "vnc_tap.h"
#include <pthread.h>
#include <sched.h>
#include <time.h>

#define RING 8192u
#define GUARD 4096u
#define MOST 700u
#define EVENTS_A_REST 64
#define REST_NS 200000

static _Alignas(4096) uint8_t room[GUARD + RING + GUARD]; /* the ring between two areas that must not change */
static struct vnc_tap_prod prod;
static struct vnc_tap_cons cons;
static struct vnc_tap tap = {.ring = room + GUARD, .size = RING, .own = &prod, .reader = &cons,
			     .stages = 1u << VNC_TAP_READ, .bytes_of = 1u << VNC_TAP_READ, .snap = MOST, .sample = 1};
static uint32_t count, done;
static uint64_t seed_of[2];

static void *writer(void *arg)
{
	struct vnc_taps taps = {.stages = tap.stages, .count = 1, .tap = {&tap}};
	uint64_t *random = arg;
	uint8_t packet[MOST];
	uint32_t n, at, len, cut;

	for (n = 0; n < count; n++) {
		len = 1 + below(random, MOST);
		cut = below(random, len + 1); /* the length of the packet's first piece */
		for (at = 0; at < len; at++)
			packet[at] = (uint8_t)(7 * n + at);
		vnc_tap_begin(&taps, n);
		vnc_tap_write(&taps, &(struct vnc_tap_entry){
			.stage = VNC_TAP_READ, .seq = n, .len = len, .time = n, .skip = 0,
			.span = (struct vnc_span[]){{packet, cut}, {packet + cut, len - cut}}});
		if (below(random, 2) == 0)
			sched_yield();
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Check the event at @at and its bytes, as a reader in another process does. Return: its size. */
static uint32_t take(uint32_t at, uint32_t before)
{
	struct vnc_tap_event event;
	uint32_t n;

	memcpy(&event, tap.ring + (at & (RING - 1)), sizeof(event));
	CHECK(event.size >= 64 && event.size % 64 == 0 && event.size <= 64 + MOST + 63);
	CHECK(event.stage == VNC_TAP_READ && event.kept == event.len && event.time == event.seq);
	CHECK((int32_t)(event.seq - before) > 0); /* some may be missing, none occurs twice */
	for (n = 0; n < event.kept; n++)
		CHECK(tap.ring[(at + 64 + n) & (RING - 1)] == (uint8_t)(7 * event.seq + n));
	return event.size;
}

/* It pauses at times, longer than the writer needs to fill the ring: the writer must miss events on any machine. */
static uint32_t honest(void)
{
	const struct timespec rest = {0, REST_NS};
	uint32_t at = 0, end, last, seen = 0, before = UINT32_MAX;

	do {
		last = __atomic_load_n(&done, __ATOMIC_ACQUIRE);
		end = vnc_load32(VNC_COHERENT, &prod.prod);
		while (at != end) {
			struct vnc_tap_event *event = (struct vnc_tap_event *)(void *)(tap.ring + (at & (RING - 1)));
			uint32_t seq = event->seq;

			at += take(at, before);
			before = seq;
			seen++;
			vnc_store32(VNC_COHERENT, &cons.cons, at);
			if (seen % EVENTS_A_REST == 0)
				nanosleep(&rest, NULL);
		}
	} while (!last);
	CHECK(seen == prod.noted);
	CHECK(prod.noted + prod.missed == count);
	return seen;
}

static uint32_t hostile(uint64_t *random)
{
	uint32_t n, end;

	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		/* often this leaves some room, so that events are written */
		end = __atomic_load_n(&tap.prod, __ATOMIC_RELAXED);
		__atomic_store_n(&cons.cons, below(random, 2) ? end - below(random, RING) : (uint32_t)rnd(random),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&prod.prod, (uint32_t)rnd(random), __ATOMIC_RELAXED);
		for (n = 0; n < 8; n++)
			__atomic_store_n(&tap.ring[below(random, RING)], 0xff, __ATOMIC_RELAXED);
	}
	for (n = 0; n < GUARD; n++)
		CHECK(room[n] == 0xa5 && room[GUARD + RING + n] == 0xa5);
	CHECK(tap.written + tap.missed == count);
	return (uint32_t)tap.written;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	uint32_t seen;

	CHECK(argc >= 3);
	seed_of[0] = seeded(argv[1]);
	seed_of[1] = seed_of[0] ^ 0x5555;
	count = (uint32_t)strtoul(argv[2], NULL, 0);
	memset(room, 0xa5, GUARD);
	memset(room + GUARD + RING, 0xa5, GUARD);
	CHECK(!pthread_create(&thread, NULL, writer, &seed_of[0]));
	seen = argc > 3 ? hostile(&seed_of[1]) : honest();
	CHECK(!pthread_join(thread, NULL));
	CHECK(seen > 0);
	printf("seen %u, missed %llu\nok\n", seen, (unsigned long long)tap.missed);
	return 0;
}
