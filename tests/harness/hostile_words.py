"""A card that is hostile in its words alone: it writes side blocks and indices as fast as it can, in a thread."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import Final

from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SideBlock
from vnetcard.window import open_window


class HostileWords:
    """The card's side of the window ``url``; ``attack`` repeats one of ``ATTACKS``."""

    def __init__(self, url: str, seed: int) -> None:
        self.window = open_window(url, side=L.CARD)
        memory = self.window.memory
        self.own, self.host = SideBlock(memory, L.CARD), SideBlock(memory, L.HOST)
        self._prod = L.queue_offset(0) + L.QUEUE_LINES["c2h_prod"]
        self._dice, self._epochs = random.Random(seed), itertools.count(0xBEEF)

    def say(self, **words: int) -> None:
        for name, value in words.items():
            self.own.store(name, value)

    def greet(self) -> None:
        """A new epoch, with everything else as it should be."""
        self.window.memory.store32(self._prod, 0)
        self.say(version=L.VERSION, mtu=1500, features=0, queue_mask=1, epoch=next(self._epochs))

    def answer(self) -> bool:
        """Answer the host; True once it has answered, too."""
        self.say(answered=self.host.load("epoch"))
        return self.host.load("answered") == self.own.load("epoch")

    def attack(self, step: Callable[[HostileWords], None], seconds: float) -> None:
        """Repeat ``step`` in this thread, with a heartbeat."""
        self.greet()
        until, stop = time.monotonic() + seconds, threading.Event()
        while time.monotonic() < until and not stop.is_set():
            self.own.beat()
            for _ in range(20):
                step(self)
            time.sleep(0.0005)

    # --- attacks ---

    def violates(self) -> None:
        """An impossible index as soon as the link runs."""
        if self.answer():
            self.window.memory.store32(self._prod, 7)

    def violates_again(self) -> None:
        """The same, each time with a new epoch."""
        if self.answer() and self.host.load("state") == L.STATES["RUN"]:
            self.window.memory.store32(self._prod, 7)
        elif self.host.load("state") != L.STATES["RUN"] and self._dice.randrange(50) == 0:
            self.greet()

    def restarts(self) -> None:
        """A new epoch as soon as the link runs."""
        if self.answer() and self.host.load("state") == L.STATES["RUN"]:
            self.greet()

    def changes_epoch_back(self) -> None:
        """Another epoch for a moment."""
        if self.answer():
            epoch = self.own.load("epoch")
            self.say(epoch=epoch ^ 1)
            self.say(epoch=epoch)

    def overwrites(self) -> None:
        """The host's own words."""
        self.host.store("epoch", self._dice.randrange(1, 2**32))

    def changes_its_version(self) -> None:
        """Refused, and not, and refused for another reason."""
        self.answer()
        self.say(version=self._dice.choice([L.VERSION, 7, self._dice.randrange(2**32)]), epoch=next(self._epochs))

    def changes_its_mtu(self) -> None:
        """An MTU in range when it is answered, and out of range a moment later."""
        self.say(mtu=self._dice.choice([1500, 1000, 0, self._dice.randrange(2**32)]))
        self.restarts()

    def close(self) -> None:
        self.say(epoch=0)
        self.window.close()


ATTACKS: Final = (
    HostileWords.violates,
    HostileWords.violates_again,
    HostileWords.restarts,
    HostileWords.changes_epoch_back,
    HostileWords.overwrites,
    HostileWords.changes_its_version,
    HostileWords.changes_its_mtu,
)
