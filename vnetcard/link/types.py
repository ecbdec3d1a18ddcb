"""The states of a link, what its sides offer and agree on, and the interface of its owner."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Protocol

from vnetcard.codes.link import LinkReason
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import served_queues

RANDOM = SystemRandom()
"""Where epochs come from; a simulation takes a generator with a seed."""
OFFLOADS = sum(L.FEATURES[name] for name in L.OFFLOADS)
_FRAMES_IN_WORDS = {L.FRAMES["IP"]: "IP packets (tun)", L.FRAMES["ETHERNET"]: "Ethernet frames (tap, packet)"}


class LinkState(enum.Enum):
    """The state of one side of a link; ``status`` shows its value."""

    DOWN = "down"
    WAITING = "waiting"  # for a peer
    HANDSHAKE = "handshake"
    RUN = "run"
    PEER_DEAD = "peer-dead"
    REFUSED = "refused"
    BRAKED = "braked"  # after what the peer did, for a pause
    HALTED = "halted"  # the DMA engine has stopped with a fault
    GONE = "gone"  # the memory or its device


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides have agreed on: ``features`` as bits of layout.FEATURES; ``mtu`` and ``packet_max`` in bytes.

    ``packet_max`` is the largest packet, which segmentation offload and an Ethernet header with its VLAN tags make
    larger than the MTU.  ``peer_irq`` is the
    ``irq_number`` of the peer's side block, ``queues`` the number of queue pairs in use, from the first on.
    """

    features: int
    mtu: int
    packet_max: int
    peer_irq: int = 0
    queues: int = 1


@dataclass(slots=True)
class Offer:
    """What this side offers: ``features`` as bits of layout.FEATURES, ``mtu`` in bytes.

    ``refusals`` maps each feature that is not offered to the reason.  ``irq_number`` is the number to which the peer
    sends interrupts, ``queues`` the number of queue pairs that this side serves, ``frames`` the kind of its packets
    (layout.FRAMES).  ``layout`` is the checksum of the superblock that this side runs on and the peer must run on, 0
    where the peer has another memory.  ``probe`` tells of features which of them the port refuses now, while the link
    runs, too; None where that cannot be tested.  ``withdrawn`` are features that were offered until packets with them
    were refused (``link/withdrawn.py``).  ``mac`` is the only MAC address (6 bytes) that the peer's frames may have, or
    empty.  ``merge`` are the kinds of packets, _core.MERGE_*, of which this side writes several together.
    """

    features: int
    mtu: int
    refusals: dict[str, str] = field(default_factory=dict)
    irq_number: int = 0
    queues: int = 1
    frames: int = L.FRAMES["IP"]
    layout: int = 0
    probe: Callable[[int], int] | None = None
    withdrawn: int = 0
    mac: bytes = b""
    merge: int = 0

    @property
    def queue_mask(self) -> int:
        """The queue pairs that this side serves, one bit per pair, as in its side block."""
        return (1 << self.queues) - 1

    def agree(self, features: int, mtu: int, irq_number: int = 0, queue_mask: int = 1) -> Agreement:
        """What both sides support, given what the peer offers."""
        common = self.features & features
        if not common & L.FEATURES["CSUM"]:
            common &= ~OFFLOADS  # the others need it
        agreed = min(self.mtu, mtu)
        super_packets = common & OFFLOADS & ~L.FEATURES["CSUM"]
        packet_max = L.FRAME_MAX - L.VNET_HDR if super_packets else agreed + L.FRAME_OVERHEAD[self.frames]
        return Agreement(common, agreed, packet_max, irq_number, served_queues(self.queue_mask & queue_mask))


class Listener(Protocol):
    """The owner of a ``Link``, called in the thread that calls ``tick``."""

    def link_up(self, agreement: Agreement) -> None:
        """Prepare the port: packets are about to move; ``carrier(True)`` follows."""

    def carrier(self, up: bool, reason: str) -> None:
        """Set the carrier; packets move once ``carrier(True)`` has returned."""

    def report(self, message: str, code: LinkReason) -> None:
        """A line for the log, and its code; about a change of state it comes after the change."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why this side refuses to work with the peer: ``code`` for programs, ``text`` for people."""

    code: LinkReason
    text: str


def objection(
    version: int, mtu: int, frames: int, own_frames: int, *, layouts: tuple[int, int] = (0, 0)
) -> Refusal | None:
    """Why this side cannot work with a peer of wire format ``version`` that accepts ``mtu`` bytes, or None.

    ``frames`` and ``own_frames``: the kinds of packets of the peer and of this side (layout.FRAMES).
    ``layouts``: what the peer and this side say about their superblocks; 0 says nothing.
    """
    if version != L.VERSION:
        text = f"the peer speaks wire format {version}, this side {L.VERSION}: update the older one"
        return Refusal(LinkReason.VERSION_MISMATCH, text)
    if not L.MTU_MIN <= mtu <= L.MTU_MAX:
        text = f"the peer offers an MTU of {mtu}, out of range ({L.MTU_MIN} to {L.MTU_MAX})"
        return Refusal(LinkReason.MTU_OUT_OF_RANGE, text)
    if frames != own_frames:
        peer, own = (_FRAMES_IN_WORDS.get(one, f"unknown packets ({one})") for one in (frames, own_frames))
        text = f"the peer moves {peer}, this side {own}: give both agents a --port of the same kind"
        return Refusal(LinkReason.FRAMES_MISMATCH, text)
    if 0 not in layouts and layouts[0] != layouts[1]:
        text = f"the peer runs on another layout of this window ({layouts[0]:08x}, not {layouts[1]:08x})"
        return Refusal(LinkReason.LAYOUT_DIFFERS, text)
    return None


def new_epoch(*taken: int) -> int:
    """A random epoch that is none of ``taken``, not 0, and not what a device that is gone reads as."""
    while (epoch := RANDOM.getrandbits(32)) in (0, 0xFFFF_FFFF, *taken):
        pass
    return epoch
