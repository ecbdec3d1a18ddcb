/* SPDX-License-Identifier: MIT */
/* For the harnesses without a port. */
#include "fuzz.h"

ssize_t fuzz_port_write(const struct iovec *iov, int n)
{
	(void)iov, (void)n;
	abort();
}

ssize_t fuzz_port_read(const struct iovec *iov, int n)
{
	(void)iov, (void)n;
	abort();
}

ssize_t fuzz_program_take(const uint8_t *packet, size_t bytes)
{
	(void)packet, (void)bytes;
	abort();
}
