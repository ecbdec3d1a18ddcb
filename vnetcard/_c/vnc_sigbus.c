/* SPDX-License-Identifier: MIT */
/* Surviving the loss of mapped memory; see vnc_sigbus.h. */
#include "vnc_sigbus.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RANGES 64

static struct {
	uint8_t *base; /* NULL: free; set last and cleared first, because the handler takes no lock */
	size_t size;
} ranges[RANGES];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction earlier;
static size_t page;

static int is_added(const uint8_t *at)
{
	const uint8_t *base;

	for (int n = 0; n < RANGES; n++) {
		base = __atomic_load_n(&ranges[n].base, __ATOMIC_ACQUIRE);
		if (base && at >= base && at < base + ranges[n].size)
			return 1;
	}
	return 0;
}

/* Only system calls and plain stores here: it interrupts any code. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
	uint8_t *at = info->si_addr, *start = (uint8_t *)((uintptr_t)at & ~(uintptr_t)(page - 1));

	(void)context;
	if (is_added(at) &&
	    mmap(start, page, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == start)
		memset(start, 0xff, page);
	else
		sigaction(number, &earlier, NULL); /* the access faults again, and the earlier handler gets it */
}

static void prepare(void)
{
	struct sigaction ours = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	page = (size_t)sysconf(_SC_PAGESIZE);
	sigaction(SIGBUS, &ours, &earlier);
}

/** vnc_sigbus_add() - protect @size bytes at @base, which start at a page; the 65th range is not protected. */
void vnc_sigbus_add(uint8_t *base, size_t size)
{
	pthread_once(&once, prepare);
	pthread_mutex_lock(&lock);
	for (int n = 0; n < RANGES; n++)
		if (!ranges[n].base) {
			ranges[n].size = size;
			__atomic_store_n(&ranges[n].base, base, __ATOMIC_RELEASE);
			break;
		}
	pthread_mutex_unlock(&lock);
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
