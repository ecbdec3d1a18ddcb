"""Two agents without pumps around the engine in simulation: Link, Engine and FifoEndpoints on each side.

    thread of the host                       cocotb                          thread of the card
    Link, Engine, FifoEndpoints ---> RegisterPort ---> RTL <--- RegisterPort <--- Link, Engine, FifoEndpoints
                        \\---> its window <------ /   \\ ------> its window <---/

Each side is a thread, as an agent is a process: it ticks, sends and receives when it likes, and waits where an agent
would sleep.  cocotb lets one thread or the simulator run at a time, so a seed repeats a run.
``tests.unit.link_harness.Side`` is what lives and dies here; the only new thing is that its engine is the RTL.
"""

from __future__ import annotations

import random
import secrets
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.queue import Queue
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, Event
from cocotb.utils import get_sim_time

from tests.hdl.hdl_bench import Bench, Page
from tests.unit.link_harness import GEOMETRY, MTU, WINDOW, MortalMemory, Side
from vnetcard.engine import registers as R
from vnetcard.engine.dma import Engine
from vnetcard.link.link import Offer
from vnetcard.ring import layout as L

CYCLE = 100e-6
"""Seconds of a link's time in a clock cycle: its heartbeat of 0.1 s comes every 1000 cycles."""
NAMES = {register.offset: register.name for register in R.REGISTERS}


class Over(BaseException):
    """The test has ended: the thread goes home."""


class RegisterPort:
    """One side's way to its page: accesses in the order in which they were asked for, doorbells without waiting."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._queue: Queue[tuple[str, int | None, Event]] = Queue()
        self._posted: list[tuple[str, int]] = []
        self._read = 0
        cocotb.start_soon(self._work())

    async def _work(self) -> None:
        while True:
            name, value, done = await self._queue.get()
            if value is None:
                self._read = await self._page.read(name)
            else:
                await self._page.write(name, value)
            done.set()

    async def access(self, name: str, value: int | None) -> int:
        """Write ``value``, or read if it is None."""
        self.flush()
        done = Event()
        self._queue.put_nowait((name, value, done))
        await done.wait()
        return self._read

    def post(self, name: str, value: int) -> None:
        """A doorbell, from a thread: on its way when the thread next waits, before which no simulated time passes."""
        self._posted.append((name, value))

    def flush(self) -> None:
        """Send what was posted; by a task of cocotb."""
        for name, value in self._posted:
            self._queue.put_nowait((name, value, Event()))
        self._posted.clear()


class RtlRegisters:
    """``vnetcard.engine.dma.Registers`` of a mortal agent: a write is a store more."""

    def __init__(self, world: LinkWorld, port: RegisterPort, mortal: MortalMemory) -> None:
        self._world, self._port, self._mortal = world, port, mortal

    def read32(self, offset: int, /) -> int:
        return int(self._world.resume(self._port.access)(NAMES[offset], None))

    def write32(self, offset: int, value: int, /) -> None:
        self._mortal.store()
        self._world.resume(self._port.access)(NAMES[offset], value)

    def doorbell(self, offset: int, /) -> Callable[[int], None]:
        return lambda value: self._port.post(NAMES[offset], value)


class RtlSide(Side):
    """A side whose engine is the RTL, and whose packets have all sizes; ``orders`` are done between its steps."""

    def __init__(self, world: LinkWorld, number: int) -> None:
        offer = Offer(L.FEATURES["CSUM"], MTU)
        super().__init__(world.bench.memories[number].core, world.now, number, offer)  # type: ignore[arg-type]
        self.world = world
        self.port = RegisterPort(world.bench.pages[number])
        self.rng = random.Random(world.bench.rng.random())
        self.orders: deque[Callable[[], object]] = deque()

    def _transport(self) -> Engine:
        return Engine(
            RtlRegisters(self.world, self.port, self.mortal),
            self.number,
            base=self.world.bench.memories[self.number].base,
            geometry=GEOMETRY,
            clock=self.world.now,
            sleep=lambda seconds: self.world.wait(max(1, round(seconds / CYCLE))),
        )

    def body(self, head: bytes) -> bytes:
        """``head`` and bytes that follow from it, so that each end knows the whole packet."""
        rng = random.Random(head)
        return head + rng.randbytes(rng.choice((0, 36, 37, rng.randrange(1500))))

    def live(self) -> None:
        """The agent's loop, with what befalls it."""
        while True:
            if self.orders:
                self.orders[0]()
                self.orders.popleft()
            elif self.link is not None and not self.stalled:
                self.tick()
                for _ in range(self.rng.randrange(4) if self.world.sending else 0):
                    self.send()
                for _ in range(self.rng.randrange(6)):
                    if not self.receive():
                        break
            self.world.wait(self.rng.randint(10, 150))


