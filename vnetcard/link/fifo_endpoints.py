"""The endpoints of a link without threads: the program itself moves the packets, by two FIFOs."""

from __future__ import annotations

from collections.abc import Sequence

from vnetcard import _core
from vnetcard._core import Memory
from vnetcard.engine.transport import Doorbells
from vnetcard.errors import FifoCorrupt
from vnetcard.link.endpoints import Generation, following
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo, locate
from vnetcard.ring.geometry import Geometry


class FifoEndpoints:
    """Two FIFO objects without threads: ``send`` and ``receive``, or their batches, move packets while the link runs.

    The checks are those of the pumps: an impossible index or record raises EVENT_VIOLATION unless the peer
    has a new epoch, and a packet whose index was read under another epoch is not returned.  The ``doorbells`` of a
    DMA engine are called with each new prod and each new cons.
    """

    def __init__(
        self,
        memory: Memory,
        geometry: Geometry,
        side: int,
        *,
        doorbells: Doorbells | None = None,
        queue: int = 0,
    ) -> None:
        self._memory = memory
        self._doorbells = doorbells
        self._prod_at = locate(geometry, L.DIRECTIONS[side], "producer", queue).own
        self._cons_at = locate(geometry, L.DIRECTIONS[1 - side], "consumer", queue).own
        self._epoch_at = L.side_offset(1 - side) + L.SIDE_CONTROL.offset("epoch")
        self._tx = Fifo(memory, geometry, L.DIRECTIONS[side], role="producer", queue=queue)
        self._rx = Fifo(memory, geometry, L.DIRECTIONS[1 - side], role="consumer", queue=queue)
        self._sent = self._received = self._current = Generation(0, 0, 0)
        self._serial = self._next_serial = 0
        self._events = 0
        self._running = False
        self.lost = 0

    def send(self, packet: bytes) -> bool:
        """Push ``packet``; False if the link does not run or the ring is full."""
        return self.send_batch((packet,)) == 1

    def receive(self) -> bytes | None:
        """Pop the oldest packet; None if the link does not run or the ring is empty."""
        packets = self.receive_batch(1)
        return packets[0] if packets else None

    def send_batch(self, packets: Sequence[bytes]) -> int:
        """Push as many of ``packets`` as fit; their number, 0 if the link does not run."""
        if not self._running:
            return 0
        try:
            count = self._tx.push_batch(packets)
        except FifoCorrupt:
            self._stop_for_violation()
            return 0
        if count and self._doorbells:
            self._doorbells[0](self._memory.load32(self._prod_at))
        old = self._sent
        self._sent = Generation(old.own_epoch, old.peer_epoch, old.records + count)
        return count

    def receive_batch(self, most: int) -> list[bytes]:
        """Pop up to ``most`` packets, the oldest first; none if the link does not run."""
        if not self._running:
            return []
        try:
            packets = self._rx.pop_batch(most)
        except FifoCorrupt:
            self._stop_for_violation()
            return []
        if self._epoch_changed() or not packets:
            return []
        if self._doorbells:
            self._doorbells[1](self._memory.load32(self._cons_at))
        old, now = self._received, self._current
        # Only its first record proves that the peer has settled the previous generation (as in vnc_rx.c).
        same = (old.own_epoch, old.peer_epoch) == (now.own_epoch, now.peer_epoch)
        self._received = Generation(now.own_epoch, now.peer_epoch, old.records * same + len(packets))
        self._serial = self._next_serial
        return packets

    def _epoch_changed(self) -> bool:
        if self._memory.load32(self._epoch_at) == self._current.peer_epoch:
            return False
        self._running = False
        self._events |= _core.EVENT_EPOCH
        return True

    def _stop_for_violation(self) -> None:
        if not self._epoch_changed():
            self._running = False
            self._events |= _core.EVENT_VIOLATION

    def hold(self) -> None:
        self._running = False

    def reset(self) -> None:
        self._tx.reset()
        self._rx.reset()

    def sent(self) -> Generation:
        return self._sent

    def received(self) -> Generation:
        return self._received

    def settle(self, lost: int) -> None:
        self.lost += lost
        self._sent = Generation(0, 0, 0)

    @property
    def serial(self) -> int:
        """As ``PumpEndpoints``."""
        return self._serial

    def begin(
        self,
        *,
        own_epoch: int,
        peer_epoch: int,
        features: int,
        packet_max: int,
        queues: int = 1,
        serial: int | None = None,
    ) -> None:
        """As ``PumpEndpoints``."""
        del features, packet_max, queues  # a FIFO's limits are those of its ring
        self._sent = self._current = Generation(own_epoch, peer_epoch, 0)
        self._next_serial = serial if serial is not None else following(self._serial)
        self._events = 0  # events of the previous generation do not concern this one

    def run(self) -> None:
        self._running = True

    def drop(self, *, peer_dead: bool) -> None:
        del peer_dead
        self._running = False

    def take_events(self) -> int:
        events, self._events = self._events, 0
        return events

    def refused(self) -> tuple[int, int]:
        return 0, 0

    def check_counters(self) -> tuple[int, int]:
        return 0, 0  # they are in no window

    def close(self) -> None:
        """Release the window and the doorbells."""
        self._doorbells = None
        self._tx.close()
        self._rx.close()
