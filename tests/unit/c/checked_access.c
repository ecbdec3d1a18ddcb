/* SPDX-License-Identifier: MIT */
/* checked_access NAME: one access to checked memory; the process must not survive one that breaks the rules. */
#include "harness.h"
#include "vnc_barrier.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define SIZE 4096u
#define TRIES 1000u

static uint8_t *back, *mine, *peers;

static uint64_t at_back(uint32_t offset)
{
	return __atomic_load_n((uint64_t *)(void *)(back + offset), __ATOMIC_RELAXED);
}

/* How many of TRIES stores were in the memory after @barrier (none, or WMB), with nothing else in between. */
static uint32_t arrived(int barrier)
{
	uint32_t n, seen = 0;

	for (n = 1; n <= TRIES; n++) {
		vnc_put64(VNC_CHECKED, (uint64_t *)(void *)mine, n);
		if (barrier)
			vnc_wmb(VNC_CHECKED);
		seen += at_back(0) == n;
		vnc_wmb(VNC_CHECKED);
	}
	return seen;
}

/* How often, of two stores, the second one was in the memory and the first was not. */
static uint32_t overtook(int barrier)
{
	uint32_t n, seen = 0;

	for (n = 1; n <= TRIES; n++) {
		vnc_put64(VNC_CHECKED, (uint64_t *)(void *)mine, n);
		if (barrier)
			vnc_wmb(VNC_CHECKED);
		vnc_put64(VNC_CHECKED, (uint64_t *)(void *)(mine + 64), n);
		seen += at_back(64) == n && at_back(0) != n;
		vnc_wmb(VNC_CHECKED);
	}
	return seen;
}

int main(int argc, char **argv)
{
	volatile uint8_t *front;
	const char *what = argc == 2 ? argv[1] : "";
	char zero[64] = {0};

	back = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mine = vnc_checked_open(back, SIZE, 1);
	peers = vnc_checked_open(back, SIZE, 2);
	front = mine;
	if (!strcmp(what, "waits"))
		CHECK(arrived(0) < TRIES && arrived(0) > 0 && arrived(1) == TRIES);
	else if (!strcmp(what, "overtakes"))
		CHECK(overtook(0) > 0 && overtook(1) == 0);
	else if (!strcmp(what, "own")) {
		for (uint32_t n = 1; n <= TRIES; n++) {
			vnc_put32(VNC_CHECKED, (uint32_t *)(void *)(mine + 4), n);
			CHECK(vnc_get32(VNC_CHECKED, (uint32_t *)(void *)(mine + 4)) == n);
			vnc_put32(VNC_CHECKED, (uint32_t *)(void *)mine, ~n);
			CHECK(vnc_get64(VNC_CHECKED, (uint64_t *)(void *)mine) == ((uint64_t)n << 32 | (uint32_t)~n));
		}
		vnc_full_fence(VNC_CHECKED);
		CHECK(vnc_get32(VNC_CHECKED, (uint32_t *)(void *)(peers + 4)) == TRIES);
		CHECK(vnc_checked_loads(mine, 0, 64) == 2 * TRIES && vnc_checked_loads(peers, 0, SIZE) == 1);
	} else if (!strcmp(what, "kernel"))
		CHECK(read(open("/dev/zero", O_RDONLY), mine, 64) < 0 && errno == EFAULT);
	else if (!strcmp(what, "unaligned"))
		vnc_get64(VNC_CHECKED, (uint64_t *)(void *)(mine + 4));
	else if (!strcmp(what, "unaligned store"))
		vnc_put32(VNC_CHECKED, (uint32_t *)(void *)(mine + 2), 1);
	else if (!strcmp(what, "beyond"))
		vnc_get64(VNC_CHECKED, (uint64_t *)(void *)(mine + SIZE));
	else if (!strcmp(what, "plain load"))
		(void)front[8];
	else if (!strcmp(what, "memset"))
		memset(mine, 0, SIZE);
	else if (!strcmp(what, "memcpy"))
		memcpy(mine, zero, 61);
	else
		return 2;
	puts("ok");
	return 0;
}
