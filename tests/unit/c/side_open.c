/* SPDX-License-Identifier: MIT */
/* side_open FILE MTU: prints what vnc_side_open() of the firmware says of the window in FILE. */
#include "harness.h"
#include "vnc_side.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
	struct vnc_side_config config = {.side = VNC_SIDE_CARD, .domain = VNC_COHERENT, .seed = 1};
	struct vnc_side side;
	struct stat status;
	int fd;

	CHECK(argc == 3);
	fd = open(argv[1], O_RDWR);
	CHECK(fd >= 0 && !fstat(fd, &status));
	config.bytes = (uint64_t)status.st_size;
	config.mtu = (uint32_t)atol(argv[2]);
	config.window = mmap(NULL, config.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(config.window != MAP_FAILED);
	printf("%d\n", vnc_side_open(&side, &config));
	return 0;
}
