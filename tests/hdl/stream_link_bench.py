"""A card whose FPGA logic echoes under the agents' own Link on both sides.

    thread of the host: Link, Engine, FifoEndpoints --- engine --- RAM --- stream port --- echo
    thread of the card: Link, Engine, StreamEndpoints: only the control plane, by AXI4-Lite

``StreamEndpoints`` is the control plane's part for the port, as rtl/stream/README.md describes it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import Event

from tests.hdl.link_bench import LinkBench, RtlSide
from tests.hdl.stream_card_bench import OFF, REGISTERS, RUN, VNET, EchoBench, register
from tests.hdl.stream_peer import VNET_HDR
from tests.unit.link_harness import GEOMETRY, MTU, TAG, WINDOW, MortalMemory
from vnetcard import _core
from vnetcard.link.endpoints import Generation
from vnetcard.link.link import Link
from vnetcard.ring import layout as L

ADDRESSES = 1 << 21
CAUSE_RESTARTED = 6


class ControlPort:
    """Accesses to RAM and registers from the thread of the card, in order, by AXI4-Lite."""

    def __init__(self, links: LinkBench, bench: EchoBench) -> None:
        self._links, self._ctl = links, bench.ctl
        self._queue: Queue[tuple[int, int | None, Event]] = Queue()
        self._answer = 0
        cocotb.start_soon(self._work())

    async def _work(self) -> None:
        while True:
            at, value, done = await self._queue.get()
            if value is None:
                self._answer = int(await self._ctl.read_dword(at))
            else:
                await self._ctl.write_dword(at, value)
            done.set()

    async def _access(self, at: int, value: int | None) -> int:
        done = Event()
        self._queue.put_nowait((at, value, done))
        await done.wait()
        return self._answer

    def load(self, at: int) -> int:
        return int(self._links.resume(self._access)(at, None))

    def store(self, at: int, value: int) -> None:
        self._links.resume(self._access)(at, value)


class RamMemory:
    """The card's window as a ``_core.Memory`` of words, through the control port."""

    device_gone = lost = False

    def __init__(self, port: ControlPort) -> None:
        self.load32, self.store32 = port.load, port.store

    def load64(self, at: int) -> int:
        return self.load32(at) | self.load32(at + 4) << 32

    def store64(self, at: int, value: int) -> None:
        self.store32(at, value & 0xFFFF_FFFF)
        self.store32(at + 4, value >> 32)

    def read(self, at: int, count: int) -> bytes:
        return b"".join(self.load32(at + n).to_bytes(4, "little") for n in range(0, count, 4))

    def write(self, at: int, data: bytes) -> None:
        for n in range(0, len(data), 4):
            self.store32(at + n, int.from_bytes(data[n : n + 4].ljust(4, b"\0"), "little"))

    def words(self, at: int, count: int) -> tuple[int, ...]:
        return tuple(self.load64(at + 8 * n) for n in range(count))


class StreamEndpoints:
    """What the link commands: a stream port.  Its registers outlive the control plane, as a ledger must."""

    def __init__(self, port: ControlPort) -> None:
        self._port = port
        self._sent = self._received = Generation(0, 0, 0)
        self._counted = True  # the last generation is in the figures below
        self._seen = False
        self._control = RUN
        self.lost = self.total_sent = self.total_received = 0

    def get(self, name: str) -> int:
        return self._port.load(REGISTERS + register(name))

    def set(self, name: str, value: int) -> None:
        self._port.store(REGISTERS + register(name), value)

    def hold(self) -> None:
        self.set("control", 0)
        while not self.get("status") & OFF:
            pass
        if not self._counted:
            self._counted = True
            count, now = self.get("rx_records"), self._sent
            self.total_received += count
            if count:
                self._received = Generation(now.own_epoch, now.peer_epoch, count)
            self._sent = Generation(now.own_epoch, now.peer_epoch, self.get("tx_records"))
            self.total_sent += self._sent.records

    def drop(self, *, peer_dead: bool) -> None:
        del peer_dead
        self.hold()

    def reset(self) -> None:
        for line in ("c2h_prod", "h2c_cons"):
            self._port.store(L.queue_offset(0) + L.QUEUE_LINES[line], 0)

    def sent(self) -> Generation:
        return self._sent

    def received(self) -> Generation:
        return self._received

    def settle(self, lost: int) -> None:
        self.lost += lost
        self._sent = Generation(0, 0, 0)

    def begin(self, *, own_epoch: int, peer_epoch: int, features: int, packet_max: int, queues: int) -> None:
        vnet = bool(features & L.FEATURES["CSUM"])
        self._sent = Generation(own_epoch, peer_epoch, 0)
        self._control = RUN | VNET * vnet
        self.set("control", VNET * vnet)
        self.set("epoch", peer_epoch)
        self.set("start", 0)
        self.set("frame_max", packet_max + VNET_HDR * vnet)
        for end, place in zip(("rx", "tx"), GEOMETRY.rings[0], strict=True):
            self.set(f"{end}_ring", place.offset)
            self.set(f"{end}_log2", place.size.bit_length() - 1)

    def run(self) -> None:
        self._seen = self._counted = False
        self.set("control", self._control)

    def take_events(self) -> int:
        status = self.get("status")
        causes = {status >> 8 & 7, status >> 12 & 7} - {0}
        if self._seen or not causes:
            return 0
        self._seen = True
        return _core.EVENT_EPOCH if CAUSE_RESTARTED in causes else _core.EVENT_VIOLATION

    def refused(self) -> tuple[int, int]:
        return 0, 0

    def check_counters(self) -> tuple[int, int]:
        return 0, 0


