"""Resets and ENABLE at any cycle: what is under way ends, nothing of it comes back, and then all is new."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.hdl_bench import Bench
from tests.hdl.hdl_traffic import LINE, both_ways, error_trials, two_doorbells


@cocotb.test()
async def reset_in_mid_burst_drains_and_starts_anew(dut: Any) -> None:
    """A reset, or the loss of ENABLE, at any cycle of a transfer: what is under way ends, then all is new."""
    bench = Bench(dut)
    await bench.start()

    async def trial(n: int, side: int) -> None:
        way = bench.directions[side]
        await two_doorbells(bench, side, LINE * bench.rng.randint(1, 32), LINE * bench.rng.randint(1, 32))
        if n % 4 == 3:
            await bench.wait_until(lambda: way.published == way.target, "published")
            await bench.ring_cons(1 - side, way.target)
        await ClockCycles(dut.clk_i, bench.rng.randrange(150))

    await error_trials(bench, trial, 24)

    # And both at once by ENABLE: off means that nothing is under way any more.
    for _ in range(6):
        for side in (0, 1):
            await two_doorbells(bench, side, LINE * bench.rng.randint(1, 32), LINE * 4)
        await ClockCycles(dut.clk_i, bench.rng.randrange(100))
        page = bench.rng.choice(bench.pages)
        await page.write("control", 0)
        await bench.wait_off()
        seen = [memory.accesses for memory in bench.memories]
        await ClockCycles(dut.clk_i, 200)
        assert [memory.accesses for memory in bench.memories] == seen
        for other, way in zip(bench.pages, bench.directions, strict=True):
            way.start_at(LINE * bench.rng.randrange(1 << 26))
            await other.write("tx_start", way.start)
        await page.write("control", 1)
        await bench.running()
        await both_ways(bench, 3000)
    await bench.finish()


@cocotb.test()
async def reset_of_the_engine_in_mid_burst_leaves_nothing(dut: Any) -> None:
    """rst_ni at any cycle, with reads and writes under way: afterwards nothing of before is heard of again.

    As AXI wants it, the reset is that of the whole bus: the memories forget what they were asked for too.
    """
    bench = Bench(dut)
    await bench.start()
    for _ in range(8):
        for side in (0, 1):
            await two_doorbells(bench, side, LINE * bench.rng.randint(8, 32), LINE * bench.rng.randint(1, 32))
        await ClockCycles(dut.clk_i, bench.rng.randrange(60))
        dut.rst_ni.value = 0
        await ClockCycles(dut.clk_i, bench.rng.randint(1, 4))
        dut.rst_ni.value = 1
        await ClockCycles(dut.clk_i, 1)
        seen = [memory.accesses for memory in bench.memories]
        await ClockCycles(dut.clk_i, 100)
        assert [memory.accesses for memory in bench.memories] == seen, "a reset engine touches memory"
        for page in bench.pages:
            assert await page.read("status") == 0
            assert await page.read64("tx_bytes") == 0
        for way in bench.directions:
            way.moved = way.publications = 0
        for memory in bench.memories:
            memory.bursts = 0
        await bench.configure()
        await both_ways(bench, 2000)
    await bench.finish()


@cocotb.test()
async def enable_may_change_at_any_cycle(dut: Any) -> None:
    """One side, the other, or both, off and on again after any number of cycles: also while coming up or draining."""
    bench = Bench(dut)
    await bench.start()
    rng = bench.rng
    for _ in range(10):
        for side in (0, 1):
            await two_doorbells(bench, side, LINE * rng.randint(1, 32), LINE * rng.randint(1, 32))
        for way in bench.directions:
            way.hostile = True  # which start words come, and when, is not followed here
        for _ in range(rng.randint(2, 6)):
            await ClockCycles(dut.clk_i, rng.randrange(80))
            page = rng.choice(bench.pages)
            await page.write("control", rng.choice((0, 0, 1)))
        await page.write("control", 0)
        await bench.wait_off()  # a start word of this coming and going may still be on its way
        for way in bench.directions:
            way.hostile = False
        await bench.restart(LINE * rng.randrange(1 << 26))
        await both_ways(bench, 1500)
    await bench.finish()
