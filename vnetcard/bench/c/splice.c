/* SPDX-License-Identifier: MIT */
/**
 * DOC: splice - two TUNs joined in one process: the limit of anything that is built on TUN.
 *
 *   splice NETNS_A NETNS_B offload|plain
 *
 * Creates a TUN named tun0 in each namespace, with one thread per direction: a blocking read, and a write of the same
 * bytes.  `offload` uses the offloads of the agents (virtio_net_hdr, TSO, USO), `plain` neither these nor the header.
 * Prints "ready" once both TUNs exist; a signal ends it and removes them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define OFFLOADS 0x67 /* CSUM, TSO4, TSO6, USO4, USO6: Linux include/uapi/linux/if_tun.h; USO is not in old headers */
#define PACKET_MAX (10 + 65535)

struct stream_path {
	int from, to;
};

static void die(const char *what)
{
	fprintf(stderr, "splice: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_tun(const char *netns, int offload)
{
	struct ifreq request = {.ifr_name = "tun0"};
	int place = open(netns, O_RDONLY | O_CLOEXEC);
	int fd;

	request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0));
	if (place < 0 || setns(place, CLONE_NEWNET) < 0)
		die(netns);
	close(place);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		die("/dev/net/tun");
	if (offload && ioctl(fd, TUNSETOFFLOAD, OFFLOADS) < 0)
		die("TUNSETOFFLOAD");
	return fd;
}

static void *carry(void *arg)
{
	static _Thread_local char packet[PACKET_MAX];
	const struct stream_path *path = arg;
	ssize_t len;

	for (;;) {
		len = read(path->from, packet, sizeof(packet));
		if (len < 0 && errno != EINTR && errno != EAGAIN)
			die("read");
		if (len > 0 && write(path->to, packet, (size_t)len) < 0 && errno != EIO)
			die("write"); /* EIO: the other interface is not up yet */
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct stream_path paths[2];
	pthread_t thread;
	int offload;

	if (argc != 4) {
		fprintf(stderr, "usage: splice NETNS_A NETNS_B offload|plain\n");
		return 2;
	}
	offload = strcmp(argv[3], "offload") == 0;
	paths[0].from = paths[1].to = open_tun(argv[1], offload);
	paths[1].from = paths[0].to = open_tun(argv[2], offload);
	puts("ready");
	fflush(stdout);
	errno = pthread_create(&thread, NULL, carry, &paths[1]);
	if (errno)
		die("pthread_create");
	carry(&paths[0]);
}
