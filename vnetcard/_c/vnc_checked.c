/* SPDX-License-Identifier: MIT */
/* Memory that uses every freedom that device memory has, for tests; see vnc_checked.h. */
#include "vnc_checked.h"
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LINE 64
#define PENDING_MAX 64
#define EARLY_MAX 65536 /* larger windows have no early loads: each RMB copies all of it */
#define NAP_NS 20000 /* at most, between two stores that leave: time for another thread to load */

/* One checked memory; @loads counts by line. */
struct facade {
	uint8_t *front, *back;
	size_t size;
	uint32_t *loads;
	struct facade *next;
};

static struct facade *facades;
static pthread_rwlock_t facades_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct sigaction earlier;

/* A store that has not left: the bits of @mask in the word at @word of a back, stored through @front. */
struct pending {
	const uint8_t *front;
	uint64_t *word, value, mask;
};

static __thread struct {
	struct pending store[PENDING_MAX];
	unsigned int count;
	const uint8_t *front; /* last accessed: in a test one thread may be both sides, and a barrier has no address */
	/* What an early load of the memory at @early_front returns, except for the words accessed since. */
	const uint8_t *early_front;
	uint64_t early[EARLY_MAX / 8];
	bool accessed[EARLY_MAX / 8];
	uint64_t random;
	bool registered; /* with the key below */
} mine;

static pthread_key_t at_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t seeds = 1;

static struct facade *find(const void *at)
{
	struct facade *f;

	for (f = facades; f; f = f->next)
		if ((const uint8_t *)at >= f->front && (const uint8_t *)at < f->front + f->size)
			return f;
	return NULL;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	static const char text[] = "vnetcard: an access to the checked window breaks the rules of device memory "
				   "(vnc_access.h)\n";

	(void)context;
	if (find(info->si_addr) && write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
		/* the core dump shows it nevertheless */
	}
	sigaction(number, &earlier, NULL); /* it faults again when we return */
}

/* ---- pending stores ---------------------------------------------------------------------------- */

static unsigned int chance(unsigned int of)
{
	mine.random ^= mine.random << 13; /* xorshift64 */
	mine.random ^= mine.random >> 7;
	mine.random ^= mine.random << 17;
	return (unsigned int)(mine.random >> 33) % of;
}

/* Carry out pending store @n as one transaction of 4 or 8 bytes.  Its memory may be closed by now. */
static void leave(unsigned int n)
{
	struct pending p = mine.store[n];
	struct facade *f;

	mine.store[n] = mine.store[--mine.count];
	pthread_rwlock_rdlock(&facades_lock);
	for (f = facades; f; f = f->next)
		if ((uint8_t *)p.word >= f->back && (uint8_t *)p.word < f->back + f->size)
			break;
	if (f && p.mask == UINT64_MAX)
		__atomic_store_n(p.word, p.value, __ATOMIC_SEQ_CST);
	else if (f)
		__atomic_store_n((uint32_t *)p.word + (p.mask >> 32 ? 1 : 0),
				 (uint32_t)(p.mask >> 32 ? p.value >> 32 : p.value), __ATOMIC_SEQ_CST);
	pthread_rwlock_unlock(&facades_lock);
}

static void all_leave(void *unused)
{
	(void)unused;
	while (mine.count)
		leave(chance(mine.count));
}

static void prepare(void)
{
	struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

	pthread_key_create(&at_exit, all_leave);
	sigaction(SIGSEGV, &ours, &earlier);
}

static void prepare_thread(void)
{
	if (mine.registered)
		return;
	mine.registered = true;
	mine.random = __atomic_add_fetch(&seeds, 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED) | 1;
	pthread_setspecific(at_exit, &mine);
}

/* Choose a pending store through @front. Return: its number, or mine.count when there is none. */
static unsigned int any_of(const uint8_t *front)
{
	unsigned int start = mine.count ? chance(mine.count) : 0, n;

	for (n = 0; n < mine.count; n++)
		if (mine.store[(start + n) % mine.count].front == front)
			return (start + n) % mine.count;
	return mine.count;
}

/** vnc_checked_barrier() - WMB or MB: carry out all pending stores of this thread, in any order. */
void vnc_checked_barrier(void)
{
	bool slow = mine.count > 1 && chance(4) == 0;
	struct timespec nap = {.tv_nsec = 0};
	unsigned int n;

	while ((n = any_of(mine.front)) < mine.count) {
		leave(n);
		nap.tv_nsec = slow ? 1 + (long)chance(NAP_NS) : 0;
		if (slow && mine.count && chance(3) == 0)
			nanosleep(&nap, NULL);
	}
}

/* ---- early loads ------------------------------------------------------------------------------- */

/* No later load of this thread from @f is older than now. */
static void take_snapshot(const struct facade *f)
{
	mine.early_front = f && f->size <= EARLY_MAX ? f->front : NULL;
	if (!mine.early_front)
		return;
	memcpy(mine.early, f->back, f->size);
	memset(mine.accessed, 0, f->size / 8);
}

/** vnc_checked_rmb() - no later load of this thread is older than now. */
void vnc_checked_rmb(void)
{
	pthread_rwlock_rdlock(&facades_lock);
	take_snapshot(find(mine.front));
	pthread_rwlock_unlock(&facades_lock);
}

/* Mark the word at the front address @at as accessed. Return: may a load of it still be early? */
static bool early(const void *at, size_t *word)
{
	bool first;

	*word = (size_t)((const uint8_t *)at - mine.front) / 8;
	if (mine.early_front != mine.front)
		return false;
	first = !mine.accessed[*word];
	mine.accessed[*word] = true;
	return first;
}

