"""Drives ``decoupler_bench.sv``: two clocks, two resets, and the waits on the counts of its master."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import Timer

TRIALS = int(os.environ.get("VNETCARD_TRIALS", "8"))
"""Disturbances per case."""

FASTEST = 2000
"""The period in ps of the faster clock."""

RATIOS = (1.0, 1.0, 1.07, 1.9, 3.3, 7.7, 37.0)
"""Of the slower clock's period to the faster one's."""

SIDES = ("s", "m")


class Domain:
    """One side of the decoupler: its clock, which may stop, and its reset."""

    def __init__(self, dut: Any, side: str) -> None:
        self.clock, self.reset = getattr(dut, f"{side}_clk_i"), getattr(dut, f"{side}_rst_ni")
        self.idle = getattr(dut, f"{side}_idle_o")
        self.clock.value = 0
        self.reset.value = 0
        self.period = FASTEST
        self.running: Clock | None = None

    def start(self, period: int) -> None:
        """Run the clock with ``period`` in ps."""
        self.stop()
        self.period = period - period % 2
        self.running = Clock(self.clock, self.period, unit="ps")
        self.running.start()

    def stop(self) -> None:
        """Stop the clock at its present level."""
        if self.running is not None:
            self.running.stop()
        self.running = None

    async def cycles(self, count: float) -> None:
        """Wait for the time of ``count`` cycles, which need not be whole and need no clock."""
        await Timer(max(1, round(count * self.period)), unit="ps")


class DecouplerBench:
    """A master and a slave in two clocks."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.seed = int(os.environ.get("VNETCARD_SEED", "1"))
        dut._log.info("VNETCARD_SEED=%d", self.seed)
        self.rng = random.Random(self.seed)
        self.domains = {side: Domain(dut, side) for side in SIDES}
        dut.traffic_i.value = 0
        dut.isolate_i.value = 0
        dut.busy_i.value = 70

    async def start(self, ratio: float) -> None:
        """Run both clocks, the slower one of either side, and end both resets."""
        periods = [FASTEST, round(FASTEST * ratio)]
        self.rng.shuffle(periods)
        for domain, period in zip(self.domains.values(), periods, strict=True):
            domain.reset.value = 0
            domain.start(period)
            await domain.cycles(self.rng.random())
        await self.slow_cycles(6)
        for domain in self.domains.values():
            domain.reset.value = 1
            await domain.cycles(self.rng.random())
        self.dut.busy_i.value = self.rng.choice((30, 70, 100))
        await self.wait_until(lambda: not self.dut.isolated_o.value, "the decoupler is up")

    async def slow_cycles(self, count: float) -> None:
        """Wait for ``count`` cycles of the slower clock."""
        await max(self.domains.values(), key=lambda domain: domain.period).cycles(count)

    def count(self, name: str) -> int:
        """Return ``good`` or ``failed``."""
        return int(getattr(self.dut, f"{name}_o").value)

    async def wait_until(self, true: Callable[[], bool], what: str, cycles: int = 30_000) -> None:
        """Wait up to ``cycles`` of the slower clock."""
        for _ in range(cycles // 5):
            if true():
                return
            await self.slow_cycles(5)
        raise AssertionError(f"not within {cycles} cycles: {what}")

    async def progress(self, name: str, count: int = 15) -> None:
        """Wait until ``count`` more transactions have ended as ``name`` says."""
        before = self.count(name)
        await self.wait_until(lambda: self.count(name) >= before + count, f"{count} transactions are {name}")

    async def drained(self, *sides: str) -> None:
        """Stop the traffic, and wait until nothing is outstanding on ``sides``."""
        self.dut.traffic_i.value = 0
        for side in sides:
            await self.wait_until(functools.partial(self._is_idle, side), f"{side} is idle")

    def _is_idle(self, side: str) -> bool:
        return bool(self.domains[side].idle.value)

    async def settled(self) -> None:
        """Both sides are back: from here on every transaction succeeds."""
        await self.drained(*SIDES)
        await self.wait_until(lambda: not self.dut.isolated_o.value, "the decoupler is up")
        failed = self.count("failed")
        self.dut.traffic_i.value = 1
        await self.progress("good", 60)
        await self.drained(*SIDES)
        assert self.count("failed") == failed, "a transaction failed with both sides up"
        self.dut.traffic_i.value = 1
