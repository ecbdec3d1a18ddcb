"""The model of one direction against which the bench checks every access of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.hdl.memory import Memory

MASK = 0xFFFF_FFFF


@dataclass
class Direction:
    """One direction: its rings, its indices, and the doorbells that were rung."""

    name: str
    source: Memory
    sink: Memory
    source_ring: int
    sink_ring: int
    size: int
    prod_line: int
    cons_line: int
    target: int = 0  # value of the last doorbell
    published: int = 0
    doorbells: set[int] = field(default_factory=set)
    cons_doorbells: set[int] = field(default_factory=set)
    publications: int = 0
    moved: int = 0
    hostile: bool = False  # the register writes are arbitrary: only containment is checked
    start: int = 0  # index of the next start
    starting: bool = False  # from start_at to restart

    def start_at(self, start: int) -> None:
        """Expect ``start`` in both index words at the next start."""
        self.start, self.starting = start, True

    def restart(self) -> None:
        """Reset the model after a start, which must have written ``start`` for both sides."""
        self.starting = False
        self.target = self.published = self.start
        self.doorbells = set()
        self.cons_doorbells = set()
        assert self.sink.core.load32(self.prod_line) == self.start, (
            f"{self.name}: the start index is not at the consumer"
        )
        assert self.source.core.load32(self.cons_line) == self.start, (
            f"{self.name}: the start index is not at the producer"
        )

    @property
    def cons_seen(self) -> int:
        """The cons that the producer sees."""
        return self.source.core.load32(self.cons_line)

    def spans(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield ring offset and length of the bytes [start, stop): two pairs where they wrap."""
        left = (stop - start) & MASK
        while left:
            at = start & (self.size - 1)
            count = min(left, self.size - at)
            yield at, count
            start, left = start + count, left - count

    def put(self, start: int, data: bytes) -> None:
        """Store ``data`` at index ``start`` of the source ring, as the producer does."""
        done = 0
        for at, count in self.spans(start, start + len(data)):
            self.source.bytes[self.source_ring + at : self.source_ring + at + count] = data[done : done + count]
            done += count

    def get(self, start: int, stop: int) -> bytes:
        """Return the bytes [start, stop) of the destination ring, as the consumer reads them."""
        ring = self.sink_ring
        return b"".join(self.sink.bytes[ring + at : ring + at + count] for at, count in self.spans(start, stop))

    def unpublished(self, ring_at: int, count: int) -> bool:
        """Return whether ``count`` bytes at ring offset ``ring_at`` lie in [published, target)."""
        # One comparison is enough: the span never exceeds the ring.
        ahead = (ring_at - self.published) & (self.size - 1)
        return ahead + count <= (self.target - self.published) & MASK

    def on_prod_word(self, value: int) -> str | None:
        """Check a prod word that the engine writes; return the violation, or None.

        The value must be that of a doorbell, and the bytes that it covers must be in the destination.
        """
        if self.starting and value == self.start:
            return None
        if value not in self.doorbells:
            return f"{self.name}: published {value:#x} is not the value of a doorbell"
        step = (value - self.published) & MASK
        if not 0 < step <= (self.target - self.published) & MASK:
            return f"{self.name}: published {value:#x} after {self.published:#x}"
        for at, count in self.spans(self.published, value):
            a = self.source.bytes[self.source_ring + at : self.source_ring + at + count]
            b = self.sink.bytes[self.sink_ring + at : self.sink_ring + at + count]
            if a != b:
                return f"{self.name}: {value:#x} is visible before its bytes at ring offset {at:#x}"
        self.published = value
        self.publications += 1
        self.moved += step
        return None
