/* SPDX-License-Identifier: MIT */
/* Surviving the loss of mapped memory; see vnc_sigbus.h. */
#include "vnc_sigbus.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RANGES 256
#define HUGE_MAX ((size_t)1 << 30) /* the largest huge page */

static struct {
	uint8_t *base; /* NULL: free; set last and cleared first, because the handler takes no lock */
	size_t size;
	uint32_t lost; /* 1 once a page was replaced */
} ranges[RANGES];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction earlier;
static size_t page;

/* Return: the index of the range that @at is in, or -1. */
static int range_of(const uint8_t *at)
{
	const uint8_t *base;

	for (int n = 0; n < RANGES; n++) {
		base = __atomic_load_n(&ranges[n].base, __ATOMIC_ACQUIRE);
		if (base && at >= base && at < base + ranges[n].size)
			return n;
	}
	return -1;
}

/* Put a page of all ones at @at.  In a map of huge pages the kernel replaces no less than one of these. */
static int replace_page(uint8_t *at)
{
	uint8_t *start;

	for (size_t size = page; size <= HUGE_MAX; size *= 2) {
		start = (uint8_t *)((uintptr_t)at & ~(uintptr_t)(size - 1));
		if (range_of(start) != range_of(at))
			return 0;
		if (mmap(start, size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		    start) {
			memset(start, 0xff, size);
			return 1;
		}
	}
	return 0;
}

/* Only system calls and plain stores here: it interrupts any code. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
	int n = range_of(info->si_addr), before = errno;

	(void)context;
	if (n >= 0)
		__atomic_store_n(&ranges[n].lost, 1, __ATOMIC_RELEASE);
	if (n < 0 || !replace_page(info->si_addr))
		sigaction(number, &earlier, NULL); /* the access faults again, and the earlier handler gets it */
	errno = before;
}

static void prepare(void)
{
	struct sigaction ours = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	page = (size_t)sysconf(_SC_PAGESIZE);
	sigaction(SIGBUS, &ours, &earlier);
}

/**
 * vnc_sigbus_add() - protect @size bytes at @base, which start at a page.
 * Return: the range's flag, 1 once a page of it was lost; NULL for the 257th range, which is not protected.
 */
uint32_t *vnc_sigbus_add(uint8_t *base, size_t size)
{
	uint32_t *lost = NULL;

	pthread_once(&once, prepare);
	pthread_mutex_lock(&lock);
	for (int n = 0; n < RANGES; n++)
		if (!ranges[n].base) {
			ranges[n].size = size;
			ranges[n].lost = 0;
			lost = &ranges[n].lost;
			__atomic_store_n(&ranges[n].base, base, __ATOMIC_RELEASE);
			break;
		}
	pthread_mutex_unlock(&lock);
	return lost;
}

/** vnc_sigbus_remove() - end the protection of the range at @base; call it before the range is unmapped. */
void vnc_sigbus_remove(const uint8_t *base)
{
	pthread_mutex_lock(&lock);
	for (int n = 0; n < RANGES; n++)
		if (ranges[n].base == base) {
			__atomic_store_n(&ranges[n].base, NULL, __ATOMIC_RELEASE);
			break;
		}
	pthread_mutex_unlock(&lock);
}
