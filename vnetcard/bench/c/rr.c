/* SPDX-License-Identifier: MIT */
/**
 * DOC: rr - request and response of one byte over one TCP connection, one after the other: the round-trip time.
 *
 *   rr serve ADDRESS PORT
 *   rr ask ADDRESS PORT SECONDS
 *
 * `serve` prints "ready", answers one connection and ends.  `ask` prints the round trips: their number and, in
 * microseconds, the 50th, 99th and 99.9th percentile (nearest rank).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 4000000u

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int open_socket(struct sockaddr_in *address, char **argv)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	address->sin_family = AF_INET;
	address->sin_port = htons((uint16_t)atoi(argv[3]));
	if (inet_pton(AF_INET, argv[2], &address->sin_addr) != 1 || fd < 0)
		die(argv[2]);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int serve(char **argv)
{
	struct sockaddr_in address = {0};
	int listener = open_socket(&address, argv), one = 1, fd;
	char byte;

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1) < 0)
		die("listen");
	puts("ready");
	fflush(stdout);
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (read(fd, &byte, 1) == 1)
		if (write(fd, &byte, 1) != 1)
			die("write");
	return 0;
}

static int by_length(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int ask(char **argv)
{
	uint32_t *took = malloc(MOST * sizeof(*took)), count = 0;
	struct sockaddr_in address = {0};
	int fd = open_socket(&address, argv);
	uint64_t start, end, before;
	char byte = 'r';

	if (!took || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect");
	start = before = now_ns();
	end = start + (uint64_t)(atof(argv[4]) * 1e9);
	while (before < end && count < MOST) {
		uint64_t after;

		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			die("no answer");
		after = now_ns();
		took[count++] = (uint32_t)(after - before);
		before = after;
	}
	qsort(took, count, sizeof(*took), by_length);
	printf("%u %.3f %.3f %.3f\n", count, took[(count * 500ull + 999) / 1000 - 1] / 1e3,
	       took[(count * 990ull + 999) / 1000 - 1] / 1e3, took[(count * 999ull + 999) / 1000 - 1] / 1e3);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		return serve(argv);
	if (argc == 5 && strcmp(argv[1], "ask") == 0)
		return ask(argv);
	fprintf(stderr, "usage: rr serve ADDRESS PORT | rr ask ADDRESS PORT SECONDS\n");
	return 2;
}
