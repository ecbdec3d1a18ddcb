/* SPDX-License-Identifier: MIT */
/**
 * DOC: udp - datagrams of one size at full rate, BATCH of them with each system call.
 *
 *   udp sink ADDRESS PORT SECONDS
 *   udp send ADDRESS PORT BYTES SECONDS
 *
 * `sink` prints "ready", counts the datagrams that arrive in SECONDS from the first one on, and prints their number
 * and the seconds between the first and the last.  `send` sends datagrams of BYTES of payload.  With one call for each
 * datagram, as iperf3 has, the system calls of the two programs would be measured.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define LARGEST 65507u
#define SINK_BUFFER (4 << 20) /* bytes: a receiver that waits for a core is not what loses datagrams */

static uint8_t payload[LARGEST];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_socket(struct sockaddr_in *address, char **argv)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	address->sin_family = AF_INET;
	address->sin_port = htons((uint16_t)atoi(argv[3]));
	if (inet_pton(AF_INET, argv[2], &address->sin_addr) != 1 || fd < 0)
		die(argv[2]);
	return fd;
}

static void point_at_payload(struct mmsghdr *batch, struct iovec *place)
{
	memset(batch, 0, BATCH * sizeof(*batch));
	for (int n = 0; n < BATCH; n++) {
		batch[n].msg_hdr.msg_iov = place;
		batch[n].msg_hdr.msg_iovlen = 1;
	}
}

static int sink(char **argv)
{
	struct iovec place = {payload, sizeof(payload)};
	struct sockaddr_in address = {0};
	struct mmsghdr batch[BATCH];
	int fd = open_socket(&address, argv), room = SINK_BUFFER;
	double seconds = atof(argv[4]), first = 0, last = 0, at;
	unsigned long count = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		die("SO_RCVBUFFORCE");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("bind");
	puts("ready");
	fflush(stdout);
	point_at_payload(batch, &place);
	for (;;) {
		struct timeval most = {.tv_sec = first ? 1 : 5};
		int got;

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
		got = recvmmsg(fd, batch, BATCH, MSG_WAITFORONE, NULL);
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			die("recvmmsg");
		at = now();
		if (got < 0 || (first && at > first + seconds))
			break;
		if (!first)
			first = at; /* what came with the first call was under way before: it does not count */
		else
			count += (unsigned long)got;
		last = at;
	}
	printf("%lu %.6f\n", count, last - first);
	return 0;
}

static int send_all(char **argv)
{
	struct iovec place = {payload, (size_t)atoi(argv[4])};
	struct sockaddr_in address = {0};
	struct mmsghdr batch[BATCH];
	int fd = open_socket(&address, argv);
	double end = now() + atof(argv[5]);

	if (place.iov_len > sizeof(payload) || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	point_at_payload(batch, &place);
	while (now() < end)
		/* A full queue is what full rate means; a sink that has ended refuses what comes afterwards. */
		if (sendmmsg(fd, batch, BATCH, 0) < 0 && errno != ENOBUFS && errno != ECONNREFUSED && errno != EINTR)
			die("sendmmsg");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "sink") == 0)
		return sink(argv);
	if (argc == 6 && strcmp(argv[1], "send") == 0)
		return send_all(argv);
	fprintf(stderr, "usage: udp sink ADDRESS PORT SECONDS | udp send ADDRESS PORT BYTES SECONDS\n");
	return 2;
}
