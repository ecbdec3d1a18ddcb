/* SPDX-License-Identifier: MIT */
/*
 * memif_pair SEED FRAMES: a client and a server send each other FRAMES frames at the same time, of which each must
 * arrive once, in order and unchanged.  A receiver sleeps until the peer's eventfd wakes it: a wake-up that is lost
 * ends the test.
 */
#include "memif_rig.h"
#include <pthread.h>
#include <string.h>

#define LONGEST (RIG_SLOTS * RIG_BUFFER)
#define LIMIT_MS 20000

static struct memif_rig rig;
static uint32_t frames;
static uint64_t seed;

static uint32_t len_of(uint64_t *random)
{
	uint32_t most = below(random, 4) ? RIG_BUFFER : LONGEST;

	return 1 + below(random, most);
}

static uint8_t byte_of(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 37 + at * 11);
}

static void *sender(void *arg)
{
	struct vnc_memif *m = arg;
	uint64_t random = seed;
	uint8_t frame[LONGEST];
	uint32_t n, at, len;

	for (n = 0; n < frames; n++) {
		len = len_of(&random);
		for (at = 0; at < len; at++)
			frame[at] = byte_of(n, at);
		while (vnc_memif_writev(m, &(struct iovec){frame, len}, 1, NULL) < 0) {
			CHECK(errno == ENOBUFS);
			vnc_memif_notify(m);
			sched_yield();
		}
		if (n % 5 == 0)
			vnc_memif_notify(m);
	}
	vnc_memif_notify(m);
	return NULL;
}

/* As sleep_on_memif() of the pumps. */
static void await(struct vnc_memif *m, int fd)
{
	struct pollfd wake = {.fd = fd, .events = POLLIN};
	uint64_t drain;

	vnc_memif_mask(m, false);
	if (!vnc_memif_ready(m)) {
		if (!poll(&wake, 1, LIMIT_MS))
			hung(vnc_memif_ready(m) ? "a wake-up was lost" : "nothing was sent");
		CHECK(read(fd, &drain, sizeof(drain)) == sizeof(drain));
	}
	vnc_memif_mask(m, true);
}

static void receive(struct vnc_memif *m, int fd)
{
	uint8_t frame[LONGEST + 1];
	uint64_t random = seed;
	uint32_t n, at;
	ssize_t got;

	for (n = 0; n < frames; n++) {
		while ((got = vnc_memif_readv(m, &(struct iovec){frame, sizeof(frame)}, 1)) < 0) {
			CHECK(errno == EAGAIN && !m->rings.fault);
			await(m, fd);
		}
		CHECK((uint32_t)got == len_of(&random));
		for (at = 0; at < (uint32_t)got; at++)
			CHECK(frame[at] == byte_of(n, at));
		vnc_memif_release(m);
	}
}

static void *server_receives(void *unused)
{
	receive(&rig.server, rig.to_server);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread[3];
	int n;

	CHECK(argc == 3);
	seed = seeded(argv[1]);
	frames = (uint32_t)atoi(argv[2]);
	rig_map(&rig);
	rig_attach(&rig, &rig.client, true);
	rig_attach(&rig, &rig.server, false);
	pthread_create(&thread[0], NULL, sender, &rig.client);
	pthread_create(&thread[1], NULL, sender, &rig.server);
	pthread_create(&thread[2], NULL, server_receives, NULL);
	receive(&rig.client, rig.to_client);
	for (n = 0; n < 3; n++)
		pthread_join(thread[n], NULL);
	CHECK(!rig.client.rings.fault && !rig.server.rings.fault);
	CHECK(!vnc_memif_ready(&rig.client) && !vnc_memif_ready(&rig.server));
	return 0;
}
