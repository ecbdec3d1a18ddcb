"""Two emulated computers, an x86-64 host and an ARM64 card, that are joined by nothing but one PCI BAR.

Both agents run as on real hardware (``--window pci:auto``): each kernel finds the ivshmem function on its own PCI bus,
and both BARs are the same file.
"""

from __future__ import annotations

import contextlib
import json
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vnetcard.lab.lab import ADDRESSES, LabError, uninterrupted
from vnetcard.ping import report
from vnetcard.ping.suite import DEFAULT_SIZES, PingResult, Target
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.qemu import Command, Guest

READY_LIMIT = 180.0
"""Seconds within which an agent is up in its guest; it takes five on an idle machine."""


class GuestPair:
    """Two guests on one BAR; ``guests`` and ``agents`` are indexed by side, HOST and CARD."""

    def __init__(self, images: Sequence[Image], tag: str = "demo", *, window: str = "pci:auto") -> None:
        """``images``: of the host and of the card.  Makes the file behind the BARs; boots nothing yet."""
        self._images, self._window = images, window
        self._made = contextlib.ExitStack()
        self.memory = Path(f"/dev/shm/vnetcard-{tag}-{os.getpid()}-bar")
        self.guests: dict[int, Guest] = {}
        self.agents: dict[int, Command] = {}
        weakref.finalize(self, self._made.close)  # for an exception between here and the caller's `with`
        with uninterrupted():
            fd = os.open(self.memory, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._made.callback(self.memory.unlink)
            with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
                os.posix_fallocate(file.fileno(), 0, L.WINDOW_DEFAULT)

    def __enter__(self) -> GuestPair:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def boot(self, *sides: int) -> None:
        """Start the guests of ``sides`` (default: both, at the same time) and return once they take commands."""
        wanted = sides or (L.HOST, L.CARD)
        for side in wanted:
            self.guests[side] = Guest(self._images[side], self.memory, wait=False)
        for side in wanted:
            self.guests[side].wait_ready()

    def start(self, *sides: int) -> None:
        """Start the agents of ``sides`` (default: both) and return once they are ready."""
        wanted = sides or (L.HOST, L.CARD)
        for side in wanted:
            guest = self.guests[side]
            self.agents[side] = guest.start(guest.machine.agent, "--window", self._window)
        for side in wanted:
            self.guests[side].wait_for_output(self.agents[side], " ready: ", limit=READY_LIMIT)

    def kill(self, side: int) -> None:
        """End the guest of ``side`` as if its power failed."""
        self.guests.pop(side).close()
        self.agents.pop(side, None)

    def wait_up(self) -> None:
        """Return once both kernels let packets through."""
        for guest in self.guests.values():
            guest.run("sh", "-c", "until ip link show tun0 | grep -q LOWER_UP; do sleep 0.05; done", limit=READY_LIMIT)

    def status(self, side: int) -> dict[str, Any]:
        """What the agent of ``side`` answers to ``vnetcard status --json``."""
        done = self.guests[side].run("vnetcard", "status", "--window", self._window, "--json")
        if done.status:
            raise LabError(f"the {L.SIDES[side]}'s status failed: {done.stderr.strip()}")
        view: dict[str, Any] = json.loads(done.stdout)["agents"][0]
        return view

    def target(self, side: int) -> Target:
        """What the guest of ``side`` pings, for reports."""
        return Target(ADDRESSES[1 - side], label=f"{L.SIDES[side]} to {L.SIDES[1 - side]}")

    def ping_from(self, side: int, sizes: Sequence[int] = DEFAULT_SIZES, *, count: int) -> list[PingResult]:
        """The ping-size suite, run by the guest of ``side`` against the other one."""
        words = ["--json", "--count", str(count), "--sizes", *map(str, sizes)]
        limit = len(sizes) * (30.0 + count)
        done = self.guests[side].run("vnetcard", "ping", ADDRESSES[1 - side], *words, limit=limit)
        if done.status not in (0, 1):
            raise LabError(f"the {L.SIDES[side]}'s pings ended with status {done.status}: {done.stderr.strip()}")
        return report.from_json(json.loads(done.stdout), self.target(side))

    def close(self) -> None:
        """End both guests; everything that was made is gone."""
        with uninterrupted():
            for side in list(self.guests):
                self.kill(side)
            self._made.close()
