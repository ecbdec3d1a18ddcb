"""What two sides of a link agree on, what a side can be in, and who is told."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import served_queues

OFFLOADS = sum(L.FEATURES[name] for name in L.OFFLOADS)


class LinkState(enum.Enum):
    """What ``status`` shows."""

    DOWN = "down"
    WAITING = "waiting"  # no peer
    HANDSHAKE = "handshake"
    RUN = "run"
    PEER_DEAD = "peer-dead"
    REFUSED = "refused"
    HALTED = "halted"  # the engine stopped by itself
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides have agreed on; ``packet_max`` and ``mtu`` in bytes; ``peer_irq`` as in its side block.

    ``queues``: over how many queue pairs, the first ones of the window.
    """

    features: int
    mtu: int
    packet_max: int
    peer_irq: int = 0
    queues: int = 1


@dataclass(slots=True)
class Offer:
    """What this side offers; ``refusals`` says for each feature that is not offered, why.  ``irq_number``: its number.

    ``queues``: how many queue pairs it serves.
    """

    features: int
    mtu: int
    refusals: dict[str, str] = field(default_factory=dict)
    irq_number: int = 0
    queues: int = 1

    @property
    def queue_mask(self) -> int:
        """The queue pairs that this side serves, as its side block has them."""
        return (1 << self.queues) - 1

    def agree(self, features: int, mtu: int, irq_number: int = 0, queue_mask: int = 1) -> Agreement:
        """What both sides can, with a peer that offers this."""
        common = self.features & features
        if not common & L.FEATURES["CSUM"]:
            common &= ~OFFLOADS  # none makes sense without
        agreed = min(self.mtu, mtu)
        super_packets = common & OFFLOADS & ~L.FEATURES["CSUM"]
        packet_max = L.FRAME_MAX - L.VNET_HDR if super_packets else agreed
        return Agreement(common, agreed, packet_max, irq_number, served_queues(self.queue_mask & queue_mask))


class Listener(Protocol):
    """Who is told, in the thread that calls ``tick``."""

    def link_up(self, agreement: Agreement) -> None:
        """Packets are about to move: prepare the port; carrier up comes with ``carrier``."""

    def carrier(self, up: bool, reason: str) -> None:
        """Show ``up`` to the world; with ``up``, packets move when it returns."""

    def report(self, message: str) -> None:
        """A line for the log; if it is about the link's state, that is the new one already."""


def objection(version: int, mtu: int) -> str | None:
    """Why this side cannot work with a peer of wire format ``version`` that takes ``mtu`` bytes, or None."""
    if version != L.VERSION:
        return f"the peer speaks wire format {version}, this side {L.VERSION}: update the older one"
    if not L.MTU_MIN <= mtu <= L.MTU_MAX:
        return f"the peer offers an MTU of {mtu}; {L.MTU_MIN} to {L.MTU_MAX} is possible"
    return None
