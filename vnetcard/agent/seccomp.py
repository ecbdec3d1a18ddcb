"""A list of the system calls that an agent may make (seccomp(2)); the kernel refuses the others with EPERM.

The filter is generated from a table: classic BPF that checks the architecture first.  It holds for all threads of the
process and cannot be taken back.  A process cannot be started, and no program executed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Iterator
from typing import Final

_TABLE: Final = """
    read 0 63, write 1 64, futex 202 98, poll 7 -, ppoll 271 73, ioctl 16 29, readv 19 65, writev 20 66,
    recvmsg 47 212, sendmsg 46 211, recvfrom 45 207, sendto 44 206, epoll_wait 232 -, epoll_pwait 281 22,
    epoll_pwait2 441 441, clock_gettime 228 113, clock_nanosleep 230 115, nanosleep 35 101, sched_yield 24 124,
    pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70, preadv2 327 286, pwritev2 328 287, openat 257 56,
    openat2 437 437, open 2 -, close 3 57, close_range 436 436, lseek 8 62, fstat 5 80, stat 4 -, lstat 6 -,
    newfstatat 262 79, statx 332 291, statfs 137 43, fstatfs 138 44, access 21 -, faccessat 269 48,
    faccessat2 439 439, readlink 89 -, readlinkat 267 78, getdents 78 -, getdents64 217 61, getcwd 79 17, mkdir 83 -,
    mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276,
    chmod 90 -, fchmod 91 52, fchmodat 268 53, chown 92 -, fchown 93 55, lchown 94 -, fchownat 260 54, umask 95 166,
    truncate 76 45, ftruncate 77 46, fallocate 285 47, fadvise64 221 223, fsync 74 82, fdatasync 75 83,
    utimensat 280 88, fcntl 72 25, flock 73 32, dup 32 23, dup2 33 -, dup3 292 24, pipe 22 -, pipe2 293 59,
    memfd_create 319 279, copy_file_range 326 285, sendfile 40 71, mmap 9 222, munmap 11 215, mremap 25 216,
    mprotect 10 226, madvise 28 233, brk 12 214, msync 26 227, mincore 27 232, mlock 149 228, mlock2 325 284,
    munlock 150 229, membarrier 324 283, clone 56 220, exit 60 93, exit_group 231 94, set_robust_list 273 99,
    get_robust_list 274 100, rseq 334 293, set_tid_address 218 96, gettid 186 178, futex_waitv 449 449,
    sched_getaffinity 204 123, sched_setaffinity 203 122, sched_getparam 143 121, sched_getscheduler 145 120,
    sched_setscheduler 144 119,
    sched_get_priority_max 146 125, sched_get_priority_min 147 126, getpriority 140 141, setpriority 141 140,
    prctl 157 167, arch_prctl 158 -, restart_syscall 219 128, rt_sigaction 13 134, rt_sigprocmask 14 135,
    rt_sigreturn 15 139, rt_sigtimedwait 128 137, rt_sigpending 127 136, rt_sigsuspend 130 133, sigaltstack 131 132,
    tgkill 234 131, pause 34 -, clock_getres 229 114, gettimeofday 96 169, time 201 -, times 100 153,
    getrusage 98 165, sysinfo 99 179, setitimer 38 103, getitimer 36 102, alarm 37 -, timerfd_create 283 85,
    timerfd_settime 286 86, timerfd_gettime 287 87, select 23 -, pselect6 270 72, epoll_create 213 -,
    epoll_create1 291 20, epoll_ctl 233 21, eventfd 284 -, eventfd2 290 19, signalfd4 289 74, socket 41 198,
    socketpair 53 199, bind 49 200, listen 50 201, accept 43 202, accept4 288 242, connect 42 203,
    getsockname 51 204, getpeername 52 205, setsockopt 54 208, getsockopt 55 209, sendmmsg 307 269, recvmmsg 299 243,
    shutdown 48 210, getpid 39 172, getppid 110 173, getuid 102 174, geteuid 107 175, getgid 104 176,
    getegid 108 177, getgroups 115 158, getresuid 118 148, getresgid 120 150, getpgrp 111 -, getpgid 121 155,
    getsid 124 156, capget 125 90, capset 126 91, uname 63 160, getrandom 318 278, getrlimit 97 163,
    prlimit64 302 261, getcpu 309 168, setns 308 268
