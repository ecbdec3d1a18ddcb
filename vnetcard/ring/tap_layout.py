"""The tap segment: memory that an agent lends to one reader, with a ring of events for each of its pumps.

This table is the single source; ``python -m vnetcard.engine.layoutgen`` makes ``_c/vnc_tap_layout.h`` of it.  Every
line has one writer.  The reader may write anything anywhere: the agent reads back only ``cons``, and a wrong value
can only make the reader miss events.
"""

from __future__ import annotations

from typing import Final

from vnetcard.ring import layout as L
from vnetcard.ring.block import Block, lay_out

MAGIC: Final = 0x3150_4154_4443_4E56
"""``VNCDTAP1`` as little-endian bytes."""
VERSION: Final = 2

STAGES: Final[dict[str, int]] = {
    "READ": 0,  # the tx pump has a packet from its port; before: room was found; value: us that this took
    "COMMIT": 1,  # the packet is a record, not published yet
    "PUBLISH": 2,  # doorbell or wake-up is done; before: prod could be seen; seq: the first of len records
    "PEEK": 3,  # the rx pump has found a record; before: it woke up, 0: it was awake; value: us that it slept
    "WRITE": 4,  # the port has the packet, or it was dropped; value: the errno of a refusal
    "RELEASE": 5,  # the space is given back; before, seq and len as with PUBLISH
}
PACKET_STAGES: Final = ("READ", "COMMIT", "PEEK", "WRITE")
"""The stages of single packets, which can carry their bytes."""

FLAGS: Final[dict[str, int]] = {
    "VNET": 1 << 0,  # vnet is valid: the packet is led by it in the ring
    "NOSEQ": 1 << 1,  # dropped before it became a record: seq is that of the next one
    "ETHERNET": 1 << 2,  # the packet is an Ethernet frame, else an IP packet
}

NOTICES: Final[dict[str, int]] = {
    "NONE": 0,  # the peer polls: the sides cannot wake one another
    "RUNG": 1,  # the doorbell of a DMA engine
    "AWAKE": 2,  # the peer does not sleep
    "WOKEN": 3,  # the peer slept, and was woken
}
"""``value`` of PUBLISH and RELEASE: how the peer was notified."""

STATES: Final[dict[str, int]] = {
    "WAITING": 0,  # the pumps do not write to it yet
    "OPEN": 1,
    "CLOSED": 2,  # the agent has ended, or has no window at the moment
}

HEAD: Final = Block(
    "tap_head",
    2 * L.LINE,
    "agent",
    "reader",
    "complete before the segment is lent; state with release",
    lay_out(
        ("magic", 8, "`VNCDTAP1`"),
        ("version", 4, "of this table"),
        ("state", 4, "WAITING, OPEN, CLOSED"),
        ("side", 4, "0 host, 1 card"),
        ("pid", 4, "of the agent"),
        ("stages", 4, "which stages are noted, a bit mask"),
        ("bytes_of", 4, "which of them with the packet's bytes"),
        ("snap", 4, "at most so many bytes of a packet"),
        ("sample", 4, "records whose seq is a multiple of this are noted; drops always are"),
        ("ring_bytes", 4, "size of each ring"),
    ),
)
PROD: Final = Block(
    "tap_prod",
    L.LINE,
    "pump",
    "reader",
    "prod with release, after the events that it covers",
    lay_out(
        ("prod", 4, "bytes of events written, free-running, a multiple of 64"),
        ("reserved", 4, "0"),
        ("noted", 8, "events written"),
        ("missed", 8, "events that found no room"),
    ),
)
CONS: Final = Block(
    "tap_cons",
    L.LINE,
    "reader",
    "pump",
    "cons with release, after the last read of what it frees",
    lay_out(("cons", 4, "bytes of events read, free-running, a multiple of 64")),
)
EVENT: Final = Block(
    "tap_event",
    L.LINE,
    "pump",
    "reader",
    "complete before prod covers it; the packet's bytes follow, padded to a multiple of 64",
    lay_out(
        ("size", 4, "bytes with what follows, a multiple of 64"),
        ("stage", 1, "READ, COMMIT, ..."),
        ("drop", 1, "word of the drop in this pump's ledger; 0: not dropped"),
        ("flags", 2, "VNET, NOSEQ, ETHERNET"),
        ("time", 8, "CLOCK_MONOTONIC in nanoseconds: the step is done"),
        ("generation", 8, "this side's epoch << 32 | the peer's"),
        ("seq", 4, "number of the record in its generation"),
        ("len", 4, "bytes of the packet without virtio_net_hdr; records of PUBLISH and RELEASE"),
        ("index", 4, "prod, or cons, afterwards"),
        ("kept", 4, "bytes of the packet that follow"),
        ("before", 8, "when the step could begin, as time; 0: not known"),
        ("vnet", 10, "the virtio_net_hdr"),
        ("queue", 2, "of the pump"),
        ("value", 4, "see the stage"),
    ),
)
BLOCKS: Final = (HEAD, PROD, CONS, EVENT)

LINES: Final[dict[str, int]] = {"tx_prod": 0x080, "tx_cons": 0x100, "rx_prod": 0x180, "rx_cons": 0x200}
RINGS_OFFSET: Final = 0x1000
RING_MIN: Final = 256 << 10
"""Room for three of the largest packets."""
RING_MAX: Final = 64 << 20
TAPS_MAX: Final = 4
"""Readers of one agent at a time."""


def mask(names: tuple[str, ...]) -> int:
    """The bit mask of stages."""
    return sum(1 << STAGES[name] for name in names)
