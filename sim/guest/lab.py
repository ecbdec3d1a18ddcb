"""The host's agent in a namespace of this machine and a guest as the card, joined by a PCI BAR."""

from __future__ import annotations

import contextlib
import json
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from vnetcard.lab.lab import ADDRESSES, Lab, LabError, uninterrupted
from vnetcard.ping import report as pingreport
from vnetcard.ping.suite import DEFAULT_SIZES, PingResult, Target
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.qemu import Command, Guest

AGENT = "vnetcard-fpga"
CARD_LIMIT = 120.0
"""Seconds within which the guest's agent is up: it takes three, and the guest has no other processor."""


@dataclass(frozen=True, slots=True)
class WindowPlaces:
    """What joins the two: the host's window, the guest's end of it (a file, or options of QEMU), the card's window."""

    host: str
    memory: Path | None
    device: tuple[str, ...] = ()
    card: str = "pci:auto"


class CardLab:
    """The host's side, and up to one guest.  The BAR is a file that stays when a guest or an agent ends."""

    def __init__(
        self, image: Image, tag: str = "demo", *, log: IO[str] | None = None, places: WindowPlaces | None = None
    ) -> None:
        """Make the host's namespace and, without ``places``, the window's file; ConfigError: not permitted."""
        self._image = image
        self._made = contextlib.ExitStack()
        self.memory = Path(f"/dev/shm/vnetcard-{tag}-{os.getpid()}-bar")
        self.guest: Guest | None = None
        self.agent: Command | None = None
        weakref.finalize(self, self._made.close)  # for an exception between here and the caller's `with`
        try:
            with uninterrupted():
                self.places = places or self._make_file()
                self.lab = Lab(tag, window=self.places.host, log=log, sides=[L.HOST])
                self._made.callback(self.lab.close)
        except BaseException:
            self._made.close()
            raise

    def _make_file(self) -> WindowPlaces:
        fd = os.open(self.memory, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._made.callback(self.memory.unlink)
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
            os.posix_fallocate(file.fileno(), 0, L.WINDOW_DEFAULT)
        return WindowPlaces(f"file:{self.memory}", self.memory)

    def __enter__(self) -> CardLab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def boot(self, *, options: Sequence[str] = (), words: str = "") -> Guest:
        """Start a guest; ``options`` are more of QEMU's, ``words`` more of the kernel's command line."""
        self.guest = Guest(self._image, self.places.memory, options=[*self.places.device, *options], words=words)
        return self.guest

    def start_card(self, *options: str) -> None:
        """Start the card's agent in the guest and return once it is ready."""
        self.agent = self.running_guest().start(AGENT, "--window", self.places.card, *options)
        self.running_guest().wait_for_output(self.agent, " ready: ", limit=CARD_LIMIT)

    def running_guest(self) -> Guest:
        """The guest that was booted."""
        assert self.guest is not None, "no guest was booted"
        return self.guest

    def kill_guest(self) -> None:
        """End the guest at once, as a power failure of the card would."""
        self.running_guest().close()
        self.guest = self.agent = None

    def wait_up(self) -> None:
        """Return once the link runs and the interfaces are up in both kernels."""
        self.lab.wait_up()
        guest, command = self.running_guest(), "until ip link show tun0 | grep -q LOWER_UP; do sleep 0.05; done"
        guest.run("sh", "-c", command)

    def ping_from_card(self, sizes: Sequence[int] = DEFAULT_SIZES, *, count: int, target: Target) -> list[PingResult]:
        """Run the ping-size suite in the guest; ``target`` is the target in the results."""
        words = ["--json", "--count", str(count), "--sizes", *map(str, sizes)]
        limit = len(sizes) * (30.0 + count)
        done = self.running_guest().run("vnetcard", "ping", ADDRESSES[L.HOST], *words, limit=limit)
        if done.status not in (0, 1):
            raise LabError(f"the guest's pings ended with status {done.status}: {done.stderr.strip()}")
        report: dict[str, Any] = json.loads(done.stdout)
        return pingreport.from_json(report, target)

    def close(self) -> None:
        """End guest and agent; removes everything that was created."""
        with uninterrupted():
            if self.guest is not None:
                self.kill_guest()
            self._made.close()
