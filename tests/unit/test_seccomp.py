"""The list of system calls: the filter's decisions, its numbers, and the kernel's view of a process under it."""

from __future__ import annotations

import errno
import re
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from vnetcard.agent import seccomp
from vnetcard.agent.config import load
from vnetcard.agent.privileges import allowed_calls
from vnetcard.ring.layout import HOST

ALLOW = 0x7FFF_0000
REFUSE, MISSING = 0x0005_0000 | errno.EPERM, 0x0005_0000 | errno.ENOSYS
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def decide(code: Sequence[bytes], architecture: int, number: int, argument: int = 0) -> int:
    """What the kernel's interpreter returns for a call."""
    data = struct.pack("=IIQQ", number, architecture, 0, argument)
    value = at = 0
    while True:
        kind, then, otherwise, k = struct.unpack("=HBBI", code[at])
        at += 1
        if kind == 0x06:
            return int(k)
        if kind == 0x20:
            (value,) = struct.unpack_from("=I", data, k)
        else:
            true = {0x15: value == k, 0x25: value > k, 0x45: bool(value & k)}[kind]
            at += then if true else otherwise


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_filter_allows_the_table_and_refuses_everything_else(machine: str) -> None:
    column, architecture = seccomp.MACHINES[machine]
    code = list(seccomp.program(seccomp.NUMBERS, machine))
    assert len(code) < 4096
    allowed = {numbers[column] for name, numbers in seccomp.NUMBERS.items() if name != "clone"}
    clone = seccomp.NUMBERS["clone"][column]
    for number in range(seccomp.NEWEST + 1):
        expected = ALLOW if number in allowed else MISSING if number == seccomp.CLONE3 else REFUSE
        assert decide(code, architecture, number) == expected, number
    assert clone is not None
    assert decide(code, architecture, clone, 0x3D0F00) == ALLOW  # as the C library starts a thread
    assert decide(code, architecture, clone, 17) == REFUSE  # as it forks
    assert decide(code, architecture, seccomp.NEWEST + 1) == MISSING
    assert decide(code, architecture, 0x4000_0000) == MISSING  # the x32 calls of x86-64
    other = next(arch for name, (_, arch) in seccomp.MACHINES.items() if name != machine)
    assert decide(code, other, 0) == REFUSE


def test_nothing_that_starts_a_program_or_changes_the_system_is_in_the_table() -> None:
    kinds = "exec|fork|kill$|mount|module|bpf|ptrace|process_vm|chroot|pivot|unshare|reboot|kexec|key|^set.*[ug]id|iopl"
    kinds += "|io_uring|userfaultfd|swapon|clock_settime|adjtime|hostname|quota|perf_event|open_by_handle|pidfd"
    assert [name for name in seccomp.NUMBERS if re.search(kinds, name) and name != "tgkill"] == []
    assert seccomp.ONLY_TO_FOLLOW not in allowed_calls(load(HOST, ["--privileges", "least"]))
    assert seccomp.ONLY_TO_FOLLOW in allowed_calls(load(HOST, []))


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip(f"{HEADERS[machine]} is not installed")
    found = re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", HEADERS[machine].read_text())
    numbers = {"newfstatat" if name == "fstatat" else name: int(number) for name, number in found}
    column = seccomp.MACHINES[machine][0]
    wrong = {
        name: (both[column], numbers.get(name))
        for name, both in seccomp.NUMBERS.items()
        if both[column] != numbers.get(name)
    }
    assert wrong == {}


UNDER_THE_FILTER = """
import os, subprocess, threading
from vnetcard.agent import seccomp
from vnetcard.terminal import capabilities as caps
ready, go = threading.Event(), threading.Event()
refused = []
def attempt(what):
    try:
        what()
    except OSError as error:
        refused.append(error.errno)
def serve():
    ready.set()
    go.wait()
    attempt(lambda: os.chroot("/"))
older = threading.Thread(target=serve)
older.start()
ready.wait()
caps.no_new_privileges()
seccomp.install([name for name in seccomp.NUMBERS if name != "setns"])
go.set()
older.join()
attempt(os.fork)
attempt(lambda: subprocess.run(["true"]))
attempt(lambda: os.execv("/bin/true", ["true"]))
newer = threading.Thread(target=lambda: attempt(lambda: os.setuid(0)))
newer.start()
newer.join()
print(caps.held()["seccomp"], *refused)
"""


def test_process_under_the_filter_has_threads_and_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", UNDER_THE_FILTER], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["2", *["1"] * 5], done.stdout + done.stderr
