/* SPDX-License-Identifier: MIT */
/*
 * Of vnc_ledger.h: a reader always gets one whole update.
 *
 *   ledger_stress threads SEED COUNT    a writer thread, two readers
 *   ledger_stress kill SEED COUNT       a writer process, killed COUNT times at random moments and succeeded
 *   ledger_stress steps SEED COUNT      a writer process, whose ledger is read after every instruction of COUNT updates
 *
 * -DBREAK_FLIP publishes the stamp before the words: all three must find it.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "vnc_barrier.h"
#include "vnc_ledger.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

static uint64_t *shared;
static uint64_t random_state;
static uint32_t done, reads;

/* Word @n of the update with @stamp. */
static uint64_t word_of(uint64_t stamp, unsigned int n)
{
	return stamp * FACTOR + n;
}

static void check_whole(const uint64_t *out)
{
	for (unsigned int n = 1; out[0] && n < VNC_LEDGER_CHECKSUM; n++)
		CHECK(out[n] == word_of(out[0], n));
}

static void flip(struct vnc_ledger *l)
{
	for (unsigned int n = 1; n < VNC_LEDGER_CHECKSUM; n++)
		l->now[n] = word_of(l->now[0] + 1, n);
#ifdef BREAK_FLIP
	uint64_t *slot = l->shared + VNC_LEDGER_WORDS * (++l->now[0] & 1);

	__atomic_store_n(&slot[0], l->now[0], __ATOMIC_RELEASE);
	for (unsigned int n = 1; n < VNC_LEDGER_WORDS; n++)
		__atomic_store_n(&slot[n], l->now[n], __ATOMIC_RELEASE);
#else
	vnc_ledger_flip(l);
#endif
}

static void *read_on(void *unused)
{
	uint64_t out[VNC_LEDGER_WORDS], newest = 0;

	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		vnc_ledger_read(VNC_COHERENT, shared, out);
		check_whole(out);
		CHECK(out[0] >= newest);
		newest = out[0];
		__atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

static void threads(uint32_t count)
{
	struct vnc_ledger l;
	pthread_t reader[2];

	vnc_ledger_open(&l, VNC_COHERENT, shared);
	for (int n = 0; n < 2; n++)
		pthread_create(&reader[n], NULL, read_on, NULL);
	while (count--) {
		flip(&l);
		for (uint32_t n = below(&random_state, 300); n; n--) /* as a pump does other things between updates */
			vnc_cpu_relax();
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	for (int n = 0; n < 2; n++)
		pthread_join(reader[n], NULL);
	CHECK(reads > 1000);
}

static void kills(uint32_t count)
{
	uint64_t out[VNC_LEDGER_WORDS], before = 0;
	struct timespec pause = {0};
	pid_t child;

	for (; count; count--) {
		child = fork();
		CHECK(child >= 0);
		if (!child) {
			struct vnc_ledger l;

			for (vnc_ledger_open(&l, VNC_COHERENT, shared);;)
				flip(&l);
		}
		pause.tv_nsec = below(&random_state, 600000);
		nanosleep(&pause, NULL);
		kill(child, SIGKILL);
		CHECK(waitpid(child, NULL, 0) == child);
		vnc_ledger_read(VNC_COHERENT, shared, out);
		check_whole(out);
		CHECK(out[0] >= before);
		before = out[0];
	}
	CHECK(before > 1000);
}

/* Step a child through COUNT updates, one machine instruction at a time, and read the ledger after each. */
static void steps(uint32_t count)
{
	uint64_t out[VNC_LEDGER_WORDS], last = 0, readings = 0;
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (!child) {
		struct vnc_ledger l;

		vnc_ledger_open(&l, VNC_COHERENT, shared);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		while (count--)
			flip(&l);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	for (;; readings++) {
		CHECK(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0);
		CHECK(waitpid(child, &status, 0) == child);
		if (!WIFSTOPPED(status))
			break;
		vnc_ledger_read(VNC_COHERENT, shared, out);
		check_whole(out);
		CHECK(out[0] == last || out[0] == last + 1);
		last = out[0];
	}
	CHECK(WIFEXITED(status) && last == count && readings > 2 * VNC_LEDGER_WORDS * count);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "threads";
	uint32_t count = argc > 3 ? (uint32_t)atoi(argv[3]) : 100000;

	random_state = seeded(argc > 2 ? argv[2] : "1");
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	if (!strcmp(how, "kill"))
		kills(count);
	else if (!strcmp(how, "steps"))
		steps(count);
	else
		threads(count);
	puts("ok");
	return 0;
}
