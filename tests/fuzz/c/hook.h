/* SPDX-License-Identifier: MIT */
/*
 * Included ahead of every source of a fuzz build (-include hook.h): all accesses of the C core to shared memory, and
 * its system calls on the port, pass through fuzz.c.  The sources of the core stay as they are.
 *
 *   COHERENT, DEVICE domain   the atomic built-ins and memcpy are macros, as below
 *   CHECKED domain            fuzz.c has its own vnc_checked_load() and vnc_checked_store()
 *
 * A load of shared memory is the moment at which a hostile peer changes it (time of check, time of use).
 */
#ifndef HOOK_H
#define HOOK_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

void fuzz_before_load(const volatile void *at, size_t bytes);
void fuzz_before_store(const volatile void *at, size_t bytes);
void *fuzz_memcpy(void *to, const void *from, size_t bytes);
ssize_t fuzz_readv(int fd, const struct iovec *iov, int n);
ssize_t fuzz_writev(int fd, const struct iovec *iov, int n);
ssize_t fuzz_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t fuzz_send(int fd, const void *data, size_t bytes, int flags);
ssize_t fuzz_read(int fd, void *to, size_t bytes);

/* A macro's name inside its own expansion is the built-in. */
#define __atomic_load_n(at, order) (fuzz_before_load(at, sizeof(*(at))), __atomic_load_n(at, order))
#define __atomic_store_n(at, value, order) (fuzz_before_store(at, sizeof(*(at))), __atomic_store_n(at, value, order))

#undef memcpy
#define memcpy(to, from, bytes) fuzz_memcpy(to, from, bytes)
#define readv(fd, iov, n) fuzz_readv(fd, iov, n)
#define writev(fd, iov, n) fuzz_writev(fd, iov, n)
#define recvmsg(fd, msg, flags) fuzz_recvmsg(fd, msg, flags)
#define send(fd, data, bytes, flags) fuzz_send(fd, data, bytes, flags)
#define read(fd, to, bytes) fuzz_read(fd, to, bytes)

#endif
