"""A tap segment: the agent's side of it, and its reader's.

It is a sealed anonymous file: it has no name that could be left behind, and the reader cannot take memory away from
under the pumps.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vnetcard import _core
from vnetcard.errors import ConfigError, LayoutMismatch
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T

_HEAD: Final = struct.Struct("<QIIIIIIIII")
_EVENT: Final = struct.Struct("<IBBHQQIIIIQ10sHI")
_STAGE_NAMES: Final = {number: name for name, number in T.STAGES.items()}
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_MOST: Final = {
    "stages": 0xFFFF,
    "bytes_of": 0xFFFF,
    "snap": L.FRAME_MAX,
    "sample": 1 << 30,
    "ring_bytes": T.RING_MAX,
}


@dataclass(frozen=True, slots=True)
class TapRequest:
    """What a reader wants noted; the fields of the head, see ``format.py``."""

    stages: int
    bytes_of: int = 0
    snap: int = 0
    sample: int = 1
    ring_bytes: int = 1 << 20

    def question(self) -> dict[str, Any]:
        """As it is asked on the control socket."""
        return {"ask": "tap", **{name: getattr(self, name) for name in self.__slots__}}

    @classmethod
    def of(cls, question: Mapping[str, Any]) -> TapRequest:
        """From a question; ConfigError when it asks for what cannot be."""
        values = {name: question.get(name) for name in cls.__slots__}
        for name, value in values.items():
            if type(value) is not int or not 0 <= value <= _MOST[name]:
                raise ConfigError(f"a tap's {name} is 0 to {_MOST[name]}, not {value!r}")
        wish = cls(**{name: int(value or 0) for name, value in values.items()})
        if wish.ring_bytes & (wish.ring_bytes - 1) or wish.ring_bytes < T.RING_MIN or not wish.sample:
            raise ConfigError(f"a tap's ring is a power of two from {T.RING_MIN} bytes, and its sample at least 1")
        return wish

    @property
    def pane(self) -> int:
        """Bytes of the segment for each queue."""
        return pane_bytes(self.ring_bytes)


def pane_bytes(ring_bytes: int) -> int:
    """Of a pane with such rings: what the segment has for each queue."""
    return T.RINGS_OFFSET + 2 * ring_bytes


class Segment:
    """The agent's side: makes the memory, and the taps that its pumps write: for each queue, of tx and of rx."""

    def __init__(self, side: int, wish: TapRequest, queues: int = 1) -> None:
        """OSError when there is no memory."""
        self.wish = wish
        self.size = queues * wish.pane
        self.fd = os.memfd_create("vnetcard-tap", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.truncate(self.fd, self.size)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS)
            self._map = mmap.mmap(self.fd, self.size)
        except BaseException:
            os.close(self.fd)
            raise
        self._map[: _HEAD.size] = _HEAD.pack(
            T.MAGIC,
            T.VERSION,
            T.STATES["WAITING"],
            side,
            os.getpid(),
            wish.stages,
            wish.bytes_of,
            wish.snap,
            wish.sample,
            wish.ring_bytes,
        )
        self._memory = _core.Memory(self._map)
        self.taps = [(self._tap(queue, "tx", 0), self._tap(queue, "rx", 1)) for queue in range(queues)]

    def _tap(self, queue: int, end: str, number: int) -> _core.Tap:
        wish = self.wish
        pane = queue * wish.pane
        return _core.Tap(
            self._map,
            queue=queue,
            ring=pane + T.RINGS_OFFSET + number * wish.ring_bytes,
            size=wish.ring_bytes,
            own=pane + T.LINES[f"{end}_prod"],
            reader=pane + T.LINES[f"{end}_cons"],
            stages=wish.stages,
            bytes_of=wish.bytes_of,
            snap=wish.snap,
            sample=wish.sample,
        )

    def say(self, state: str) -> None:
        """Tell the reader: OPEN, WAITING, CLOSED."""
        self._memory.store32(T.HEAD.offset("state"), T.STATES[state])

    def close(self) -> None:
        """No pump uses the taps any more."""
        self.say("CLOSED")
        del self.taps
        self._memory.close()
        self._map.close()
        os.close(self.fd)


