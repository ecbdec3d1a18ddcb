"""The handshake against a peer that writes anything: an input is a script of ticks and hostile words.

Afterwards an honest peer starts, and the link must come up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tests.unit.link_harness import Journal, LinkHarness, Side
from vnetcard.link.types import Agreement, LinkState, Offer
from vnetcard.ring import layout as L

OFFER: Final = Offer(L.FEATURES["CSUM"] | L.FEATURES["TSO4"] | L.FEATURES["WAKE"], 1500)
PEER: Final = L.side_offset(L.CARD)
LINES: Final = tuple(
    L.queue_offset(0) + L.QUEUE_LINES[name] for name in ("h2c_prod", "h2c_cons", "c2h_prod", "c2h_cons")
)
BACK_S: Final = 30.0
"""Seconds, by the link's clock, in which it must come up with an honest peer."""


@dataclass
class Agreements(Journal):
    """A journal that also keeps what was agreed on."""

    made: list[Agreement] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def link_up(self, agreement: Agreement) -> None:
        """Check that the peer could not extend what this side offers."""
        super().link_up(agreement)
        self.made.append(agreement)
        assert not agreement.features & ~OFFER.features
        assert L.MTU_MIN <= agreement.mtu <= OFFER.mtu
        assert agreement.queues == 1


class Script:
    """The bytes of an input; numbers at its end are 0."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def more(self) -> bool:
        """Whether there are bytes left."""
        return self._at < len(self._data)

    def number(self, size: int = 1) -> int:
        """The next number of ``size`` bytes."""
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece, "little")


def _value(script: Script, host: Side, before: int) -> int:
    """A word that a peer might write, honest or not."""
    choice = script.number() % 10
    values = (host.alive.epoch, before + 1, 0, 0xFFFF_FFFF, L.VERSION, 1500, before + 64, host.alive.answered)
    return (values[choice] if choice < len(values) else script.number(4)) & 0xFFFF_FFFF


def _hostile(script: Script, host: Side) -> None:
    """One operation of the script."""
    memory, operation = host.memory, script.number()
    if operation % 4 == 0:
        host.clock.now += 0.005 * (1 + operation // 4)
        host.tick()
    elif operation % 4 == 1:
        at = PEER + 4 * (operation // 4 % (L.LINE // 4))
        memory.store32(at, _value(script, host, memory.load32(at)))
    elif operation % 4 == 2:
        at = LINES[operation // 4 % len(LINES)] + 4 * (operation // 16 % 2)
        memory.store32(at, _value(script, host, memory.load32(at)))
    else:  # as an honest peer begins
        words = {"mtu": 1500, "version": L.VERSION, "features": OFFER.features, "epoch": 7 + operation // 4}
        for name, value in (words | {"answered": host.alive.epoch}).items():
            memory.store32(PEER + L.SIDE_CONTROL.offset(name), value)


def side_block(data: bytes) -> None:
    """The host's link, with the card's side block under the control of ``data``."""
    harness = LinkHarness(OFFER, OFFER)
    journal = Agreements()
    harness.host.journal = journal
    harness.host.start()
    script = Script(data[:400])
    while script.more:
        _hostile(script, harness.host)
        assert not journal.up or harness.host.alive.state is LinkState.RUN
    harness.card.start()
    end = harness.clock.now + BACK_S
    while not (harness.host.running and harness.card.running):
        harness.go_on(0.25, step=0.05)
        assert harness.clock.now < end, journal.lines[-5:]
    assert journal.made
    assert all(line.isprintable() for line in journal.lines)


def honest() -> dict[str, bytes]:
    """Written scripts."""
    beat = bytes([1 + 4 * 3, 1, 8])
    return {
        "peer that only waits": bytes([0] * 20),
        "handshake and heartbeats": bytes([0, 3, 0, 0]) + beat * 20,
        "new epochs without end": bytes([0, 3, 0])
        + bytes([3 + 4 * n for n in range(1, 40) for _ in (0,)])
        + bytes([0]) * 5,
        "heartbeat stops, and begins again": bytes([0, 3, 0, 0]) + beat + bytes([252] * 3) + beat * 3,
        "all ones": b"".join(bytes([1 + 4 * word, 3]) for word in range(13)) + bytes([0, 0, 252]),
        "another version, then none": bytes([0, 3, 1 + 4 * 6, 8, 9, 0, 0, 0, 0, 0, 1 + 4 * 6, 2, 0, 0]),
        "MTU of 1 and features that do not exist": bytes([0, 3, 1 + 4 * 5, 8, 1, 0, 0, 0, 1 + 16, 3, 0, 0, 0]),
        "indices that are impossible": bytes([0, 3, 0, 0, 2, 3, 2 + 4, 3, 2 + 8, 3, 2 + 12, 3, 0, 0, 0]),
        "epoch of this side as its own": bytes([0, 1, 0, 0, 1 + 4, 0, 0, 0]),
    }
