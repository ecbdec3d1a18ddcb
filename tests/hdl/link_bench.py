"""Two agents without pumps around the simulated engine: Link, Engine and FifoEndpoints on each side.

    thread of the host                       cocotb                          thread of the card
    Link, Engine, FifoEndpoints ---> RegisterPort ---> RTL <--- RegisterPort <--- Link, Engine, FifoEndpoints
                        \\---> its window <------ /   \\ ------> its window <---/

Each side is a thread, as an agent is a process: it ticks, sends and receives at random times, and waits where an
agent would sleep.  cocotb runs one thread or the simulator at a time, so a seed repeats a run.  The sides are
``tests.unit.link_harness.Side``; only their engine differs: it is the RTL.
"""

from __future__ import annotations

import random
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import cocotb
from cocotb.queue import Queue
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, Event
from cocotb.utils import get_sim_time

from tests.hdl.bench import Bench, Page
from tests.unit.link_harness import GEOMETRY, MTU, WINDOW, MortalMemory, Side
from vnetcard.engine import registers as R
from vnetcard.engine.dma import Engine, Wakeups
from vnetcard.link import types
from vnetcard.link.types import LinkState, Offer
from vnetcard.ring import layout as L

CYCLE = 100e-6
"""Seconds of link time per clock cycle: the heartbeat of 0.1 s takes 1000 cycles."""
NAMES = {register.offset: register.name for register in R.REGISTERS}


class BenchOver(BaseException):
    """The case has ended: the thread of a side must return."""


class RegisterPort:
    """Access of one side to its page: in order, and without waiting for doorbells."""

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
        """Write ``value``, or read when it is None."""
        self.flush()
        done = Event()
        self._queue.put_nowait((name, value, done))
        await done.wait()
        return self._read

    def post(self, name: str, value: int) -> None:
        """Ring a doorbell from a thread; it is sent when the thread next waits, before simulated time passes."""
        self._posted.append((name, value))

    def flush(self) -> None:
        """Send the posted doorbells; called by a cocotb task."""
        for name, value in self._posted:
            self._queue.put_nowait((name, value, Event()))
        self._posted.clear()


class RtlRegisters:
    """``vnetcard.engine.dma.Registers`` of a mortal agent: each register write counts as a store."""

    def __init__(self, links: LinkBench, port: RegisterPort, mortal: MortalMemory) -> None:
        self._links, self._port, self._mortal = links, port, mortal

    def read32(self, offset: int, /) -> int:
        return int(self._links.resume(self._port.access)(NAMES[offset], None))

    def write32(self, offset: int, value: int, /) -> None:
        self._mortal.store()
        self._links.resume(self._port.access)(NAMES[offset], value)

    def doorbell(self, offset: int, /) -> Callable[[int], None]:
        return lambda value: self._port.post(NAMES[offset], value)


class RtlSide(Side):
    """A side whose engine is the RTL and whose packets have random sizes; ``orders`` run between its steps."""

    wakeups = Wakeups.SLEEPING

    def __init__(self, links: LinkBench, number: int) -> None:
        offer = Offer(L.FEATURES["CSUM"], MTU)
        super().__init__(links.bench.memories[number].core, links.now, number, offer)  # type: ignore[arg-type]
        self.links = links
        self.port = RegisterPort(links.bench.pages[number])
        self.rng = random.Random(links.bench.rng.random())
        self.orders: deque[Callable[[], object]] = deque()

    def _transport(self) -> Engine:
        return Engine(
            RtlRegisters(self.links, self.port, self.mortal),
            self.number,
            base=self.links.bench.memories[self.number].base,
            geometry=GEOMETRY,
            wakeups=self.wakeups,
            clock=self.links.now,
            sleep=lambda seconds: self.links.wait(max(1, round(seconds / CYCLE))),
        )

    def body(self, head: bytes) -> bytes:
        """Return ``head`` and bytes derived from it, so that both ends know the whole packet."""
        rng = random.Random(head)
        return head + rng.randbytes(rng.choice((0, 36, 37, rng.randrange(1500))))

    def live(self) -> None:
        """Run the agent's loop and the orders."""
        while True:
            if self.orders:
                self.orders[0]()
                self.orders.popleft()
            elif self.link is not None and not self.stalled:
                self.tick()
                for _ in range(self.rng.randrange(4) if self.links.sending else 0):
                    self.send()
                for _ in range(self.rng.randrange(6)):
                    if not self.receive():
                        break
            self.links.wait(self.rng.randint(10, 150))