Record = tuple[str, int, tuple[int, int], int]
"""A record's name: direction, queue, epochs, number."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``direction`` h2c or c2h, ``side`` whose pump, ``epochs`` the host's and the card's."""

    side: int
    direction: str
    queue: int
    stage: str
    drop: int
    flags: int
    time: int
    epochs: tuple[int, int]
    seq: int
    length: int
    index: int
    before: int
    value: int
    vnet: bytes
    data: bytes

    @property
    def drop_name(self) -> str:
        """Under which name the packet was counted as dropped; empty: it was not."""
        if not self.drop:
            return ""
        words = L.TX_LEDGER if self.stage in ("READ", "COMMIT") else L.RX_LEDGER
        return words[self.drop] if self.drop < len(words) else f"drop {self.drop}"

    @property
    def record(self) -> Record:
        """What is the same in all events of one record, on either side."""
        return self.direction, self.queue, self.epochs, self.seq

    def batch(self, most: int = 1 << 32) -> Iterator[Record]:
        """Of PUBLISH and RELEASE: the records that it is about, at most so many of them."""
        for n in range(min(self.length, most)):
            yield self.direction, self.queue, self.epochs, (self.seq + n) & 0xFFFF_FFFF


class Reader:
    """The reader's side of a segment, of which ``fd`` was lent."""

    def __init__(self, fd: int) -> None:
        """LayoutMismatch when it is of another version."""
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        magic, version, _, self.side, self.pid, *_, self._ring_bytes = _HEAD.unpack_from(self._map)
        if (magic, version) != (T.MAGIC, T.VERSION):
            self._map.close()
            raise LayoutMismatch("the agent's tap segment is of another version: update the older one")
        self._memory = _core.Memory(self._map)
        panes = range(0, len(self._map), pane_bytes(self._ring_bytes))
        self._cons = {(pane, end): 0 for pane in panes for end in ("tx", "rx")}

    @property
    def state(self) -> str:
        """OPEN, WAITING or CLOSED."""
        number = self._memory.load32(T.HEAD.offset("state"))
        return next(name for name, value in T.STATES.items() if value == number)

    @property
    def missed(self) -> int:
        """Events that were not written, because this reader was too slow."""
        return self._sum("missed")

    @property
    def noted(self) -> int:
        """Events that were written."""
        return self._sum("noted")

    def _sum(self, field: str) -> int:
        at = T.PROD.offset(field)
        return sum(self._memory.load64(pane + T.LINES[f"{end}_prod"] + at) for pane, end in self._cons)

    def drain(self, most: int = 1 << 30) -> Iterator[Event]:
        """The events that stand in the rings now, each ring's in its order, about ``most`` bytes of each."""
        for pane, end in self._cons:
            yield from self._drain(pane, end, pane + T.RINGS_OFFSET + self._ring_bytes * (end == "rx"), most)

    def _drain(self, pane: int, end: str, ring: int, most: int) -> Iterator[Event]:
        prod = self._memory.load32(pane + T.LINES[f"{end}_prod"] + T.PROD.offset("prod"))
        cons, size = self._cons[pane, end], self._ring_bytes
        left = min((prod - cons) & 0xFFFF_FFFF, most & -L.LINE)
        direction = L.DIRECTIONS[self.side if end == "tx" else 1 - self.side]
        freed = cons
        while left > 0:
            at = cons & (size - 1)
            length, stage, drop, flags, time, generation, seq, packet, index, kept, before, vnet, queue, value = (
                _EVENT.unpack_from(self._map, ring + at)
            )
            own, peer = generation >> 32, generation & 0xFFFF_FFFF
            yield Event(
                self.side,
                direction,
                queue,
                _STAGE_NAMES[stage],
                drop,
                flags,
                time,
                (own, peer) if self.side == L.HOST else (peer, own),
                seq,
                packet,
                index,
                before,
                value,
                vnet if flags & T.FLAGS["VNET"] else b"",
                self._bytes(ring, at + _EVENT.size, kept),
            )
            cons = (cons + length) & 0xFFFF_FFFF
            left -= length
            self._cons[pane, end] = cons
            if (cons - freed) & 0xFFFF_FFFF >= size // 4:
                freed = cons
                self._free(pane, end)
        self._free(pane, end)

    def _bytes(self, ring: int, at: int, count: int) -> bytes:
        """``count`` bytes at ``at`` of a ring, around its end."""
        at &= self._ring_bytes - 1
        first = self._map[ring + at : ring + min(at + count, self._ring_bytes)]
        return first + self._map[ring : ring + count - len(first)]

    def _free(self, pane: int, end: str) -> None:
        self._memory.store32(pane + T.LINES[f"{end}_cons"], self._cons[pane, end])

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()
        self._map.close()
