"""One endpoint of a FIFO for Python: packets into or out of one ring of a window, without a pump.

For programs with packets of their own, tests and benchmarks.  Agents use pumps (``link/endpoints.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from vnetcard import _core
from vnetcard.errors import Closed, ConfigError, FifoCorrupt, FrameTooLarge
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry, Ring

Role = Literal["producer", "consumer", "both"]


@dataclass(slots=True)
class FifoCounters:
    """Packets and bytes through this object since its creation; ``full`` counts the refused pushes."""

    pushed: int = 0
    pushed_bytes: int = 0
    popped: int = 0
    popped_bytes: int = 0
    full: int = field(default=0)


@dataclass(frozen=True, slots=True)
class End:
    """The place of one end of a FIFO in a window; all offsets in bytes."""

    ring: Ring
    own: int
    peer: int
    ledger: int


def locate(geometry: Geometry, direction: str, role: str, queue: int = 0) -> End:
    """The place of an end: ``direction`` is h2c or c2h, ``role`` producer or consumer."""
    base = L.queue_offset(queue)
    prod, cons = (base + L.QUEUE_LINES[f"{direction}_{line}"] for line in ("prod", "cons"))
    tx = role == "producer"
    return End(
        ring=geometry.rings[queue][L.DIRECTIONS.index(direction)],
        own=prod if tx else cons,
        peer=cons if tx else prod,
        ledger=base + L.QUEUE_LEDGERS[f"{direction}_{'tx' if tx else 'rx'}"],
    )


class Fifo:
    """One or both ends of the FIFO ``direction`` (h2c or c2h) of a window.

    An end belongs to one process at a time; threads may share it.  Full and empty are return values.
    ``frame_max`` is the largest packet in bytes (default: what the ring can hold, at most 65600).
    """

    def __init__(
        self,
        memory: _core.Memory,
        geometry: Geometry,
        direction: str,
        *,
        role: Role,
        queue: int = 0,
        frame_max: int | None = None,
    ) -> None:
        if direction not in L.DIRECTIONS or not 0 <= queue < len(geometry.rings):
            raise ConfigError(
                f"no FIFO {direction!r} of queue {queue} in this window: expected h2c or c2h, "
                f"queue 0 to {len(geometry.rings) - 1}"
            )
        self.counters = FifoCounters()
        self._producer: _core.Producer | None = None
        self._consumer: _core.Consumer | None = None
        producer, consumer = (locate(geometry, direction, name, queue) for name in ("producer", "consumer"))
        most = frame_max or min(L.FRAME_MAX, producer.ring.size - L.RECORD_HEADER)
        size = producer.ring.size
        if role in ("producer", "both"):
            self._producer = _core.Producer(
                memory, ring=producer.ring.offset, size=size, own=producer.own, peer=producer.peer, frame_max=most
            )
        if role in ("consumer", "both"):
            self._consumer = _core.Consumer(
                memory, ring=consumer.ring.offset, size=size, own=consumer.own, peer=consumer.peer, frame_max=most
            )
        self.frame_max = most

    def reset(self, index: int = 0) -> None:
        """Start at ``index``, a free-running byte count (multiple of 64); the peer must not be running."""
        for end in (self._producer, self._consumer):
            if end is not None:
                end.reset(index)

    def try_push(self, packet: bytes, *, hdr_len: int = 0) -> bool:
        """Append ``packet`` (``hdr_len`` = 10 when it starts with a virtio_net_hdr); False when the ring is full.

        Raises FrameTooLarge, FifoCorrupt (the peer's index is impossible), Closed.
        """
        if not 1 <= len(packet) <= self.frame_max:
            raise FrameTooLarge(f"a packet of {len(packet)} bytes: this FIFO takes 1 to {self.frame_max}")
        try:
            done = self._tx().try_push(packet, hdr_len=hdr_len)
        except _core.Corrupt as error:
            raise FifoCorrupt(str(error)) from error
        if done:
            self.counters.pushed += 1
            self.counters.pushed_bytes += len(packet)
        else:
            self.counters.full += 1
        return done

    def push_batch(self, packets: Sequence[bytes]) -> int:
        """Append as many of ``packets`` as fit, publish once, and return their number.

        Raises as ``try_push``, before any packet is appended.
        """
        for packet in packets:
            if not 1 <= len(packet) <= self.frame_max:
                raise FrameTooLarge(f"a packet of {len(packet)} bytes: this FIFO takes 1 to {self.frame_max}")
        try:
            count = self._tx().push_batch(packets)
        except _core.Corrupt as error:
            raise FifoCorrupt(str(error)) from error
        self.counters.pushed += count
        self.counters.pushed_bytes += sum(len(packet) for packet in packets[:count])
        self.counters.full += count < len(packets)
        return count

    def try_pop(self) -> bytes | None:
        """Pop the oldest packet; None if the ring is empty.  Raises FifoCorrupt, Closed."""
        try:
            packet = self._rx().try_pop()
        except _core.Corrupt as error:
            raise FifoCorrupt(str(error)) from error
        if packet is not None:
            self.counters.popped += 1
            self.counters.popped_bytes += len(packet)
        return packet

    def pop_batch(self, most: int = 64) -> list[bytes]:
        """Pop up to ``most`` packets and free their space at once.  Raises as ``try_pop``."""
        try:
            packets = self._rx().pop_batch(most)
        except _core.Corrupt as error:
            raise FifoCorrupt(str(error)) from error
        self.counters.popped += len(packets)
        self.counters.popped_bytes += sum(map(len, packets))
        return packets

    @property
    def fill(self) -> int:
        """Bytes of the ring in use, 0 to its size."""
        try:
            return (self._producer or self._rx()).fill
        except _core.Corrupt as error:
            raise FifoCorrupt(str(error)) from error

    def close(self) -> None:
        """Release the window; every later call raises Closed.  Idempotent."""
        for end in (self._producer, self._consumer):
            if end is not None:
                end.close()
        self._producer = self._consumer = None

    def _tx(self) -> _core.Producer:
        if self._producer is None:
            raise Closed("this Fifo is closed, or is not a producer")
        return self._producer

    def _rx(self) -> _core.Consumer:
        if self._consumer is None:
            raise Closed("this Fifo is closed, or is not a consumer")
        return self._consumer
