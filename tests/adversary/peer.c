/* SPDX-License-Identifier: MIT */
/**
 * DOC: a hostile card, or host, as fast as one processor can be.
 *
 * It shakes hands as a correct side does, and beside that does what a struct plan says (peer.py has the same structure
 * and says what each field is for).  One round: the control line as a correct peer has it, then the pokes, records,
 * and what else the plan has.  It never reads more than it needs and trusts nothing that it reads.
 */
#include "vnc_layout.h"
#include <linux/futex.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SET, RANDOM, ADD, XOR };
enum { ALWAYS, RUNNING, NOT_RUNNING };
enum { NOTHING, EVERYTHING, SLOWLY };

#define MS 1000000u

struct poke {
	uint64_t at;
	uint32_t bytes; /* 1, 2, 4, 8: one store; more: that many bytes at random places of [at, at + bytes) */
	uint32_t how;
	uint64_t value;
};

struct record {
	const uint8_t *data; /* the record from its header on */
	uint32_t bytes;	     /* of data, which are written */
	uint32_t advance;    /* of prod */
	uint32_t seq_add;    /* to the number that a correct peer would write */
	uint32_t flip_at, flip_bytes, flip_value; /* a field that changes all the time once the record is published */
};

struct plan {
	uint32_t seed, when, pokes_a_round, pause_us, n_pokes, n_records, consume, greet_again_ms, quiet_ms;
	uint32_t restart_when_running, random_mtu, random_features, random_version, random_mask, claim, wake;
	uint32_t version, mtu, features, mask;
	uint32_t side, tx_at, tx_bytes; /* what it stands for (0: the host), and the ring that it produces into */
	const struct poke *pokes;
	const struct record *records;
	uint64_t rounds, runs, produced; /* results */
};

