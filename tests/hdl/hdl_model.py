"""One direction as the bench knows it: the model that every access of the engine is checked against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.hdl.hdl_memory import Memory

MASK = 0xFFFF_FFFF


@dataclass
class Direction:
    """One direction as the bench knows it: the model that every access is checked against."""

    name: str
    source: Memory
    sink: Memory
    source_ring: int
    sink_ring: int
    size: int
    prod_line: int
    cons_line: int
    target: int = 0  # last doorbell
    published: int = 0
    doorbells: set[int] = field(default_factory=set)
    cons_doorbells: set[int] = field(default_factory=set)
    publications: int = 0
    moved: int = 0
    hostile: bool = False  # the register writes make no sense: only containment is checked
    start: int = 0  # at which it starts
    starting: bool = False  # from start_at to restart

    def start_at(self, start: int) -> None:
        """Its next start will write this into both index words."""
        self.start, self.starting = start, True

    def restart(self) -> None:
        """It runs anew: both sides must see where."""
        self.starting = False
        self.target = self.published = self.start
        self.doorbells = set()
        self.cons_doorbells = set()
        assert self.sink.core.load32(self.prod_line) == self.start, f"{self.name}: the start is not at the consumer"
        assert self.source.core.load32(self.cons_line) == self.start, f"{self.name}: the start is not at the producer"

    def spans(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Ring offsets and lengths of the bytes [start, stop), two where they wrap."""
        left = (stop - start) & MASK
        while left:
            at = start & (self.size - 1)
            count = min(left, self.size - at)
            yield at, count
            start, left = start + count, left - count

    def put(self, start: int, data: bytes) -> None:
        """Producer: store ``data`` at index ``start`` of the source ring."""
        done = 0
        for at, count in self.spans(start, start + len(data)):
            self.source.bytes[self.source_ring + at : self.source_ring + at + count] = data[done : done + count]
            done += count

    def get(self, start: int, stop: int) -> bytes:
        """Consumer: the bytes [start, stop) of the sink's ring."""
        ring = self.sink_ring
        return b"".join(self.sink.bytes[ring + at : ring + at + count] for at, count in self.spans(start, stop))

    def unpublished(self, ring_at: int, count: int) -> bool:
        """Do ``count`` bytes at this offset lie in [published, target)?"""
        ahead = (ring_at - self.published) & (self.size - 1)
        return ahead + count <= (self.target - self.published) & MASK

    def on_prod_word(self, value: int) -> str | None:
        """The engine publishes: its bytes must be there, and it must be what the producer said."""
        if self.starting and value == self.start:
            return None
        if value not in self.doorbells:
            return f"{self.name}: published {value:#x}, which no doorbell said"
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
