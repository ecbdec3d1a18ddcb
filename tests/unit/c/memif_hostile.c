/* SPDX-License-Identifier: MIT */
/*
 * memif_hostile SEED OPERATIONS CLIENT: the client's or the server's ends against a peer that writes anything into the
 * region at any time.  The pages around the region fault.  After a fault the ends are attached again, and at the end,
 * with an honest peer, frames cross in both directions.
 */
#include "memif_rig.h"
#include <pthread.h>
#include <string.h>

#define LONGEST 4096u

static struct memif_rig rig;
static bool attacking = true;
static uint32_t faults[VNC_RINGS_LOST + 1];

/* A value around what is right, or any. */
static uint32_t evil(uint64_t *random, uint32_t good)
{
	switch (below(random, 8)) {
	case 0:
		return (uint32_t)rnd(random);
	case 1:
		return 0;
	case 2:
		return UINT32_MAX;
	case 3:
		return RIG_BYTES - below(random, 2);
	case 4:
		return good + RIG_SLOTS;
	case 5:
		return good - 1;
	default:
		return good + 1;
	}
}

static void poke16(uint64_t *random, uint16_t *at)
{
	__atomic_store_n(at, (uint16_t)evil(random, __atomic_load_n(at, __ATOMIC_RELAXED)), __ATOMIC_RELAXED);
}

static void poke32(uint64_t *random, uint32_t *at)
{
	__atomic_store_n(at, evil(random, __atomic_load_n(at, __ATOMIC_RELAXED)), __ATOMIC_RELAXED);
}

static void attack(uint64_t *random)
{
	struct vnc_memif_ring *ring = rig_ring(&rig, below(random, 2) ? &rig_s2m : &rig_m2s);
	struct vnc_memif_desc *d = &ring->desc[below(random, RIG_SLOTS)];

	switch (below(random, 12)) {
	case 0:
	case 1:
	case 2:
		poke16(random, &ring->head);
		break;
	case 3:
	case 4:
	case 5:
		poke16(random, &ring->tail);
		break;
	case 6:
		poke16(random, &ring->flags);
		break;
	case 7:
		poke16(random, &d->flags);
		break;
	case 8:
		poke16(random, &d->region);
		break;
	case 9:
		poke32(random, &d->offset);
		break;
	case 10:
		poke32(random, &d->length);
		break;
	default: /* and gives it a chance */
		__atomic_store_n(&d->region, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&d->flags, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&d->length, below(random, RIG_BUFFER), __ATOMIC_RELAXED);
		__atomic_store_n(&d->offset, below(random, RIG_BYTES - RIG_BUFFER), __ATOMIC_RELAXED);
	}
}

static void *attacker(void *arg)
{
	while (__atomic_load_n(&attacking, __ATOMIC_ACQUIRE))
		attack(arg);
	return NULL;
}

static void check_ends(const struct vnc_memif *m)
{
	CHECK(m->in.pending <= RIG_SLOTS && m->in.size == RIG_SLOTS && m->out.size == RIG_SLOTS);
	CHECK(!m->in.gate.locked && !m->out.gate.locked);
}

static void operate(struct vnc_memif *m, uint64_t *random, uint64_t *moved)
{
	uint32_t len = 1 + below(random, below(random, 2) ? LONGEST : RIG_BUFFER);
	uint8_t *frame = malloc(len); /* of its exact size: the sanitizer sees a byte more */
	struct iovec iov = {frame, len};
	ssize_t done;

	CHECK(frame);
	if (below(random, 2)) {
		done = vnc_memif_readv(m, &iov, 1);
		CHECK(done <= (ssize_t)len && (done >= 0 || errno == EAGAIN));
		CHECK(m == &rig.server || done <= (ssize_t)(RIG_SLOTS * RIG_BUFFER));
		vnc_memif_release(m);
	} else {
		memset(frame, 1, len);
		done = vnc_memif_writev(m, &iov, 1, NULL);
		CHECK(done == (ssize_t)len || (done < 0 && (errno == ENOBUFS || errno == EMSGSIZE || errno == EPIPE)));
		vnc_memif_notify(m);
	}
	*moved += done > 0;
	vnc_memif_mask(m, below(random, 2));
	(void)vnc_memif_ready(m);
	check_ends(m);
	free(frame);
}

static void attach_again(struct vnc_memif *m, bool client)
{
	memset(rig.region, 0, 2 * RIG_RING);
	vnc_memif_detach(m);
	rig_attach(&rig, m, client);
}

static void exchange(struct vnc_memif *from, struct vnc_memif *to)
{
	uint8_t out[600], in[sizeof(out) + 1];
	uint32_t n;

	for (n = 0; n < 100; n++) {
		memset(out, (int)n, sizeof(out));
		CHECK(vnc_memif_writev(from, &(struct iovec){out, sizeof(out)}, 1, NULL) == sizeof(out));
		CHECK(vnc_memif_readv(to, &(struct iovec){in, sizeof(in)}, 1) == sizeof(out));
		vnc_memif_release(to);
		CHECK(!memcmp(out, in, sizeof(out)));
	}
}

int main(int argc, char **argv)
{
	uint64_t random, theirs, between, moved = 0, n, most;
	struct vnc_memif *m;
	pthread_t thread;
	bool client;

	CHECK(argc == 4);
	random = seeded(argv[1]);
	theirs = random ^ 0x5555;
	between = random ^ 0xaaaa;
	most = strtoull(argv[2], NULL, 0);
	client = atoi(argv[3]);
	m = client ? &rig.client : &rig.server;
	rig_map(&rig);
	rig_attach(&rig, m, client);
	pthread_create(&thread, NULL, attacker, &theirs);
	for (n = 0; n < most; n++) {
		if (below(&random, 4) == 0)
			attack(&between); /* the other thread may not run for a while */
		operate(m, &random, &moved);
		if (m->rings.fault || below(&random, 1000) == 0) {
			faults[m->rings.fault]++;
			attach_again(m, client);
		}
	}
	__atomic_store_n(&attacking, false, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	printf("%llu frames, faults: index %u, region %u, span %u, chain %u\n", (unsigned long long)moved,
	       faults[VNC_RINGS_BAD_INDEX], faults[VNC_RINGS_BAD_REGION], faults[VNC_RINGS_BAD_SPAN],
	       faults[VNC_RINGS_BAD_CHAIN]);
	CHECK(moved > 100 && faults[VNC_RINGS_BAD_INDEX] && faults[VNC_RINGS_BAD_SPAN]);
	CHECK(client || faults[VNC_RINGS_BAD_REGION]);
	attach_again(&rig.client, true);
	vnc_memif_detach(&rig.server);
	rig_attach(&rig, &rig.server, false);
	exchange(&rig.client, &rig.server);
	exchange(&rig.server, &rig.client);
	return 0;
}
