"""Kills agents and waits until the link is back, for the tests of restarts and of exits."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.harness.pings import run_pings
from vnetcard.agent.control import socket_path
from vnetcard.lab.lab import ADDRESSES, MODULES, Lab, run_in
from vnetcard.ping.suite import Target
from vnetcard.ring import layout as L
from vnetcard.window.sim_bus import memory_name

GENEROUS = 60.0
"""Seconds for what takes well under one: a very busy machine must not fail a test."""
OUTAGE = frozenset({"lost_restart", "drop_link_down", "drop_peer_dead", "drop_offload"})
"""Counters that may move when an agent is killed under load."""


def chance() -> random.Random:
    """A random generator whose seed is printed; VNETCARD_SEED=... repeats it."""
    seed = int(os.environ.get("VNETCARD_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"VNETCARD_SEED={seed}")
    return random.Random(seed)


def shm_path(lab: Lab) -> Path:
    """The window's file."""
    return Path("/dev/shm", lab.url.removeprefix("shm:"))


def memory_path(lab: Lab, side: int) -> Path:
    """The file in which the agent of ``side`` keeps its block: the window's, or its own memory's in a simulation."""
    kind, _, name = lab.url.partition(":")
    return Path("/dev/shm", memory_name(name, side)) if kind == "sim" else shm_path(lab)


def left_behind(lab: Lab) -> list[str]:
    """What agents of ``lab`` created and did not remove: window, sockets, interfaces."""
    found = [str(path) for path in (shm_path(lab), *(socket_path(lab.url, side) for side in (0, 1))) if path.exists()]
    for netns in lab.namespaces:
        listing = subprocess.run(["ip", "-n", netns, "-o", "link"], capture_output=True, text=True, check=True)
        names = [line.split(": ")[1] for line in listing.stdout.splitlines()]
        found += [f"{name} in {netns}" for name in names if name != "lo"]
    return found


class Handshake:
    """The control words of both sides, read from the window's file."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def word(self, side: int, name: str) -> int:
        """A word of a side block; 0 without a window."""
        at = L.side_offset(side) + L.SIDE_CONTROL.offset(name)
        try:
            with memory_path(self._lab, side).open("rb", buffering=0) as file:
                return int.from_bytes(os.pread(file.fileno(), 4, at), "little")
        except FileNotFoundError:
            return 0

    def poke(self, side: int, name: str, value: int) -> None:
        """Write a word, as a faulty peer might."""
        at = L.side_offset(side) + L.SIDE_CONTROL.offset(name)
        with memory_path(self._lab, side).open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), value.to_bytes(4, "little"), at)

    def epochs(self) -> tuple[int, int]:
        """The epochs of host and card."""
        return self.word(L.HOST, "epoch"), self.word(L.CARD, "epoch")

    def running(self) -> bool:
        """Whether both sides are in the state RUN and have answered each other's current epoch."""
        host, card = self.epochs()
        answered = self.word(L.HOST, "answered"), self.word(L.CARD, "answered")
        states = {self.word(side, "state") for side in (L.HOST, L.CARD)}
        return 0 not in (host, card) and answered == (card, host) and states == {L.STATES["RUN"]}


def until(condition: Callable[[], bool], what: str, *, limit: float = GENEROUS) -> float:
    """Wait for ``condition``; returns the time.monotonic() at which it was true."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {limit:.0f} s"
        time.sleep(0.001)
    return time.monotonic()


def kill_and_restart(
    lab: Lab, sides: Sequence[int], options: Sequence[Sequence[str]] = ((), ()), *, pause: float = 0.0
) -> float:
    """Kill the agents of ``sides`` by SIGKILL and start them in that order.

    Returns the seconds from the last start until both sides are in the state RUN.
    """
    handshake = Handshake(lab)
    before = handshake.epochs()
    for side in sides:
        lab.stop(side, signal.SIGKILL)
    time.sleep(pause)
    began = 0.0
    for side in sides:
        began = time.monotonic()
        lab.start(side, *options[side])

    def back() -> bool:
        now = handshake.epochs()
        return all(now[side] != before[side] for side in sides) and handshake.running()

    return until(back, "the link is back") - began


def ping(lab: Lab, side: int, *, count: int = 3, size: int = 56, limit: int = 10, tries: int = 3) -> None:
    """Ping from ``side`` to the other side; all pings must be answered in one of ``tries`` attempts.

    A kernel that follows a short loss of carrier late (linkwatch) drops what is sent meanwhile.  What the agents
    drop is in the ledger, which the tests check.
    """
    command = ["ping", "-q", "-c", str(count), "-i", "0.02", "-s", str(size), "-W", str(limit), ADDRESSES[1 - side]]
    said = ""
    for _ in range(tries):
        done = subprocess.run(run_in(lab.namespaces[side], command), capture_output=True, text=True, check=False)
        if f"{count} packets transmitted, {count} received" in done.stdout:
            return
        said += done.stdout + done.stderr
    raise AssertionError(said)


def fast_retries(lab: Lab) -> None:
    """Let TCP retransmit after 5 ms instead of 200, so that it continues as soon as the link does."""
    for netns, address in zip(lab.namespaces, ADDRESSES, strict=True):
        words = ["ip", "-n", netns, "route", "replace", "10.10.10.0/24", "dev", "tun0", "src", address]
        subprocess.run([*words, "proto", "kernel", "scope", "link", "rto_min", "5ms"], check=True)


def spread(what: str, seconds: Iterable[float]) -> str:
    """Print and return ``what: n times, min/median/max in ms``."""
    times = sorted(seconds)
    low, middle, high = (1000 * value for value in (times[0], statistics.median(times), times[-1]))
    line = f"{what}: {len(times)} times, min/median/max {low:.0f}/{middle:.0f}/{high:.0f} ms"
    print(line)
    return line


def end_quietly(processes: Iterable[subprocess.Popen[str]]) -> None:
    """Kill those of ``processes`` that still run, and reap all."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def start_fails(lab: Lab, side: int, *options: str) -> tuple[int, str]:
    """Start an agent that ends by itself; returns its exit status and its stderr."""
    command = [sys.executable, "-m", MODULES[side], "--window", lab.window, "--netns", lab.namespaces[side], *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=GENEROUS)
    return done.returncode, done.stderr


def link_line(lab: Lab, side: int, name: str = "tun0") -> str:
    """The line of ``ip link`` for the interface on ``side``; empty without one."""
    command = ["ip", "-n", lab.namespaces[side], "-o", "link", "show", name]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def ping_suite(lab: Lab, sizes: Sequence[int] = (0, 56, 1472, 8000), *, count: int = 2) -> None:
    """Ping every size in both directions; none may be lost."""
    lab.wait_open()
    targets = [Target(ADDRESSES[1 - side], netns=lab.namespaces[side], label=L.SIDES[side]) for side in (0, 1)]
    results = run_pings(targets, count=count, sizes=sizes)
    assert all(result.ok for result in results), "\n".join(str(result) for result in results if not result.ok)
