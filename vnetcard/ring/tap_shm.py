"""A tap segment: the agent's side, which lends it, and the reader's.

It is a sealed anonymous file: it has no name that could be left behind, and the reader cannot truncate memory that the
pumps write to.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vnetcard import _core
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, LayoutMismatch
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T

_HEAD: Final = struct.Struct("<QIIIIIIIII")
_EVENT: Final = struct.Struct("<IBBHQQIIIIQ10sHI")
_STAGE_NAMES: Final = {number: name for name, number in T.STAGES.items()}
_STATE_NAMES: Final = {number: name for name, number in T.STATES.items()}
_RESTART: Final = "restart the agent"
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_TIME_MAX: Final = (1 << 63) - 1
_MOST: Final = {
    "stages": 0xFFFF,
    "bytes_of": 0xFFFF,
    "snap": L.FRAME_MAX,
    "sample": 1 << 30,
    "ring_bytes": T.RING_MAX,
}


@dataclass(frozen=True, slots=True)
class TapRequest:
    """Which events a reader wants; the fields of the segment's head, see ``tap_layout.py``."""

    stages: int
    bytes_of: int = 0
    snap: int = 0
    sample: int = 1
    ring_bytes: int = 1 << 20

    def as_question(self) -> dict[str, Any]:
        """The request for the control socket."""
        return {"ask": "tap", **{name: getattr(self, name) for name in self.__slots__}}

    @classmethod
    def of(cls, question: Mapping[str, Any]) -> TapRequest:
        """Decode a request from the control socket; raises ConfigError for values out of range."""
        values = {name: question.get(name) for name in cls.__slots__}
        for name, value in values.items():
            if type(value) is not int or not 0 <= value <= _MOST[name]:
                raise ConfigError(
                    f"a tap's {name} {value!r} is out of range (0 to {_MOST[name]})", code=ErrorCode.OUT_OF_RANGE
                )
        request = cls(**{name: int(value or 0) for name, value in values.items()})
        if request.ring_bytes & (request.ring_bytes - 1) or request.ring_bytes < T.RING_MIN or not request.sample:
            raise ConfigError(
                f"a tap's ring must be a power of two of at least {T.RING_MIN} bytes, and its sample at least 1",
                code=ErrorCode.OUT_OF_RANGE,
            )
        return request

    @property
    def area(self) -> int:
        """Bytes of the segment for each queue."""
        return queue_bytes(self.ring_bytes)


def queue_bytes(ring_bytes: int) -> int:
    """Bytes of the segment for each queue, with rings of ``ring_bytes``."""
    return T.RINGS_OFFSET + 2 * ring_bytes


class Segment:
    """The agent's side: the memory, and for each queue the taps that its tx and rx pump write."""

    def __init__(self, side: int, request: TapRequest, queues: int = 1) -> None:
        """Raises OSError when there is no memory."""
        self.request = request
        self.size = queues * request.area
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
            request.stages,
            request.bytes_of,
            request.snap,
            request.sample,
            request.ring_bytes,
        )
        self._memory = _core.Memory(self._map)
        self.taps = [(self._tap(queue, "tx", 0), self._tap(queue, "rx", 1)) for queue in range(queues)]

    def _tap(self, queue: int, end: str, number: int) -> _core.Tap:
        request = self.request
        area = queue * request.area
        return _core.Tap(
            self._map,
            queue=queue,
            ring=area + T.RINGS_OFFSET + number * request.ring_bytes,
            size=request.ring_bytes,
            own=area + T.LINES[f"{end}_prod"],
            reader=area + T.LINES[f"{end}_cons"],
            stages=request.stages,
            bytes_of=request.bytes_of,
            snap=request.snap,
            sample=request.sample,
        )

    def set_state(self, state: str) -> None:
        """Publish OPEN, WAITING or CLOSED to the reader."""
        self._memory.store32(T.HEAD.offset("state"), T.STATES[state])

    def close(self) -> None:
        """Publish CLOSED and free the memory; no pump may use the taps any more."""
        self.set_state("CLOSED")
        del self.taps
        self._memory.close()
        self._map.close()
        os.close(self.fd)


Record = tuple[str, int, tuple[int, int], int]
"""What identifies a record: direction, queue, epochs, number."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: ``side`` of the pump, ``direction`` h2c or c2h, ``epochs`` of the host and the card."""

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
        """The counter of the packet's drop; empty when it was not dropped."""
        if not self.drop:
            return ""
        words = L.TX_LEDGER if self.stage in ("READ", "COMMIT") else L.RX_LEDGER
        return words[self.drop] if self.drop < len(words) else f"drop {self.drop}"

    @property
    def ethernet(self) -> bool:
        """Is the packet an Ethernet frame?"""
        return bool(self.flags & T.FLAGS["ETHERNET"])

    @property
    def record(self) -> Record:
        """The key that all events of one record have in common, on both sides."""
        return self.direction, self.queue, self.epochs, self.seq

    def covered(self, records: Collection[Record]) -> list[Record]:
        """Those of ``records`` that a PUBLISH or RELEASE covers.

        Takes no longer than ``records`` are many, whatever ``length`` says.
        """
        if self.length < len(records):
            batch = ((self.seq + n) & 0xFFFF_FFFF for n in range(self.length))
            found = ((self.direction, self.queue, self.epochs, seq) for seq in batch)
            return [record for record in found if record in records]
        mine = (self.direction, self.queue, self.epochs)
        return [
            record for record in records if record[:3] == mine and (record[3] - self.seq) & 0xFFFF_FFFF < self.length
        ]

    @property
    def problem(self) -> str:
        """What no pump writes, in words; empty when the event is possible.

        Events of another computer, or of an agent that is out of order, can hold anything.
        """
        numbers: tuple[tuple[str, object, int], ...] = (
            ("side", self.side, 1),
            ("queue", self.queue, 0xFFFF),
            ("drop", self.drop, 0xFF),
            ("flags", self.flags, 0xFFFF),
            ("time", self.time, _TIME_MAX),
            ("before", self.before, _TIME_MAX),
            *((name, getattr(self, name), 0xFFFF_FFFF) for name in ("seq", "length", "index", "value")),
            *(("epochs", epoch, 0xFFFF_FFFF) for epoch in self.epochs),
        )
        for name, value, most in numbers:
            if type(value) is not int or not 0 <= value <= most:
                return f"{name} {value!r} is out of range (0 to {most})"
        words = type(self.direction) is str and type(self.stage) is str  # an object cannot be a key
        if not words or self.direction not in L.DIRECTIONS or self.stage not in T.STAGES or len(self.epochs) != 2:
            return f"direction {self.direction!r}, stage {self.stage!r}, epochs {self.epochs!r}"
        if len(self.vnet) not in (0, L.VNET_HDR) or len(self.data) > L.FRAME_MAX:
            return f"{len(self.vnet)} bytes of virtio_net_hdr, {len(self.data)} bytes of the packet"
        return ""


