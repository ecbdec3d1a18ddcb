"""How the kernel's scheduler treats the pumps' threads: nice value, policy and CPUs (sched(7)).

A thread inherits all three from the one that creates it.  So they are set in the thread that is about to create the
pumps, and set back afterwards.  Whether that is permitted is tried once, before the agent gives up what it takes.
Later, when pumps are created again, limits permit it (RLIMIT_NICE, RLIMIT_RTPRIO), or CAP_SYS_NICE where root itself
must not raise these.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError

POLICIES: Final = {"other": os.SCHED_OTHER, "batch": os.SCHED_BATCH, "fifo": os.SCHED_FIFO, "rr": os.SCHED_RR}
REAL_TIME: Final = ("fifo", "rr")
PRIORITY_MAX: Final = 99
NICE: Final = (-20, 19)


@dataclass(frozen=True, slots=True)
class Scheduling:
    """What was asked for; None: as the agent was started."""

    nice: int | None = None
    cpus: tuple[int, ...] | None = None
    policy: str | None = None
    priority: int = 0
    """Of a real-time policy, 1 to 99; else 0."""

    def permit(self) -> None:
        """See to it that ``for_pumps`` is permitted, now and later; ConfigError says what it takes."""
        for which, value in self._limits():
            _raise_limit(which, value)
        sched = f"{self.policy}:{self.priority}" if self.priority else f"{self.policy}"
        for option, given in (
            (f"--nice {self.nice}", Scheduling(nice=self.nice)),
            (f"--sched {sched}", Scheduling(policy=self.policy, priority=self.priority)),
            (f"--cpus {','.join(map(str, self.cpus or ()))}", Scheduling(cpus=self.cpus)),
        ):
            try:
                with given.for_pumps():
                    pass
            except PermissionError:
                raise ConfigError(
                    f"{option}: not permitted: start as root, or raise the limit (ulimit -e or -r); "
                    "a service has Nice=, CPUSchedulingPolicy= and CPUAffinity= instead",
                    code=ErrorCode.NOT_ROOT,
                ) from None
            except OSError as error:
                raise ConfigError(
                    f"{option}: {error.strerror}: this process may use the CPUs "
                    f"{','.join(map(str, sorted(os.sched_getaffinity(0))))}",
                    code=ErrorCode.OUT_OF_RANGE,
                ) from error

    def takes_a_capability(self) -> bool:
        """Whether ``for_pumps`` is permitted by CAP_SYS_NICE alone."""
        return not all(_suffices(which, value) for which, value in self._limits())

    def _limits(self) -> Iterator[tuple[int, int]]:
        """The limits that permit what was asked for (setrlimit(2))."""
        if self.nice is not None:
            yield resource.RLIMIT_NICE, 20 - self.nice
        if self.priority:
            yield resource.RLIMIT_RTPRIO, self.priority

    @contextlib.contextmanager
    def for_pumps(self) -> Iterator[None]:
        """Threads that are created in this context are scheduled so; OSError where that is not permitted."""
        with contextlib.ExitStack() as undo:
            if self.cpus is not None:
                undo.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
                os.sched_setaffinity(0, self.cpus)
            if self.nice is not None:
                undo.callback(os.setpriority, os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0))
                os.setpriority(os.PRIO_PROCESS, 0, self.nice)
            if self.policy is not None:
                undo.callback(os.sched_setscheduler, 0, os.sched_getscheduler(0), os.sched_getparam(0))
                os.sched_setscheduler(0, POLICIES[self.policy], os.sched_param(self.priority))
            yield


def _suffices(which: int, value: int) -> bool:
    limit = resource.getrlimit(which)[0]
    return limit == resource.RLIM_INFINITY or limit >= value


def _raise_limit(which: int, value: int) -> None:
    """Raise the limit to ``value``, if this process may."""
    if _suffices(which, value):
        return
    hard = resource.getrlimit(which)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (value, hard if hard == resource.RLIM_INFINITY else max(hard, value)))


def parse(nice: int | None, cpus: str | None, sched: str | None) -> Scheduling:
    """The values of ``--nice``, ``--cpus`` and ``--sched``; ConfigError."""
    if nice is not None and not NICE[0] <= nice <= NICE[1]:
        raise ConfigError(f"--nice {nice} is out of range ({NICE[0]} to {NICE[1]})", code=ErrorCode.OUT_OF_RANGE)
    policy, _, priority = (sched or "").partition(":")
    if sched is not None and policy not in POLICIES:
        raise ConfigError(f"--sched {sched!r}: expected one of {', '.join(POLICIES)}; fifo and rr with :PRIORITY")
    if (policy in REAL_TIME) != bool(priority):
        raise ConfigError(f"--sched {sched!r}: fifo and rr take a priority, as in fifo:10; the others take none")
    if priority and not (priority.isascii() and priority.isdigit() and 1 <= int(priority) <= PRIORITY_MAX):
        raise ConfigError(
            f"--sched {sched!r}: the priority is out of range (1 to {PRIORITY_MAX})", code=ErrorCode.OUT_OF_RANGE
        )
    return Scheduling(nice, None if cpus is None else _cpus(cpus), policy or None, int(priority or 0))


def _cpus(text: str) -> tuple[int, ...]:
    """The CPUs of a list such as ``2,4-7``, as taskset(1) takes it."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        words = (first, last) if dash else (first, first)
        if not all(word.isascii() and word.isdigit() and len(word) < 5 for word in words):
            raise ConfigError(f"--cpus {text!r}: expected numbers and ranges, as in 2,4-7")
        found.update(range(int(words[0]), int(words[1]) + 1))
    if not found:
        raise ConfigError(f"--cpus {text!r}: no CPU is in it")
    return tuple(sorted(found))