class EchoHost(RtlSide):
    """The host: its packets come back, those of an earlier generation of the card's as well."""

    def __init__(self, links: LinkBench, number: int) -> None:
        super().__init__(links, number)
        self._order = [(0, 0), -1]

    def body(self, head: bytes) -> bytes:
        # Within the MTU, which the port enforces.
        return super().body(head)[:MTU]

    def receive(self) -> bool:
        packet = self.endpoints.receive()
        if packet is None:
            return False
        head = packet[: TAG.size]
        assert packet == self.body(head), "a packet came back changed"
        mine, peer, number = TAG.unpack(head)
        assert (mine, peer) != self._order[0] or number > self._order[1], "twice, or out of order"
        self._order = [(mine, peer), number]
        self.ledger.total_received += 1
        self._save()
        return True


class StreamCard(RtlSide):
    """The card's control plane."""

    def __init__(self, links: LinkBench, number: int, control: ControlPort) -> None:
        super().__init__(links, number)
        self.memory = RamMemory(control)  # type: ignore[assignment]
        self._port = StreamEndpoints(control)

    def start(self) -> None:
        self.mortal = MortalMemory(self.memory)
        self.endpoints = self._port  # type: ignore[assignment]
        self.link = Link(
            self.mortal,  # type: ignore[arg-type]
            self.number,
            self._port,
            self.journal,
            self.offer,
            transport=self._transport(),
            clock=self.clock,
        )
        self.stalled = False
        self.link.start()

    def _save(self) -> None:
        self.ledger.lost = self._port.lost
        self.ledger.total_sent, self.ledger.total_received = self._port.total_sent, self._port.total_received

    def crash(self) -> None:
        """The control plane dies; the port goes on until the next one holds it."""
        self.link = None

    def send(self) -> bool:
        return False

    def receive(self) -> bool:
        return False


class _Surroundings:
    """An EchoBench as ``LinkBench`` wants its bench: two memories, two pages, no model of the directions."""

    def __init__(self, bench: EchoBench) -> None:
        self.dut, self.rng, self.pages = bench.dut, bench.rng, bench.pages
        self.window, self.geometry = WINDOW, GEOMETRY
        self.memories: list[Any] = [bench.memory, _Bus(bench)]
        self.directions: list[Any] = []
        self._bench = bench

    @property
    def violations(self) -> list[str]:
        return self._bench.memory.violations


class _Bus:
    """The card's window on the engine's bus."""

    base = 0

    def __init__(self, bench: EchoBench) -> None:
        self.core = bench.memory.core  # replaced by the RAM in StreamCard


class StreamLinkBench(LinkBench):
    """``async with StreamLinkBench(bench) as links``; the bench is out of reset, and its engine is off."""

    def __init__(self, bench: EchoBench) -> None:
        super().__init__(_Surroundings(bench))  # type: ignore[arg-type]
        self.echo = bench
        self.host = EchoHost(self, L.HOST)
        self.card = StreamCard(self, L.CARD, ControlPort(self, bench))
        self.sides = (self.host, self.card)

    async def violations(self) -> dict[str, int]:
        """The link counters of both sides that name a violation, and are not 0."""
        found: dict[str, int] = {}

        def count(side: RtlSide) -> None:
            bad = {name: n for name, n in side.counters().items() if n and name.startswith("viol_")}
            found.update({f"{L.SIDES[side.number]} {name}": n for name, n in bad.items()})

        for side in self.sides:
            await self.order(side, partial(count, side))
        return found

    async def echoed(self, count: int) -> None:
        """Wait until ``count`` more packets came back to the host."""
        goal = self.host.ledger.total_received + count
        await self.until(lambda: self.host.ledger.total_received >= goal, f"{count} packets come back")
