"""Two sides of a link under a clock that only the test moves: on one mapping, or on two with an engine between."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.harness.soft_engine import SoftEngine, SoftRegisters
from tests.unit.memories import new_memory
from vnetcard._core import Memory
from vnetcard.codes.link import LinkReason
from vnetcard.engine.dma import Engine, Wakeups
from vnetcard.link.endpoints import Generation
from vnetcard.link.fifo_endpoints import FifoEndpoints
from vnetcard.link.link import Link
from vnetcard.link.types import Agreement, LinkState, Offer
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry

KIND = "coherent"
"""Of the memory between the sides; a test that runs on others sets it."""
WINDOW = 16 << 10
GEOMETRY = Geometry.plan(WINDOW, instance=1, removable=False)
BASES = (0x1_0000_0000, 0x2_0000_0000)
MTU = 1500
TICK = 0.01
TAG = struct.Struct("<III")  # sender's epoch, receiver's epoch, number in the generation


class Crash(BaseException):
    """The process ends at this store; no handler runs."""


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Journal:
    """A Listener that records its calls."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.codes: list[LinkReason] = []
        self.up = False

    def link_up(self, agreement: Agreement) -> None:
        self.lines.append(f"up {agreement}")

    def carrier(self, up: bool, reason: str) -> None:
        self.up = up

    def report(self, message: str, code: LinkReason) -> None:
        self.lines.append(message)
        self.codes.append(code)


class MortalMemory:
    """The window as a Link sees it; after ``stores_left`` more stores the process is dead."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.stores_left: int | None = None
        self.device_gone = self.lost = False
        self.load64, self.read, self.words = memory.load64, memory.read, memory.words

    def load32(self, offset: int) -> int:
        return 0xFFFF_FFFF if self.device_gone else self._memory.load32(offset)

    def store(self) -> None:
        """Count a store; raises Crash if it is one too many."""
        if self.stores_left is not None:
            if self.stores_left == 0:
                raise Crash
            self.stores_left -= 1

    def store32(self, offset: int, value: int) -> None:
        self.store()
        if not self.device_gone:
            self._memory.store32(offset, value)

    def store64(self, offset: int, value: int) -> None:
        self.store()
        self._memory.store64(offset, value)

    def write(self, offset: int, data: bytes) -> None:
        self.store()
        self._memory.write(offset, data)


class MortalRegisters(SoftRegisters):
    """The registers as an Engine sees them: a write is a store of the mortal process."""

    def __init__(self, engine: SoftEngine, side: int, mortal: MortalMemory) -> None:
        super().__init__(engine, side)
        self._mortal = mortal

    def write32(self, offset: int, value: int, /) -> None:
        self._mortal.store()
        super().write32(offset, value)


class Waiting:
    """Clock and sleep of an Engine that waits: the other things go on meanwhile."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.now, self._meanwhile = 0.0, meanwhile

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.01)
        self._meanwhile()


@dataclass
class Ledger:
    """The ledger in shared memory, which stays when its agent dies."""

    sent: Generation = field(default_factory=lambda: Generation(0, 0, 0))
    received: Generation = field(default_factory=lambda: Generation(0, 0, 0))
    lost: int = 0
    total_sent: int = 0
    total_received: int = 0