class LinkBench:
    """Both sides and the engine between them: ``async with LinkBench(bench) as links``."""

    def __init__(self, bench: Bench) -> None:
        assert (bench.window, bench.geometry) == (WINDOW, GEOMETRY)
        self.bench = bench
        for direction in bench.directions:
            direction.hostile = True  # the bench checks only addresses here; FifoEndpoints checks the packets
        self.sending = True
        self.over = False
        self.failures: list[str] = []
        types.RANDOM = bench.rng  # type: ignore[assignment]  # epochs come from the seed as well
        self.sides = (RtlSide(self, 0), RtlSide(self, 1))

    async def __aenter__(self) -> Self:
        self.tasks = [cocotb.start_soon(bridge(self._live)(side)) for side in self.sides]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.over = True
        for task in self.tasks:
            await task

    def _live(self, side: RtlSide) -> None:
        try:
            side.live()
        except BenchOver:
            pass
        except BaseException:  # raised here it would leave the other thread and the simulator running
            self.failures.append(traceback.format_exc())

    # --- for the threads ---------------------------------------------------------------------------------

    def resume(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``resume(function)``; raises BenchOver once the case has ended."""
        if self.over:
            raise BenchOver
        return resume(function)

    def wait(self, cycles: int) -> None:
        async def elapse() -> None:
            for side in self.sides:
                side.port.flush()
            await ClockCycles(self.bench.dut.clk_i, cycles)

        self.resume(elapse)()

    def now(self) -> float:
        """Return the time of the links in seconds."""
        return 1000.0 + float(get_sim_time("ns")) / 10 * CYCLE

    # --- for the test ------------------------------------------------------------------------------------

    async def run_for(self, cycles: int) -> None:
        """Run for ``cycles``; raises AssertionError when a side or the engine failed."""
        await ClockCycles(self.bench.dut.clk_i, cycles)
        assert not self.failures, self.failures[0]
        assert not self.bench.violations, self.bench.violations

    async def until(self, true: Callable[[], bool], what: str, cycles: int = 200_000) -> None:
        for _ in range(cycles // 50):
            if true():
                return
            await self.run_for(50)
        states = [(side.link.state.name, side.link.reason) if side.link else "dead" for side in self.sides]
        raise AssertionError(f"not within {cycles} cycles: {what}; {states}")

    async def wait_state(self, side: RtlSide, state: LinkState) -> None:
        """Wait until the link of ``side`` is in ``state``."""
        await self.until(lambda: side.alive.state is state, f"the {L.SIDES[side.number]} is {state.name}")

    async def order(self, side: RtlSide, what: Callable[[], object]) -> None:
        """Run ``what`` on the thread of ``side`` between two of its steps, and wait until it returned."""
        side.orders.append(what)
        await self.until(lambda: not side.orders, "the order done")

    async def bring_up(self) -> None:
        for side in self.sides:
            side.stalled = False
            if side.link is None and not side.orders:
                side.orders.append(side.start)
        await self.until(lambda: all(side.running and not side.orders for side in self.sides), "the link up")

    async def exchange(self, count: int) -> None:
        """Wait until each side has received ``count`` more packets."""
        goals = [side.ledger.total_received + count for side in self.sides]
        await self.until(
            lambda: all(side.ledger.total_received >= goal for side, goal in zip(self.sides, goals, strict=True)),
            f"{count} packets in each direction",
        )

    async def rest(self) -> None:
        """Stop sending, and wait until every sent packet was received or counted as lost."""
        self.sending = False
        await self.until(self.balanced, f"sent = received + lost; {[side.ledger for side in self.sides]}")
        await self.run_for(500)
        assert self.balanced(), "the accounts changed after they were balanced"
        self.sending = True

    def balanced(self) -> bool:
        return all(
            tx.ledger.total_sent == rx.ledger.total_received + tx.ledger.lost
            for tx, rx in (self.sides, self.sides[::-1])
        )

    def assert_no_violation(self) -> None:
        """Assert that no violation, own restart or engine halt was counted."""
        for side in self.sides:
            if side.link is not None:
                count = side.counters()
                bad = {name: n for name, n in count.items() if n and name.startswith(("viol_", "own_", "engine_"))}
                assert not bad, f"{bad} at the {L.SIDES[side.number]}: {side.journal.lines[-16:]}"