struct card {
	uint8_t *base;
	uint64_t own, peer, tx_prod, tx_cons, rx_prod, rx_cons; /* where both side blocks and the index lines are */
	struct plan *plan;
	uint64_t dice, now, beat_at, greeted_at;
	uint32_t epoch, answered, last_epoch, last_answered, beat, prod, seq, next, version, mtu, features, mask;
	bool run;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static uint64_t roll(struct card *c)
{
	c->dice ^= c->dice << 13;
	c->dice ^= c->dice >> 7;
	c->dice ^= c->dice << 17;
	return c->dice;
}

static uint32_t *word(struct card *c, uint64_t at)
{
	return (uint32_t *)(void *)(c->base + at);
}

static uint32_t get(struct card *c, uint64_t at)
{
	return __atomic_load_n(word(c, at), __ATOMIC_ACQUIRE);
}

static void put(struct card *c, uint64_t at, uint32_t value)
{
	__atomic_store_n(word(c, at), value, __ATOMIC_RELEASE);
}

enum { EPOCH = 0, ANSWERED = 4, STATE = 8, HEARTBEAT = 12, FEATURES = 16, MTU = 20, VERSION = 24, MASK = 28,
       FINAL_OWN = 32, FINAL_PEER = 36, FINAL_RECORDS = 40, FRAMES = 52, LAYOUT = 56, PORT_DOWN = 60 };

static void find_lines(struct card *c)
{
	const uint64_t queue = VNC_QUEUE_OFFSET;
	bool host = c->plan->side == 0;

	c->own = VNC_SIDE_OFFSET + (host ? 0 : VNC_SIDE_BYTES);
	c->peer = VNC_SIDE_OFFSET + (host ? VNC_SIDE_BYTES : 0);
	c->tx_prod = queue + (host ? VNC_Q_H2C_PROD : VNC_Q_C2H_PROD);
	c->tx_cons = queue + (host ? VNC_Q_H2C_CONS : VNC_Q_C2H_CONS);
	c->rx_prod = queue + (host ? VNC_Q_C2H_PROD : VNC_Q_H2C_PROD);
	c->rx_cons = queue + (host ? VNC_Q_C2H_CONS : VNC_Q_H2C_CONS);
}

static void reset(struct card *c)
{
	c->prod = c->seq = 0;
	put(c, c->tx_prod, 0);
	put(c, c->rx_cons, 0);
	if (c->plan->claim) { /* more records of the last generation than there were */
		put(c, c->own + FINAL_OWN, c->last_epoch);
		put(c, c->own + FINAL_PEER, c->last_answered);
		put(c, c->own + FINAL_RECORDS + 4, 1u << 30);
	}
}

static void say(struct card *c)
{
	put(c, c->own + VERSION, c->version);
	put(c, c->own + MTU, c->mtu);
	put(c, c->own + FEATURES, c->features);
	put(c, c->own + MASK, c->mask);
	put(c, c->own + STATE, c->run ? VNC_STATE_RUN : VNC_STATE_READY);
	put(c, c->own + EPOCH, c->epoch);
	put(c, c->own + ANSWERED, c->answered);
}

/* A new epoch, and what the plan wants to be different in each. */
static void greet(struct card *c)
{
	struct plan *p = c->plan;

	c->last_epoch = c->epoch;
	c->last_answered = c->answered;
	c->epoch = (uint32_t)roll(c) % 0xfffffff0u + 1;
	c->answered = 0;
	c->run = false;
	c->greeted_at = c->now;
	c->version = p->random_version && roll(c) % 2 ? (uint32_t)roll(c) : p->version;
	c->features = p->random_features ? (uint32_t)roll(c) : p->features;
	c->mask = p->random_mask ? (uint32_t)roll(c) : p->mask;
	c->mtu = p->mtu;
	if (p->random_mtu) /* 1: in range, 2: any */
		c->mtu = p->random_mtu == 1 ? 68 + (uint32_t)(roll(c) % 65468) : (uint32_t)roll(c) % 4 * 1500;
	put(c, c->own + ANSWERED, 0);
	put(c, c->own + FRAMES, 0); /* as an attack before may have left them, there would be no link */
	put(c, c->own + LAYOUT, 0);
	put(c, c->own + PORT_DOWN, 0);
	put(c, c->own + EPOCH, c->epoch);
	reset(c);
}

static void shake_hands(struct card *c)
{
	struct plan *p = c->plan;
	uint32_t other = get(c, c->peer + EPOCH);
	bool ran = c->run;

	if (other && other != c->answered) {
		c->last_epoch = c->epoch;
		c->last_answered = c->answered;
		put(c, c->own + ANSWERED, 0);
		reset(c);
		c->answered = other;
	}
	c->run = c->answered && get(c, c->peer + ANSWERED) == c->epoch && get(c, c->peer + STATE) == VNC_STATE_RUN;
	p->runs += c->run && !ran;
	if ((c->run && p->restart_when_running) ||
	    (!c->run && p->greet_again_ms && c->now - c->greeted_at > (uint64_t)p->greet_again_ms * MS))
		greet(c);
	say(c);
	/* Beats as an agent does; with quiet_ms it is silent for so long, then beats for as long. */
	if (c->now - c->beat_at > 20 * MS && !(p->quiet_ms && c->now / MS / p->quiet_ms % 2)) {
		c->beat_at = c->now;
		put(c, c->own + HEARTBEAT, ++c->beat);
	}
}

static void poke(struct card *c, const struct poke *what)
{
	uint64_t value = what->how == RANDOM ? roll(c) : what->value;
	uint8_t *at = c->base + what->at;
	uint64_t old = 0;
	uint32_t n = what->bytes;

	if (n > 8) { /* an area */
		for (uint32_t k = 0; k < 16; k++)
			at[roll(c) % n & ~7ull] = (uint8_t)(what->how == RANDOM ? roll(c) : value);
		at = at + (roll(c) % n & ~7ull);
		n = 8;
	}
	memcpy(&old, at, n);
	value = what->how == ADD ? old + value : what->how == XOR ? old ^ value : value;
	if (n == 8)
		__atomic_store_n((uint64_t *)(void *)at, value, __ATOMIC_RELAXED);
	else if (n == 4)
		__atomic_store_n((uint32_t *)(void *)at, (uint32_t)value, __ATOMIC_RELAXED);
	else if (n == 2)
		__atomic_store_n((uint16_t *)(void *)at, (uint16_t)value, __ATOMIC_RELAXED);
	else
		__atomic_store_n(at, (uint8_t)value, __ATOMIC_RELAXED);
}

static void copy_in(struct card *c, uint32_t at, const void *data, uint32_t bytes)
{
	struct plan *p = c->plan;
	uint32_t first;

	at &= p->tx_bytes - 1;
	first = p->tx_bytes - at < bytes ? p->tx_bytes - at : bytes;
	memcpy(c->base + p->tx_at + at, data, first);
	memcpy(c->base + p->tx_at, (const uint8_t *)data + first, bytes - first);
}

/* Change a field of a published record until it is consumed, in both directions between check and use. */
static void flip(struct card *c, const struct record *r, uint32_t start)
{
	uint64_t good = 0, bad = r->flip_value;

	memcpy(&good, r->data + r->flip_at, r->flip_bytes);
	for (int n = 0; n < 4000 && get(c, c->tx_cons) == start; n++)
		copy_in(c, start + r->flip_at, n % 2 ? &good : &bad, r->flip_bytes);
}

static void produce(struct card *c)
{
	struct plan *p = c->plan;
	const struct record *r = &p->records[c->next];
	uint32_t used = c->prod - get(c, c->tx_cons), start = c->prod, seq = c->seq + r->seq_add;

	if (used > p->tx_bytes || p->tx_bytes - used < (r->bytes > r->advance ? r->bytes : r->advance) + 64)
		return;
	c->next = (c->next + 1) % p->n_records;
	copy_in(c, start, r->data, r->bytes);
	copy_in(c, start + 8, &seq, 4);
	c->prod += r->advance;
	c->seq++;
	p->produced++;
	put(c, c->tx_prod, c->prod);
	if (r->flip_bytes)
		flip(c, r, start);
}

static void consume(struct card *c)
{
	uint32_t prod = get(c, c->rx_prod), cons = get(c, c->rx_cons);

	if (c->plan->consume == SLOWLY && prod != cons && c->now / MS % 10 == 0)
		put(c, c->rx_cons, cons + VNC_LINE);
	else if (c->plan->consume == EVERYTHING)
		put(c, c->rx_cons, prod);
}

static void wake(struct card *c)
{
	const uint64_t at[] = {c->rx_prod, c->rx_cons, c->tx_prod, c->tx_cons};

	for (unsigned int n = 0; n < sizeof(at) / sizeof(*at); n++)
		syscall(SYS_futex, word(c, at[n]), FUTEX_WAKE, 64, NULL, NULL, 0);
	put(c, c->rx_cons + 4, 1); /* need_wakeup of both of our lines */
	put(c, c->tx_prod + 4, 1);
}

/** adversary() - act on the window at @base as @plan says, for @ms milliseconds or until *@stop is not 0. */
void adversary(uint8_t *base, struct plan *plan, uint32_t ms, const int *stop)
{
	struct card c = {.base = base, .plan = plan, .dice = plan->seed * 2654435761u + 1};
	uint64_t until;
	uint32_t n = 0;

	find_lines(&c);
	c.now = now_ns();
	until = c.now + (uint64_t)ms * MS;
	greet(&c);
	while ((c.now = now_ns()) < until && !__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		shake_hands(&c);
		if (plan->when == ALWAYS || (plan->when == RUNNING) == c.run) {
			for (uint32_t k = 0; plan->n_pokes && k < plan->pokes_a_round; k++)
				poke(&c, &plan->pokes[n++ % plan->n_pokes]);
		}
		if (c.run) {
			for (uint32_t k = 0; plan->n_records && k < 32; k++)
				produce(&c);
			consume(&c);
		}
		if (plan->wake)
			wake(&c);
		plan->rounds++;
		if (plan->pause_us)
			usleep(plan->pause_us);
	}
}
