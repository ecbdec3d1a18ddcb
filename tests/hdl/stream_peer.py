"""The peer of a stream port, in a buffer that holds a window: it writes records into one ring and reads the other.

Written from docs/wire-format.md with the offsets of ``layout`` alone, so that it shares no code with the RTL.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from vnetcard.ring import layout as L

MASK = 0xFFFF_FFFF
HEADER = struct.Struct("<IHHII")
VNET_HDR = 10


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of a stream: its bytes, and whether they begin with a virtio_net_hdr (TUSER)."""

    data: bytes
    vnet: bool = False


def record_bytes(count: int) -> int:
    """Return the bytes of a ring that a record with ``count`` bytes of payload occupies."""
    return -(-(16 + count) // 64) * 64


def random_packet(rng: random.Random, most: int, *, vnet: bool = False) -> Packet:
    """Return a packet of 1 to ``most`` bytes; sizes at the edges of beats and records are frequent."""
    flag = vnet and rng.random() < 0.3
    least = VNET_HDR + 1 if flag else 1
    edge = 64 * rng.randint(1, most // 64) - 16 + rng.randint(-1, 1)
    count = rng.choice((rng.randint(1, most), rng.randint(1, 80), edge, most))
    return Packet(rng.randbytes(max(least, min(count, most))), flag)


class Ring:
    """One ring in a window: its bytes, its size, and the offsets of both index words."""

    def __init__(self, window: memoryview, offset: int, size: int, direction: str) -> None:
        self.window, self.offset, self.size = window, offset, size
        self.prod_at, self.cons_at = (
            L.queue_offset(0) + L.QUEUE_LINES[f"{direction}_{name}"] for name in ("prod", "cons")
        )

    def load(self, at: int) -> int:
        return int.from_bytes(self.window[at : at + 4], "little")

    def store(self, at: int, value: int) -> None:
        self.window[at : at + 4] = (value & MASK).to_bytes(4, "little")

    def places(self, index: int, count: int) -> Iterator[int]:
        """Yield the offset in the window of each of ``count`` bytes from ``index`` on."""
        for n in range(count):
            yield self.offset + ((index + n) & (self.size - 1))

    def put(self, index: int, data: bytes) -> None:
        for place, byte in zip(self.places(index, len(data)), data, strict=True):
            self.window[place] = byte

    def get(self, index: int, count: int) -> bytes:
        return bytes(self.window[place] for place in self.places(index, count))


class Producer:
    """The peer's end of the ring that the port reads."""

    def __init__(self, ring: Ring, start: int) -> None:
        self.ring, self.prod, self.seq = ring, start, 0
        self.sent: deque[Packet] = deque()  # published, and not yet seen in the stream

    @property
    def room(self) -> int:
        return self.ring.size - ((self.prod - self.ring.load(self.ring.cons_at)) & MASK)

    def append(self, packet: Packet, **wrong: int) -> bool:
        """Store a record if there is room; ``wrong`` replaces fields of its header.  ``publish`` makes it visible."""
        if self.room < record_bytes(len(packet.data)):
            return False
        fields = {
            "len": len(packet.data),
            "flags": int(packet.vnet),
            "hdr_len": VNET_HDR if packet.vnet else 0,
            "seq": self.seq,
            "crc32c": 0,
        }
        self.ring.put(self.prod, HEADER.pack(*(fields | wrong).values()) + packet.data)
        self.prod = (self.prod + record_bytes(len(packet.data))) & MASK
        self.seq += 1
        if not wrong:
            self.sent.append(packet)
        return True

    def publish(self) -> None:
        self.ring.store(self.ring.prod_at, self.prod)


class Consumer:
    """The peer's end of the ring that the port writes."""

    def __init__(self, ring: Ring, start: int) -> None:
        self.ring, self.cons, self.seq = ring, start, 0

    def take(self, most: int) -> list[Packet]:
        """Return up to ``most`` new packets; raises AssertionError when a record breaks the format."""
        found: list[Packet] = []
        prod = self.ring.load(self.ring.prod_at)
        while self.cons != prod and len(found) < most:
            filled = (prod - self.cons) & MASK
            assert prod % 64 == 0 and filled <= self.ring.size, f"prod {prod:#x} with cons {self.cons:#x}"
            count, flags, hdr_len, seq, crc = HEADER.unpack(self.ring.get(self.cons, 16))
            assert 0 < record_bytes(count) <= filled, f"a record of {count} bytes in {filled}"
            assert (flags, hdr_len) in ((0, 0), (1, VNET_HDR)), f"flags {flags}, hdr_len {hdr_len}"
            assert (seq, crc) == (self.seq, 0), f"record {seq} instead of {self.seq}, crc32c {crc}"
            found.append(Packet(self.ring.get(self.cons + 16, count), bool(flags)))
            self.cons = (self.cons + record_bytes(count)) & MASK
            self.seq += 1
        return found

    def publish(self) -> None:
        self.ring.store(self.ring.cons_at, self.cons)