class LinkWorld:
    """Both sides and the engine between them: ``async with LinkWorld(bench) as world``."""

    def __init__(self, bench: Bench) -> None:
        assert (bench.window, bench.geometry) == (WINDOW, GEOMETRY)
        self.bench = bench
        for way in bench.directions:
            way.hostile = True  # the bench knows no index here: it watches addresses, FifoEndpoints the rest
        self.sending = True
        self.over = False
        self.trouble: list[str] = []
        secrets.randbits = bench.rng.getrandbits  # type: ignore[assignment]  # epochs come from the seed too
        self.sides = (RtlSide(self, 0), RtlSide(self, 1))

    async def __aenter__(self) -> LinkWorld:
        self.tasks = [cocotb.start_soon(bridge(self._live)(side)) for side in self.sides]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.over = True
        for task in self.tasks:
            await task

    def _live(self, side: RtlSide) -> None:
        try:
            side.live()
        except Over:
            pass
        except BaseException:  # raised here it would leave the other thread behind, and the simulator with it
            self.trouble.append(traceback.format_exc())

    # --- for the threads ---------------------------------------------------------------------------------

    def resume(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``resume``, until the test is over."""
        if self.over:
            raise Over
        return resume(function)

    def wait(self, cycles: int) -> None:
        async def pass_by() -> None:
            for side in self.sides:
                side.port.flush()
            await ClockCycles(self.bench.dut.clk_i, cycles)

        self.resume(pass_by)()

    def now(self) -> float:
        """The links' time in seconds."""
        return 1000.0 + float(get_sim_time("ns")) / 10 * CYCLE

    # --- for the test ------------------------------------------------------------------------------------

    async def pass_by(self, cycles: int) -> None:
        """Let both sides live; AssertionError when one did what it must not."""
        await ClockCycles(self.bench.dut.clk_i, cycles)
        assert not self.trouble, self.trouble[0]
        assert not self.bench.wrong, self.bench.wrong

    async def until(self, true: Callable[[], bool], what: str, cycles: int = 200_000) -> None:
        for _ in range(cycles // 50):
            if true():
                return
            await self.pass_by(50)
        states = [(side.link.state.name, side.link.reason) if side.link else "dead" for side in self.sides]
        raise AssertionError(f"after {cycles} cycles still not: {what}; {states}")

    async def order(self, side: RtlSide, what: Callable[[], object]) -> None:
        """Have ``side`` do something between two of its steps; returns when it is done."""
        side.orders.append(what)
        await self.until(lambda: not side.orders, "the order done")

    async def come_up(self) -> None:
        for side in self.sides:
            side.stalled = False
            if side.link is None and not side.orders:
                side.orders.append(side.start)
        await self.until(lambda: all(side.running and not side.orders for side in self.sides), "the link up")

    async def exchange(self, count: int) -> None:
        """``count`` packets more each way."""
        goals = [side.books.total_received + count for side in self.sides]
        await self.until(
            lambda: all(side.books.total_received >= goal for side, goal in zip(self.sides, goals, strict=True)),
            f"{count} packets each way",
        )

    async def rest(self) -> None:
        """Nobody sends, and everything sent has arrived or is counted as lost."""
        self.sending = False
        await self.until(self.balanced, f"sent = received + lost; {[side.books for side in self.sides]}")
        await self.pass_by(500)
        assert self.balanced(), "what was balanced changed again"
        self.sending = True

    def balanced(self) -> bool:
        return all(
            tx.books.total_sent == rx.books.total_received + tx.books.lost for tx, rx in (self.sides, self.sides[::-1])
        )

    def nobody_accused(self) -> None:
        """No honest side was taken for a hostile one, and the engine never halted."""
        for side in self.sides:
            if side.link is not None:
                count = side.counters()
                bad = {name: n for name, n in count.items() if n and name.startswith(("viol_", "own_", "engine_"))}
                assert not bad, f"{bad} at the {L.SIDES[side.number]}: {side.journal.lines[-16:]}"
