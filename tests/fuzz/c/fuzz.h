/* SPDX-License-Identifier: MIT */
/**
 * DOC: what the fuzz harnesses share.
 *
 * An input is a script: operations of the code under test, of an honest peer, and of a hostile one.  All numbers are
 * read with fuzz_byte() and its like, which give 0 at the end, so every string of bytes is a script.
 *
 * A *poke* writes one hostile value.  It takes effect at once, or before a later load of shared memory: then the value
 * changes between two loads of the code under test.  Until the first poke an input is *clean*; then harnesses also
 * demand what an honest peer may expect: every packet once, in order, unchanged.
 *
 * Shared memory is divided into areas, with pages that fault around the rings.  A load or store of shared memory
 * outside the areas, or a store into the peer's, fails (one writer per line).
 */
#ifndef FUZZ_H
#define FUZZ_H
#include "vnc_ring.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(that)                                                                             \
	do {                                                                                    \
		if (!(that)) {                                                                  \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #that);      \
			abort();                                                                \
		}                                                                               \
	} while (0)

#define PAGE 4096u
#define RING_MAX 16384u

/* ---- the script -------------------------------------------------------------------------------- */

void fuzz_begin(const uint8_t *data, size_t size);
bool fuzz_more(void);
uint8_t fuzz_byte(void);
uint16_t fuzz_u16(void);
uint32_t fuzz_u32(void);
uint32_t fuzz_index(void);

/* ---- shared memory ----------------------------------------------------------------------------- */

enum fuzz_owner { PEERS, OURS };

uint8_t *fuzz_lines(void);
uint8_t *fuzz_ring(void);
void fuzz_area(const void *base, size_t size, enum fuzz_owner owner);
bool fuzz_shared(const void *at);
extern int fuzz_written_fd; /* of the last writev() */
bool fuzz_inside(const void *at, size_t bytes, const void *base, size_t size);

/** fuzz_raw32() - read or write a word as the peer: not through the hooks. */
static inline uint32_t *fuzz_raw32(const volatile void *at)
{
	return (uint32_t *)(uintptr_t)at;
}

static inline uint64_t *fuzz_raw64(const volatile void *at)
{
	return (uint64_t *)(uintptr_t)at;
}

/* ---- the hostile peer -------------------------------------------------------------------------- */

extern bool fuzz_clean;       /* no poke has taken effect since the last honest generation */
extern bool fuzz_ours_poked;  /* the peer wrote where only we may, in this generation */
extern bool fuzz_ours_ruined; /* ... in any generation: our counters in the window may be anything */
extern uint32_t fuzz_pokes;   /* that took effect: if none did during a call, its result follows from the memory */
extern uint32_t fuzz_watched; /* loads of the watched words since fuzz_watch() */

void fuzz_poke_op(void);
void fuzz_forget_pokes(void);
void fuzz_watch(const void *first, const void *second);
/* Of each harness: place number @where that a poke may write, of *@bits 32 or 64; sets *@good, a value around which
 * hostile ones are chosen. */
void *fuzz_place(unsigned int where, unsigned int *bits, uint64_t *good);

/* ---- the port ---------------------------------------------------------------------------------- */

/* Of the harnesses with a port: what the kernel does.  @n pieces, checked already. */
ssize_t fuzz_port_receive(struct msghdr *msg);
ssize_t fuzz_port_write(const struct iovec *iov, int n);

/** fuzz_program_take() - of a harness: what send() to the program of a punt returns, with errno. */
ssize_t fuzz_program_take(const uint8_t *packet, size_t bytes);
ssize_t fuzz_port_read(const struct iovec *iov, int n);

#endif
