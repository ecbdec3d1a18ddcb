/* SPDX-License-Identifier: MIT */
/*
 * vhost_hostile SEED OPERATIONS: a device against a driver that writes anything into the region at any time.  The pages
 * around the region fault.  After a fault the queues are attached again, and at the end, with an honest driver, frames
 * cross in both directions.
 */
#include "vhost_rig.h"
#include <pthread.h>

#define LONGEST 4096u

static struct vhost_rig rig;
static bool attacking = true;
static uint32_t faults[VNC_RINGS_LOST + 1];

/* A value around what is right, or any. */
static uint64_t evil(uint64_t *random, uint64_t good)
{
	switch (below(random, 9)) {
	case 0:
		return rnd(random);
	case 1:
		return 0;
	case 2:
		return UINT64_MAX - below(random, 64);
	case 3:
		return RIG_GUEST + RIG_BYTES - below(random, 32);
	case 4:
		return RIG_GUEST + below(random, RIG_BYTES);
	case 5:
		return good + RIG_SIZE;
	case 6:
		return good - 1;
	default:
		return good + 1;
	}
}

static void poke16(uint64_t *random, uint16_t *at)
{
	__atomic_store_n(at, (uint16_t)evil(random, __atomic_load_n(at, __ATOMIC_RELAXED)), __ATOMIC_RELAXED);
}

