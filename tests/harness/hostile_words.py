"""A card that writes any words into side blocks; tests/adversary has a faster one with many ways to attack."""

from __future__ import annotations

import itertools
import random
import time

from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SideBlock
from vnetcard.window import open_window


class HostileWords:
    """The card's side of the window ``url``."""

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

    def overwrite(self, seconds: float) -> None:
        """Write the host's own epoch all the time, with a heartbeat."""
        self.greet()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.own.beat()
            for _ in range(20):
                self.host.store("epoch", self._dice.randrange(1, 2**32))
            time.sleep(0.0005)

    def close(self) -> None:
        self.say(epoch=0)
        self.window.close()