class Side:
    """One side; ``link`` is None while its agent does not run."""

    def __init__(
        self, memory: Memory, clock: Clock, number: int, offer: Offer | None = None, engine: SoftEngine | None = None
    ) -> None:
        """``engine``: what lies between this memory and the peer's, if they are two."""
        self.memory, self.clock, self.number, self.engine = memory, clock, number, engine
        self.meanwhile: Callable[[], object] = engine.step if engine else lambda: None
        self.offer = offer or Offer(0, MTU)
        self.ledger = Ledger()
        self.journal = Journal()
        self.link: Link | None = None
        self.stalled = False
        self._expected = ((0, 0), 0)

    def start(self) -> None:
        self.mortal = MortalMemory(self.memory)
        transport = self._transport()
        self.endpoints = FifoEndpoints(
            self.memory, GEOMETRY, self.number, doorbells=transport.doorbells() if transport is not None else None
        )
        self.endpoints._sent, self.endpoints._received = self.ledger.sent, self.ledger.received
        self.endpoints.lost = self.ledger.lost
        self.link = Link(
            self.mortal,  # type: ignore[arg-type]
            self.number,
            self.endpoints,
            self.journal,
            self.offer,
            transport=transport,
            clock=self.clock,
        )
        self.stalled = False
        self.link.start()
        self._save()

    def _waits(self) -> None:
        self.meanwhile()

    def _transport(self) -> Engine | None:
        if self.engine is None:
            return None
        waiting = Waiting(self._waits)
        return Engine(
            MortalRegisters(self.engine, self.number, self.mortal),
            self.number,
            base=BASES[self.number],
            geometry=GEOMETRY,
            wakeups=Wakeups.SLEEPING,
            clock=waiting.clock,
            sleep=waiting.sleep,
        )

    @property
    def alive(self) -> Link:
        assert self.link is not None
        return self.link

    @property
    def running(self) -> bool:
        return self.link is not None and self.link.state is LinkState.RUN

    def _save(self) -> None:
        self.ledger.sent, self.ledger.received = self.endpoints.sent(), self.endpoints.received()
        self.ledger.lost = self.endpoints.lost

    def tick(self) -> None:
        if self.link is not None and not self.stalled:
            self.link.tick()
            self._save()

    def crash(self) -> None:
        """Die without a stop; the ledger and the window stay as they are."""
        self._save()
        self.endpoints.close()
        self.link = None

    def dies_in(self, stores: int, what: str) -> bool:
        """Run ``tick``, ``stop`` or ``start`` and die before its store number ``stores``; False if it made fewer."""
        try:
            if what == "start":
                self.start()  # a start has no tick before it: die in the first one instead
                self.mortal.stores_left = stores
                self.alive.tick()
            else:
                self.mortal.stores_left = stores
                getattr(self.alive, what)()
        except Crash:
            self.crash()
            return True
        self.mortal.stores_left = None
        self._save()
        return False

    def stop(self) -> None:
        self.alive.stop()
        self.crash()

    def body(self, head: bytes) -> bytes:
        """The packet that starts with ``head``."""
        return head

    def send(self) -> bool:
        link, number = self.alive, self.endpoints.sent().records
        if not self.endpoints.send(self.body(TAG.pack(link.epoch, link.answered, number))):
            return False
        self.ledger.total_sent += 1
        self._save()
        return True

    def receive(self) -> bool:
        """Take one packet, if there is one, and check that it is the next one of this generation."""
        link = self.alive
        packet = self.endpoints.receive()
        if packet is None:
            return False
        head = packet[: TAG.size]
        assert packet == self.body(head), "a packet arrived changed"
        sender, receiver, number = TAG.unpack(head)
        generation = (link.answered, link.epoch)
        assert (sender, receiver) == generation, "a packet of another generation"
        before, due = self._expected
        assert number == (due if before == generation else 0), "a packet is missing, twice, or out of order"
        self._expected = (generation, number + 1)
        self.ledger.total_received += 1
        self._save()
        return True

    def counters(self) -> dict[str, int]:
        return self.alive.own.counters()


class LinkHarness:
    """A host and a card; ``engine``: each has a memory of its own, and a ``SoftEngine`` carries between them."""

    def __init__(self, host: Offer | None = None, card: Offer | None = None, *, engine: bool = False) -> None:
        window = mmap.mmap(-1, WINDOW)
        self.memory = new_memory(KIND, window)
        # Two views of one window, so that the peer sees a store of one side only after a barrier.
        memories = (self.memory, new_memory(KIND, mmap.mmap(-1, WINDOW) if engine else window))
        self.engine = SoftEngine(memories) if engine else None
        self.clock = Clock()
        self.host = Side(memories[L.HOST], self.clock, L.HOST, host, self.engine)
        self.card = Side(memories[L.CARD], self.clock, L.CARD, card, self.engine)
        self.sides = (self.host, self.card)

    def carry(self) -> None:
        """Let the engine do everything that is due."""
        while self.engine is not None and self.engine.step():
            pass

    def go_on(self, seconds: float = 0.3, step: float = TICK) -> None:
        """Tick both sides for ``seconds`` of fake time."""
        for _ in range(round(seconds / step)):
            self.clock.now += step
            for side in self.sides:
                side.tick()
                self.carry()

    def start(self) -> None:
        for side in self.sides:
            side.start()
        self.go_on()
        assert self.host.running and self.card.running

    def drain(self) -> None:
        for side in self.sides:
            self.carry()
            while side.receive():
                self.carry()

    def check_ledgers(self) -> None:
        """Assert at rest, with empty rings, that sent = received + lost in each direction."""
        for tx, rx in (self.sides, self.sides[::-1]):
            assert tx.ledger.total_sent == rx.ledger.total_received + tx.ledger.lost