static void attack_desc(uint64_t *random, struct vnc_vhost_desc *d)
{
	switch (below(random, 8)) {
	case 0:
		__atomic_store_n(&d->addr, evil(random, __atomic_load_n(&d->addr, __ATOMIC_RELAXED)), __ATOMIC_RELAXED);
		break;
	case 1:
		__atomic_store_n(&d->len, (uint32_t)evil(random, __atomic_load_n(&d->len, __ATOMIC_RELAXED)),
				 __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n(&d->flags, (uint16_t)below(random, 8), __ATOMIC_RELAXED);
		break;
	case 3:
		poke16(random, &d->next);
		break;
	case 4: /* a table that may be one */
		rig_describe(d, RIG_TABLES + 16 * below(random, 8), 16 * (1 + below(random, 8)), VNC_VHOST_INDIRECT, 0);
		break;
	default: /* and gives it a chance */
		rig_describe(d, below(random, RIG_BYTES - RIG_BUFFER), below(random, RIG_BUFFER),
			     (uint16_t)(below(random, 4)), (uint16_t)below(random, RIG_SIZE));
	}
}

static void attack(uint64_t *random)
{
	uint32_t at = below(random, 2) ? RIG_TX : RIG_RX;
	struct rig_queue q;

	rig_queue_at(&rig, &q, at, 0);
	switch (below(random, 10)) {
	case 0:
	case 1:
		poke16(random, &q.avail->idx);
		break;
	case 2: /* one more */
		__atomic_store_n(&q.avail->idx, (uint16_t)(__atomic_load_n(&q.used->idx, __ATOMIC_RELAXED) + 1),
				 __ATOMIC_RELAXED);
		break;
	case 3:
		poke16(random, &q.avail->ring[below(random, RIG_SIZE)]);
		break;
	case 4:
		__atomic_store_n(&q.avail->ring[below(random, RIG_SIZE)], (uint16_t)below(random, RIG_SIZE),
				 __ATOMIC_RELAXED);
		break;
	case 5:
		poke16(random, below(random, 2) ? &q.used->idx : &q.avail->flags);
		break;
	case 6:
		attack_desc(random, (struct vnc_vhost_desc *)(void *)(rig.region + RIG_TABLES + 16 * below(random, 8)));
		break;
	default:
		attack_desc(random, &q.desc[below(random, RIG_SIZE)]);
	}
}

static void *attacker(void *arg)
{
	while (__atomic_load_n(&attacking, __ATOMIC_ACQUIRE))
		attack(arg);
	return NULL;
}

static void operate(uint64_t *random, uint64_t *moved)
{
	struct vnc_vhost *v = &rig.device;
	uint32_t len = 1 + below(random, below(random, 2) ? LONGEST : RIG_BUFFER);
	uint8_t *frame = malloc(len); /* of its exact size: the sanitizer sees a byte more */
	struct iovec iov = {frame, len};
	ssize_t done;

	CHECK(frame);
	v->mergeable = below(random, 8);
	v->indirect = below(random, 8);
	v->header = RIG_HEADER - 2 * !below(random, 8);
	if (below(random, 2)) {
		done = vnc_vhost_readv(v, &iov, 1);
		CHECK(done <= (ssize_t)len && (done >= 0 || errno == EAGAIN));
		vnc_vhost_release(v);
		vnc_vhost_notify(v, &v->in);
	} else {
		memset(frame, 1, len);
		done = vnc_vhost_writev(v, &iov, 1, NULL);
		CHECK(done == (ssize_t)len || (done < 0 && (errno == ENOBUFS || errno == EMSGSIZE || errno == EPIPE)));
		vnc_vhost_notify(v, &v->out);
	}
	*moved += done > 0;
	vnc_vhost_mask(v, below(random, 2));
	(void)vnc_vhost_ready(v);
	CHECK(v->in.size == RIG_SIZE && v->out.size == RIG_SIZE && !v->in.gate.locked && !v->out.gate.locked);
	CHECK(!v->in.pending || !v->in.gate.attached);
	free(frame);
}

static void attach_again(bool event_idx)
{
	vnc_vhost_detach(&rig.device);
	rig_attach(&rig, event_idx);
}

/* With a driver that keeps the rules. */
static void exchange(void)
{
	uint8_t out[VNC_VHOST_HEADER + 600] = {0}, in[RIG_SIZE * RIG_BUFFER];
	uint32_t n;

	for (n = 0; n < 100; n++) {
		memset(out + VNC_VHOST_HEADER, (int)n, 600);
		CHECK(vnc_vhost_writev(&rig.device, &(struct iovec){out, sizeof(out)}, 1, NULL) == sizeof(out));
		CHECK(rig_receive(&rig, in) == 600 && !memcmp(out + VNC_VHOST_HEADER, in, 600));
		CHECK(rig_send(&rig, out + VNC_VHOST_HEADER, 600));
		CHECK(vnc_vhost_readv(&rig.device, &(struct iovec){in, sizeof(in)}, 1) == sizeof(out));
		vnc_vhost_release(&rig.device);
		CHECK(!memcmp(out, in, sizeof(out)));
	}
}

int main(int argc, char **argv)
{
	uint64_t random, theirs, between, moved = 0, n, most, drain;
	struct vnc_vhost *v = &rig.device;
	pthread_t thread;

	CHECK(argc == 3);
	random = seeded(argv[1]);
	theirs = random ^ 0x5555;
	between = random ^ 0xaaaa;
	most = strtoull(argv[2], NULL, 0);
	rig_map(&rig);
	rig_attach(&rig, false);
	pthread_create(&thread, NULL, attacker, &theirs);
	for (n = 0; n < most; n++) {
		if (below(&random, 4) == 0)
			attack(&between); /* the other thread may not run for a while */
		operate(&random, &moved);
		if (v->rings.fault || below(&random, 1000) == 0) {
			faults[v->rings.fault]++;
			attach_again(below(&random, 2));
		}
		if (n % 1024 == 0 && read(rig.call, &drain, sizeof(drain)) < 0)
			CHECK(errno == EAGAIN);
	}
	__atomic_store_n(&attacking, false, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	printf("%llu frames, faults: index %u, region %u, span %u, chain %u\n", (unsigned long long)moved,
	       faults[VNC_RINGS_BAD_INDEX], faults[VNC_RINGS_BAD_REGION], faults[VNC_RINGS_BAD_SPAN],
	       faults[VNC_RINGS_BAD_CHAIN]);
	CHECK(moved > 100 && faults[VNC_RINGS_BAD_INDEX] && faults[VNC_RINGS_BAD_REGION]);
	CHECK(faults[VNC_RINGS_BAD_SPAN] && faults[VNC_RINGS_BAD_CHAIN]);
	v->mergeable = v->indirect = true;
	attach_again(true);
	v->header = RIG_HEADER;
	exchange();
	return 0;
}
