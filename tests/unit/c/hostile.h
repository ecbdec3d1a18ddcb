/* SPDX-License-Identifier: MIT */
/* What the files of hostile share: a region with guard pages, two pumps in it, and what the attacker knows of them. */
#ifndef HOSTILE_H
#define HOSTILE_H
#include "harness.h"
#include "vnc_offload.h"
#include "vnc_pump.h"

#define PAGE 4096u
#define EXCHANGES 300

/* What the peer owns, and what it must not write but can reach. */
struct shared {
	struct vnc_cons_line tx_peer;
	struct vnc_prod_line rx_peer;
	struct vnc_side_control peer;
	struct vnc_prod_line tx_own;
	struct vnc_cons_line rx_own;
	uint64_t tx_ledger[2 * VNC_LEDGER_WORDS], tx_stats[VNC_STATS_WORDS];
	uint64_t rx_ledger[2 * VNC_LEDGER_WORDS], rx_stats[VNC_STATS_WORDS];
	uint64_t batches[2][VNC_BATCH_WORDS];
};

struct setup {
	struct shared *shared;
	uint8_t *tx_ring, *rx_ring; /* each between two pages that fault */
	uint32_t ring;
	struct vnc_pump tx, rx;
	uint32_t features, packet_max;
	uint32_t generations; /* begun so far */
	uint32_t mutations;   /* made so far */
	uint32_t moves;       /* counts whatever shows that the harness makes progress */
	uint64_t random;      /* the attacker's */
	int port[2];          /* the pumps have [0] */
	bool vnet_port, feeding;
};

static inline uint32_t peek32(const uint32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

static inline void poke32(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELAXED);
}

static inline void poke64(void *at, uint64_t value)
{
	__atomic_store_n((uint64_t *)at, value, __ATOMIC_RELAXED);
}

extern struct setup w;

void attack(struct setup *w);
void *feed(void *seed);
void *drain(void *unused);
void exchange(void);

#endif
