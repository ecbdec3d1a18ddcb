"""Resets and ENABLE at any cycle: outstanding transfers end, leave no trace, and the direction restarts."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.bench import Bench
from tests.hdl.traffic import LINE, both_directions, error_trials, two_doorbells


@cocotb.test()
async def reset_in_mid_burst_drains_and_restarts(dut: Any) -> None:
    """A reset, or clearing ENABLE, at any cycle of a transfer: outstanding bursts end, then the direction restarts."""
    bench = Bench(dut)
    await bench.start()

    async def trial(n: int, side: int) -> None:
        direction = bench.directions[side]
        await two_doorbells(bench, side, LINE * bench.rng.randint(1, 32), LINE * bench.rng.randint(1, 32))
        if n % 4 == 3:
            await bench.wait_until(lambda: direction.published == direction.target, "published")
            await bench.ring_cons(1 - side, direction.target)
        await ClockCycles(dut.clk_i, bench.rng.randrange(150))

    await error_trials(bench, trial, 24)

    # Both directions by clearing ENABLE: off means that nothing is outstanding.
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
        for other, direction in zip(bench.pages, bench.directions, strict=True):
            direction.start_at(LINE * bench.rng.randrange(1 << 26))
            await other.write("tx_start", direction.start)
        await page.write("control", 1)
        await bench.running()
        await both_directions(bench, 3000)
    await bench.finish()


@cocotb.test()
async def engine_reset_in_mid_burst_leaves_nothing_outstanding(dut: Any) -> None:
    """rst_ni at any cycle, with reads and writes outstanding: nothing of them happens afterwards.

    As AXI requires, the whole bus is reset: the memories discard their outstanding requests too.
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
        for direction in bench.directions:
            direction.moved = direction.publications = 0
        for memory in bench.memories:
            memory.bursts = 0
        await bench.configure()
        await both_directions(bench, 2000)
    await bench.finish()


@cocotb.test()
async def enable_may_change_at_any_cycle(dut: Any) -> None:
    """Either side or both clear and set ENABLE after any number of cycles, also while starting or draining."""
    bench = Bench(dut)
    await bench.start()
    rng = bench.rng
    for _ in range(10):
        for side in (0, 1):
            await two_doorbells(bench, side, LINE * rng.randint(1, 32), LINE * rng.randint(1, 32))
        for direction in bench.directions:
            direction.hostile = True  # the model does not follow the start words here
        for _ in range(rng.randint(2, 6)):
            await ClockCycles(dut.clk_i, rng.randrange(80))
            page = rng.choice(bench.pages)
            await page.write("control", rng.choice((0, 0, 1)))
        await page.write("control", 0)
        await bench.wait_off()  # start words of the last attempt may still be outstanding before this
        for direction in bench.directions:
            direction.hostile = False
        await bench.restart(LINE * rng.randrange(1 << 26))
        await both_directions(bench, 1500)
    await bench.finish()
