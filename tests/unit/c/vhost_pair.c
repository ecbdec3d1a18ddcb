/* SPDX-License-Identifier: MIT */
/*
 * vhost_pair SEED FRAMES EVENT: a device and a driver send each other FRAMES frames at the same time, of which each
 * must arrive once, in order and unchanged.  The device sleeps until the driver kicks it, and the driver until it is
 * interrupted: a wake-up that is lost ends the test.  EVENT: each says after which chain it wants to be notified.
 */
#include "vhost_rig.h"
#include <pthread.h>

#define LONGEST (RIG_SIZE * RIG_BUFFER - RIG_HEADER)
#define LIMIT_MS 20000

static struct vhost_rig rig;
static uint32_t frames;
static uint64_t seed;

static uint32_t len_of(uint64_t *random)
{
	return 1 + below(random, below(random, 4) ? RIG_BUFFER : LONGEST);
}

static uint8_t byte_of(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 37 + at * 11);
}

static uint32_t make(uint64_t *random, uint32_t number, uint8_t *frame)
{
	uint32_t len = len_of(random), at;

	for (at = 0; at < len; at++)
		frame[at] = byte_of(number, at);
	return len;
}

static void check(uint64_t *random, uint32_t number, const uint8_t *frame, uint32_t len)
{
	uint32_t at;

	CHECK(len == len_of(random));
	for (at = 0; at < len; at++)
		CHECK(frame[at] == byte_of(number, at));
}

static void await(int fd, const char *what)
{
	struct pollfd wake = {.fd = fd, .events = POLLIN};
	uint64_t drain;

	if (!poll(&wake, 1, LIMIT_MS))
		hung(what);
	CHECK(read(fd, &drain, sizeof(drain)) == sizeof(drain));
}

/* ---- the device ---------------------------------------------------------------------------------- */

static void *device_sends(void *unused)
{
	uint8_t frame[VNC_VHOST_HEADER + LONGEST] = {0};
	uint64_t random = seed;
	uint32_t n, len;

	for (n = 0; n < frames; n++) {
		len = VNC_VHOST_HEADER + make(&random, n, frame + VNC_VHOST_HEADER);
		while (vnc_vhost_writev(&rig.device, &(struct iovec){frame, len}, 1, NULL) < 0) {
			CHECK(errno == ENOBUFS);
			vnc_vhost_notify(&rig.device, &rig.device.out);
			sched_yield();
		}
		if (n % 5 == 0)
			vnc_vhost_notify(&rig.device, &rig.device.out);
	}
	vnc_vhost_notify(&rig.device, &rig.device.out);
	return unused;
}

static void *device_receives(void *unused)
{
	uint8_t frame[VNC_VHOST_HEADER + LONGEST + 1];
	uint64_t random = seed;
	ssize_t got;
	uint32_t n;

	for (n = 0; n < frames; n++) {
		while ((got = vnc_vhost_readv(&rig.device, &(struct iovec){frame, sizeof(frame)}, 1)) < 0) {
			CHECK(errno == EAGAIN && !rig.device.rings.fault);
			vnc_vhost_notify(&rig.device, &rig.device.in);
			vnc_vhost_mask(&rig.device, false); /* as sleep_on_rings() of the pumps */
			if (!vnc_vhost_ready(&rig.device))
				await(rig.kick, "a kick was lost");
			vnc_vhost_mask(&rig.device, true);
		}
		check(&random, n, frame + VNC_VHOST_HEADER, (uint32_t)got - VNC_VHOST_HEADER);
		vnc_vhost_release(&rig.device);
	}
	vnc_vhost_notify(&rig.device, &rig.device.in);
	return unused;
}

/* ---- the driver ---------------------------------------------------------------------------------- */

/* From now on the device interrupts the driver for @q, or does not. */
static void ask(struct rig_queue *q, bool interrupt)
{
	uint16_t after = interrupt ? q->taken : (uint16_t)(q->taken + 0x8000);

	if (rig.device.event_idx)
		__atomic_store_n(&q->avail->ring[RIG_SIZE], after, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&q->avail->flags, interrupt ? 0 : VNC_VHOST_NO_INTERRUPT, __ATOMIC_RELAXED);
	vnc_full_fence(VNC_COHERENT);
}

/* Does the device want a kick for the chain that was made available last? */
static bool kicks(void)
{
	const uint16_t *after = (const uint16_t *)(const void *)&rig.tx.used->ring[RIG_SIZE];

	vnc_full_fence(VNC_COHERENT);
	if (rig.device.event_idx)
		return __atomic_load_n(after, __ATOMIC_RELAXED) == (uint16_t)(rig.tx.offered - 1);
	return !(__atomic_load_n(&rig.tx.used->flags, __ATOMIC_RELAXED) & VNC_VHOST_NO_NOTIFY);
}

static void *driver_sends(void *unused)
{
	uint8_t frame[LONGEST];
	uint64_t random = seed;
	uint32_t n, len;

	for (n = 0; n < frames; n++) {
		len = make(&random, n, frame);
		while (!rig_send(&rig, frame, len))
			sched_yield();
		if (kicks())
			CHECK(!eventfd_write(rig.kick, 1));
	}
	return unused;
}

static void driver_receives(void)
{
	uint8_t frame[RIG_SIZE * RIG_BUFFER];
	uint64_t random = seed;
	int32_t len;
	uint32_t n;

	for (n = 0; n < frames; n++) {
		while ((len = rig_receive(&rig, frame)) < 0) {
			ask(&rig.rx, true);
			if (!rig_used(&rig.rx))
				await(rig.call, "an interrupt was lost");
			ask(&rig.rx, false);
		}
		check(&random, n, frame, (uint32_t)len);
	}
}

int main(int argc, char **argv)
{
	pthread_t thread[3];
	int n;

	CHECK(argc == 4);
	seed = seeded(argv[1]);
	frames = (uint32_t)atoi(argv[2]);
	rig_map(&rig);
	rig_attach(&rig, atoi(argv[3]));
	ask(&rig.tx, false); /* both queues have the same eventfd */
	pthread_create(&thread[0], NULL, device_sends, NULL);
	pthread_create(&thread[1], NULL, device_receives, NULL);
	pthread_create(&thread[2], NULL, driver_sends, NULL);
	driver_receives();
	for (n = 0; n < 3; n++)
		pthread_join(thread[n], NULL);
	CHECK(!rig.device.rings.fault && !vnc_vhost_ready(&rig.device));
	CHECK(rig_used(&rig.tx) <= 1);
	return 0;
}