class Reader:
    """The reader's side of the segment ``fd``.

    Whatever is in it, nothing outside it is read, and every call ends.  Methods and properties raise LayoutMismatch for
    what no agent writes.
    """

    def __init__(self, fd: int) -> None:
        """Raises LayoutMismatch when the segment has another version, or an impossible head."""
        size = os.fstat(fd).st_size
        if size < T.RINGS_OFFSET:
            raise LayoutMismatch(f"the agent's tap segment has {size} bytes: {_RESTART}")
        self._map = mmap.mmap(fd, size)
        try:
            magic, version, _, self.side, self.pid, *_, self._ring_bytes = _HEAD.unpack_from(self._map)
            if (magic, version) != (T.MAGIC, T.VERSION):
                raise LayoutMismatch("the agent's tap segment is of another version: update the older one")
            ring = self._ring_bytes
            if self.side > 1 or ring < 2 * L.LINE or ring & (ring - 1) or size % queue_bytes(ring):
                raise LayoutMismatch(
                    f"the agent's tap segment of {size} bytes names side {self.side} and rings of {ring}: {_RESTART}"
                )
        except LayoutMismatch:
            self._map.close()
            raise
        self._memory = _core.Memory(self._map)
        areas = range(0, len(self._map), queue_bytes(self._ring_bytes))
        self._cons = {(area, end): 0 for area in areas for end in ("tx", "rx")}

    @property
    def state(self) -> str:
        """OPEN, WAITING or CLOSED."""
        number = self._memory.load32(T.HEAD.offset("state"))
        if number not in _STATE_NAMES:
            raise LayoutMismatch(f"the agent's tap segment is in state {number}: {_RESTART}")
        return _STATE_NAMES[number]

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
        return sum(self._memory.load64(area + T.LINES[f"{end}_prod"] + at) for area, end in self._cons)

    def drain(self, most: int = 1 << 30) -> Iterator[Event]:
        """The events in the rings, in order for each ring, about ``most`` bytes of each ring."""
        for area, end in self._cons:
            yield from self._drain(area, end, area + T.RINGS_OFFSET + self._ring_bytes * (end == "rx"), most)

    def _drain(self, area: int, end: str, ring: int, most: int) -> Iterator[Event]:
        prod = self._memory.load32(area + T.LINES[f"{end}_prod"] + T.PROD.offset("prod"))
        cons, size = self._cons[area, end], self._ring_bytes
        there = (prod - cons) & 0xFFFF_FFFF
        if there > size or there % L.LINE:
            raise LayoutMismatch(f"prod {prod:#x} and cons {cons:#x} are impossible in a tap's ring of {size} bytes")
        left, freed = min(there, most & -L.LINE), cons
        while left > 0:
            length, event = self._event(end, ring, cons & (size - 1), there)
            yield event
            cons = (cons + length) & 0xFFFF_FFFF
            there -= length
            left -= length
            self._cons[area, end] = cons
            if (cons - freed) & 0xFFFF_FFFF >= size // 4:
                freed = cons
                self._free(area, end)
        self._free(area, end)

    def _event(self, end: str, ring: int, at: int, there: int) -> tuple[int, Event]:
        """The event at offset ``at`` of a ring, and its bytes in the ring, of which ``there`` are written."""
        length, stage, drop, flags, time, generation, seq, packet, index, kept, before, vnet, queue, value = (
            _EVENT.unpack_from(self._map, ring + at)
        )
        own, peer = generation >> 32, generation & 0xFFFF_FFFF
        if length % L.LINE or not _EVENT.size + kept <= length <= there or stage not in _STAGE_NAMES:
            raise LayoutMismatch(f"a tap's event of stage {stage} claims {length} bytes, {kept} of them of a packet")
        event = Event(
            self.side,
            L.DIRECTIONS[self.side if end == "tx" else 1 - self.side],
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
        if event.problem:
            raise LayoutMismatch(f"a tap's event is impossible: {event.problem}")
        return length, event

    def _bytes(self, ring: int, at: int, count: int) -> bytes:
        """``count`` bytes at offset ``at`` of a ring, across its end."""
        at &= self._ring_bytes - 1
        first = self._map[ring + at : ring + min(at + count, self._ring_bytes)]
        return first + self._map[ring : ring + count - len(first)]

    def _free(self, area: int, end: str) -> None:
        self._memory.store32(area + T.LINES[f"{end}_cons"], self._cons[area, end])

    def close(self) -> None:
        """Unmap the memory."""
        self._memory.close()
        self._map.close()
