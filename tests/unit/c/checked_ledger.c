/* SPDX-License-Identifier: MIT */
/*
 * checked_ledger SEED COUNT: a ledger in checked memory, with one thread that counts and one that reads.
 *
 * Prints "ok" when the reader got whole updates only, each at least as new as the one before.
 */
#include "harness.h"
#include "vnc_ledger.h"
#include <pthread.h>
#include <sys/mman.h>

#define BYTES (2 * VNC_LEDGER_SLOT_BYTES)

static uint8_t *back;
static uint64_t seed, readings;
static uint32_t count, done;

static void *write_on(void *unused)
{
	struct vnc_ledger l;

	vnc_ledger_open(&l, VNC_CHECKED, (uint64_t *)(void *)vnc_checked_open(back, BYTES, seed));
	for (uint32_t n = 0; n < count; n++) {
		for (uint32_t word = 1; word < VNC_LEDGER_CHECKSUM; word++)
			l.now[word] = (l.now[0] + 1) * 100 + word;
		vnc_ledger_flip(&l);
		if (below(&seed, 4) == 0) /* so that a reader meets two updates in a row, and gets the processor */
			usleep(below(&seed, 60));
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	return unused;
}

int main(int argc, char **argv)
{
	uint64_t out[VNC_LEDGER_WORDS], newest = 0, *front;
	pthread_t writer;

	CHECK(argc == 3);
	seed = seeded(argv[1]);
	count = (uint32_t)atol(argv[2]);
	back = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(back != MAP_FAILED);
	front = (uint64_t *)(void *)vnc_checked_open(back, BYTES, seed + 1);
	CHECK(!pthread_create(&writer, NULL, write_on, NULL));
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		vnc_ledger_read(VNC_CHECKED, front, out);
		for (uint32_t word = 1; out[0] && word < VNC_LEDGER_CHECKSUM; word++)
			CHECK(out[word] == out[0] * 100 + word);
		CHECK(out[0] >= newest);
		newest = out[0];
		readings++;
	}
	pthread_join(writer, NULL);
	CHECK(readings > 100 && newest > 100);
	puts("ok");
	return 0;
}
