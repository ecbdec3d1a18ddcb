"""Which system calls can fail how, and what came of it: the plan and the table of ``tests/harness/injection.py``."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

PHASES: Final = ("start", "run", "stop")
ABORTED: Final = "aborted by the C library"
"""glibc's pthread_join ends the process where munmap of the thread's stack fails; what is left is as after SIGKILL."""
FRIENDLY: Final = frozenset({"survived", "one line", "not met", ABORTED})
"""The outcomes that are right."""

_OF_DESCRIPTORS = "EMFILE ENFILE ENOMEM"
ERRORS: Final = {
    name: errors.split()
    for names, errors in {
        "open openat openat2": "EMFILE ENOMEM EIO EACCES ENOSPC",
        "read pread64 preadv": "EIO EINTR",
        "write pwrite64": "EIO ENOSPC EAGAIN EINTR",
        "readv": "EIO EAGAIN EINTR ENOMEM",
        "writev": "EIO EAGAIN EINTR ENOMEM ENOBUFS",
        "fallocate ftruncate": "ENOSPC EIO EINTR EPERM",
        "mmap mremap": "ENOMEM EPERM EAGAIN",
        "munmap mprotect": "ENOMEM",
        "madvise": "ENOMEM EAGAIN",
        "ioctl": "EPERM ENOMEM EIO ENODEV EBUSY",
        "socket socketpair": f"{_OF_DESCRIPTORS} ENOBUFS EACCES",
        "eventfd2 pipe2 memfd_create epoll_create1 timerfd_create": _OF_DESCRIPTORS,
        "dup dup2 dup3 fcntl": "EMFILE ENOLCK EINTR",
        "flock": "ENOLCK EINTR EAGAIN",
        "bind listen": "ENOMEM EADDRINUSE EACCES",
        "accept accept4": f"{_OF_DESCRIPTORS} ECONNABORTED EINTR",
        "connect": "EAGAIN ENOMEM EACCES ECONNREFUSED",
        "sendto sendmsg sendmmsg": "ENOBUFS ENOMEM EAGAIN EINTR EPERM",
        "recvfrom recvmsg recvmmsg": "ENOBUFS ENOMEM EAGAIN EINTR",
        "setsockopt getsockopt getsockname getpeername": "ENOMEM ENOBUFS",
        "setns": "ENOMEM EPERM",
        "clone clone3": "EAGAIN ENOMEM",
        "poll ppoll select pselect6 epoll_wait epoll_pwait": "EINTR ENOMEM",
        "nanosleep clock_nanosleep": "EINTR",
        "capset prctl capget": "EPERM",
        "seccomp": "ENOMEM EACCES ENOSYS",
        "mkdir mkdirat": "ENOSPC EROFS EACCES ENOMEM",
        "unlink unlinkat rmdir": "EIO EPERM EBUSY",
        "close": "EIO EINTR",
        "fchmod fchown chmod": "EIO EPERM",
        "getdents64 newfstatat fstat statx stat lstat statfs fstatfs": "EIO ENOMEM EACCES",
        "readlink readlinkat access faccessat faccessat2": "EIO ENOMEM EACCES",
        "getcwd": "ENOENT ENOMEM",
        "getrandom": "EINTR EAGAIN",
        "mlock mlock2 prlimit64 sched_setaffinity setgroups": "ENOMEM EPERM",
    }.items()
    for name in names.split()
}
"""Errors that a machine out of something, or a forbidding one, answers to each call (section 2 of its manual)."""
OTHERS: Final = ("EPERM", "ENOMEM")
"""For a call that the table does not know."""
_NEVER = """
    exit exit_group rt_sigreturn restart_syscall brk rt_sigprocmask rt_sigaction sigaltstack umask uname sched_yield
    getpid gettid getppid getuid geteuid getgid getegid getgroups set_robust_list rseq set_tid_address lseek shutdown
    futex arch_prctl getrusage sysinfo times clock_gettime tgkill
"""
NEVER: Final = frozenset(_NEVER.split())
"""Calls that do not fail but for a wrong argument; brk answers with the old end instead of an error.

Of futex strace cannot tell waiting, which may be interrupted, from waking, of whose errors the C library aborts."""


@dataclass(frozen=True, slots=True, order=True)
class Injection:
    """The ``nth`` call of ``call`` that a thread makes in ``phase`` fails with ``error``."""

    phase: str
    call: str
    error: str
    nth: int

    def __str__(self) -> str:
        return f"{self.phase}: {self.call} {self.error} #{self.nth}"


@dataclass(slots=True)
class Result:
    """What came of an injection: one of ``FRIENDLY``, or what was wrong; ``said``: the last line of the agent."""

    injection: Injection
    outcome: str
    said: str = ""


@dataclass(slots=True)
class Recording:
    """For each phase the calls, with the most that one thread made."""

    calls: dict[str, dict[str, int]] = field(default_factory=dict)


def plan(recorded: Recording, most: int, *, phases: Iterable[str] = PHASES) -> Iterator[Injection]:
    """Every error of every call that was recorded, at up to ``most`` occurrences: the first ones, then spread."""
    for phase in phases:
        for call, count in sorted(recorded.calls[phase].items()):
            if call in NEVER:
                continue
            for error in ERRORS.get(call, OTHERS):
                for nth in _occurrences(count, most):
                    yield Injection(phase, call, error, nth)


def _occurrences(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(1, count + 1))
    near = most // 2
    return sorted(
        {*range(1, near + 1), *(near + (count - near) * n // (most - near) for n in range(1, most - near + 1))}
    )


def table(results: Iterable[Result]) -> str:
    """Counts by phase and outcome."""
    counts = collections.Counter((r.injection.phase, r.outcome.split(":")[0]) for r in results)
    outcomes = sorted({outcome for _, outcome in counts})
    rows = [["phase", *outcomes]] + [[phase, *(str(counts[phase, one]) for one in outcomes)] for phase in PHASES]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