"""
"""Name, number on x86-64, number on aarch64; those that a pump makes for each packet come first.

Source: Linux arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h.
"""
NUMBERS: Final = {
    name: (int(x86) if x86 != "-" else None, int(arm) if arm != "-" else None)
    for name, x86, arm in (entry.split() for entry in _TABLE.split(","))
}
ONLY_TO_FOLLOW: Final = "setns"
"""What only an agent makes that follows its interface into other namespaces."""
CLONE3: Final = 435
"""The C library starts threads with clone where the kernel lacks this call, whose flags a filter cannot see."""
NEWEST: Final = 450
"""Calls beyond it do not exist, as for a program on an older kernel: the C library then does without."""
MACHINES: Final = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}
"""Column of the table, and AUDIT_ARCH_X86_64 or AUDIT_ARCH_AARCH64 (include/uapi/linux/audit.h)."""
CLONE_THREAD: Final = 0x0001_0000

_NR, _ARCH, _ARGUMENT_0 = 0, 4, 16
"""Offsets in struct seccomp_data; of the argument its lower half (both machines are little-endian)."""
_LOAD, _JUMP_EQ, _JUMP_GT, _JUMP_SET, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER: Final = 1
_TSYNC, _SPEC_ALLOW = 1, 4
"""For all threads; without slower loads, as this process runs no foreign code."""
_INSTRUCTION: Final = struct.Struct("=HBBI")

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install(names: Iterable[str]) -> None:
    """Refuse all other calls from now on, in all threads; OSError where the kernel or the table cannot."""
    machine = os.uname().machine
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    code = b"".join(program(names, machine))
    packed = _Program(len(code) // _INSTRUCTION.size, code)
    flags = _TSYNC | _SPEC_ALLOW
    if result := _libc.syscall(_SECCOMP[machine], _SET_MODE_FILTER, flags, ctypes.byref(packed)):
        number = ctypes.get_errno() if result < 0 else errno.EBUSY  # a thread has a filter of its own
        raise OSError(number, os.strerror(number))


def program(names: Iterable[str], machine: str) -> Iterator[bytes]:
    """The instructions that allow ``names`` on ``machine``; clone for threads alone."""
    column, architecture = MACHINES[machine]
    yield _do(_LOAD, _ARCH)
    yield _do(_JUMP_EQ, architecture, 1, 0)
    yield _do(_RETURN, _ERRNO | errno.EPERM)
    yield _do(_LOAD, _NR)
    for name in names:
        number = NUMBERS[name][column]
        if number is None or name == "clone":
            continue
        yield _do(_JUMP_EQ, number, 0, 1)
        yield _do(_RETURN, _ALLOW)
    yield _do(_JUMP_EQ, CLONE3, 0, 1)
    yield _do(_RETURN, _ERRNO | errno.ENOSYS)
    yield _do(_JUMP_GT, NEWEST, 0, 1)
    yield _do(_RETURN, _ERRNO | errno.ENOSYS)
    if "clone" in names:
        clone = NUMBERS["clone"][column]
        assert clone is not None
        yield _do(_JUMP_EQ, clone, 0, 3)
        yield _do(_LOAD, _ARGUMENT_0)
        yield _do(_JUMP_SET, CLONE_THREAD, 0, 1)
        yield _do(_RETURN, _ALLOW)
    yield _do(_RETURN, _ERRNO | errno.EPERM)


def _do(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, then, otherwise, value)