/* ---- accesses ---------------------------------------------------------------------------------- */

/* The address in the back for @at; a bad one ends the process. */
static uint8_t *reach(const void *at, unsigned int bytes, uint32_t **loads)
{
	struct facade *f;
	size_t offset;

	pthread_rwlock_rdlock(&facades_lock);
	f = find(at);
	pthread_rwlock_unlock(&facades_lock);
	offset = f ? (size_t)((const uint8_t *)at - f->front) : 0;
	if (!f || offset % bytes || offset + bytes > f->size) {
		fprintf(stderr, "vnetcard: an access of %u bytes at offset %#zx of a checked window: %s\n", bytes,
			offset, f ? "device memory faults on that" : "it is not mapped");
		abort();
	}
	prepare_thread();
	if (mine.front != f->front)
		take_snapshot(f);
	mine.front = f->front;
	*loads = &f->loads[offset / LINE];
	return f->back + offset;
}

/** vnc_checked_load() - load 4 or 8 bytes at the front address @at. */
uint64_t vnc_checked_load(const void *at, unsigned int bytes)
{
	uint32_t *loads;
	uint8_t *back = reach(at, bytes, &loads);
	uint64_t *word = (uint64_t *)((uintptr_t)back & ~(uintptr_t)7);
	size_t place;
	unsigned int n;

	if (early(at, &place) && chance(2)) {
		__atomic_fetch_add(loads, 1, __ATOMIC_RELAXED);
		return bytes == 8 ? mine.early[place] : (uint32_t)(mine.early[place] >> 8 * ((uintptr_t)at & 7));
	}
	__atomic_fetch_add(loads, 1, __ATOMIC_RELAXED);
	for (n = 0; n < mine.count; n++)
		if (mine.store[n].word == word && mine.store[n].front == mine.front) {
			leave(n);
			break;
		}
	return bytes == 8 ? __atomic_load_n(word, __ATOMIC_ACQUIRE)
			  : __atomic_load_n((uint32_t *)back, __ATOMIC_ACQUIRE);
}

/** vnc_checked_store() - store 4 or 8 bytes at the front address @at; visible to others after a barrier, or earlier. */
void vnc_checked_store(void *at, uint64_t value, unsigned int bytes)
{
	uint32_t *loads;
	uint8_t *back = reach(at, bytes, &loads);
	unsigned int shift = 8 * ((uintptr_t)back & 7), n;
	size_t place;
	struct pending new = {
		.front = mine.front,
		.word = (uint64_t *)((uintptr_t)back & ~(uintptr_t)7),
		.value = value << shift,
		.mask = (bytes == 8 ? UINT64_MAX : UINT32_MAX) << shift,
	};

	early(at, &place);
	for (n = 0; n < mine.count && (mine.store[n].word != new.word || mine.store[n].front != new.front); n++)
		;
	if (n < mine.count) { /* combined */
		new.value |= mine.store[n].value & ~new.mask;
		new.mask |= mine.store[n].mask;
	} else if (n == PENDING_MAX) {
		leave(chance(mine.count));
		n = mine.count++;
	} else {
		mine.count++;
	}
	mine.store[n] = new;
	if (chance(4) == 0)
		leave(chance(mine.count));
}

/** vnc_checked_loads() - how many loads there were so far in the lines of @bytes at @offset. */
uint64_t vnc_checked_loads(const uint8_t *front, size_t offset, size_t bytes)
{
	struct facade *f;
	uint64_t sum = 0;
	size_t n;

	pthread_rwlock_rdlock(&facades_lock);
	f = find(front);
	for (n = offset / LINE; f && n < (offset + bytes + LINE - 1) / LINE; n++)
		sum += __atomic_load_n(&f->loads[n], __ATOMIC_RELAXED);
	pthread_rwlock_unlock(&facades_lock);
	return sum;
}

/* ---- making one -------------------------------------------------------------------------------- */

/** vnc_checked_open() - make a front for @back. @seed: of all random choices. Return: NULL: no memory. */
uint8_t *vnc_checked_open(uint8_t *back, size_t size, uint64_t seed)
{
	struct facade *f = calloc(1, sizeof(*f));

	pthread_once(&once, prepare);
	if (!f)
		return NULL;
	f->back = back;
	f->size = size;
	f->loads = calloc((size + LINE - 1) / LINE, sizeof(*f->loads));
	f->front = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!f->loads || f->front == MAP_FAILED) {
		if (f->front != MAP_FAILED)
			munmap(f->front, size);
		free(f->loads);
		free(f);
		return NULL;
	}
	__atomic_fetch_add(&seeds, seed, __ATOMIC_RELAXED);
	pthread_rwlock_wrlock(&facades_lock);
	f->next = facades;
	facades = f;
	pthread_rwlock_unlock(&facades_lock);
	return f->front;
}

/** vnc_checked_close() - carry out what this thread has pending, then remove the front. */
void vnc_checked_close(uint8_t *front)
{
	struct facade **at, *f = NULL;

	all_leave(NULL);
	pthread_rwlock_wrlock(&facades_lock);
	for (at = &facades; *at; at = &(*at)->next)
		if ((*at)->front == front) {
			f = *at;
			*at = f->next;
			break;
		}
	pthread_rwlock_unlock(&facades_lock);
	if (!f)
		return;
	munmap(f->front, f->size);
	free(f->loads);
	free(f);
}
