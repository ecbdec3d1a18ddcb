"""The pumps of a host over a window in this process, and the FIFOs of a card without pumps."""

from __future__ import annotations

import mmap
import os
import select
import time

from tests.unit.memories import new_memory
from vnetcard.engine.transport import Doorbells
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.port.memory_pair import PairPort
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo
from vnetcard.ring.geometry import Geometry

WINDOW = 64 << 10
GEOMETRY = Geometry.plan(WINDOW, instance=1, removable=False)
PEER_EPOCH = L.side_offset(L.CARD) + L.SIDE_CONTROL.offset("epoch")
C2H_PROD = L.queue_offset(0) + L.QUEUE_LINES["c2h_prod"]
LEDGERS = [L.queue_offset(0) + L.QUEUE_LEDGERS[name] for name in ("h2c_tx", "c2h_rx")]


class Host:
    """The pumps of a host, and the FIFOs of a card; ``kind`` of memory as in ``memories.KINDS``, in file ``fd``.

    ``frames``: what the packets are, of layout.FRAMES.
    """

    def __init__(
        self, wait: str = "sleep", *, kind: str = "coherent", fd: int = -1, frames: int = L.FRAMES["IP"]
    ) -> None:
        window = mmap.mmap(fd, WINDOW)
        self.memory, self.peer = new_memory(kind, window), new_memory(kind, window)
        self.port = PairPort("host")
        self.port.frames = frames
        self.attention = os.eventfd(0, os.EFD_NONBLOCK)
        self._wait, self._futex = wait, kind == "coherent"
        self.doorbells: Doorbells | None = None
        self.reopen()
        self.to_host = Fifo(self.peer, GEOMETRY, "c2h", role="producer")
        self.from_host = Fifo(self.peer, GEOMETRY, "h2c", role="consumer")

    def reopen(self) -> None:
        """Open pumps, as at the start of an agent: they go on with what the window holds."""
        self.endpoints = PumpEndpoints(
            self.memory,
            GEOMETRY,
            L.HOST,
            self.port,
            attention_fd=self.attention,
            wait=self._wait,
            futex=self._futex,
            doorbells=self.doorbells,
        )

    def begin(self, own: int, peer: int) -> None:
        self.endpoints.hold()
        self.peer.store32(PEER_EPOCH, peer)
        self.endpoints.reset()
        self.to_host.reset()
        self.from_host.reset()
        self.endpoints.begin(own_epoch=own, peer_epoch=peer, features=0, packet_max=1500)
        self.endpoints.run()

    def deliver(self, count: int) -> None:
        for _ in range(count):
            assert self.to_host.try_push(b"E packet")
            assert select.select([self.port.far], [], [], 2)[0]
            self.port.far.recv(100)

    def take(self, count: int) -> None:
        for _ in range(count):
            self.port.far.send(b"E packet")
            deadline = time.monotonic() + 2
            while self.from_host.try_pop() is None:
                assert time.monotonic() < deadline

    def close(self) -> None:
        self.endpoints.close()
        self.port.close()
        os.close(self.attention)
