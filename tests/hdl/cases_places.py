"""Where things lie, and how far counters go: nothing depends on both windows looking alike, or on small numbers."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.hdl_bench import Bench
from tests.hdl.hdl_traffic import both_ways

CARRY = (1 << 32) - 1024


@cocotb.test()
async def rings_may_lie_anywhere(dut: Any) -> None:
    """Every ring at a place of its own in each window: what moves is what was meant."""
    bench = Bench(dut, ring=4096, window=65536)
    places = bench.rng.sample(range(1, 16), 4)
    for n, way in enumerate(bench.directions):
        way.source_ring = 4096 * places[2 * n]
        way.sink_ring = 4096 * places[2 * n + 1]
    await bench.start()
    await both_ways(bench, 12_000)
    await bench.finish()


@cocotb.test()
async def counters_carry_into_their_upper_halves(dut: Any) -> None:
    """Set just below 2 ** 32 they go beyond, and both halves read together are one value of one moment.

    The registers cannot be brought there by traffic in a test's time; so they are set from outside.
    """
    bench = Bench(dut)
    await bench.start()
    for number in (0, 1):
        counters = dut.i_engine.g_side[number].i_stats.count_q  # a struct, `bytes` its upper 64 bits
        counters.value = (number + 1 << 32) + CARRY << len(counters) - 64
    dut.i_engine.cycles_q.value = (7 << 32) + CARRY
    await ClockCycles(dut.clk_i, 1)
    await both_ways(bench, 4000)
    await ClockCycles(dut.clk_i, 20)
    for side, way in enumerate(bench.directions):
        assert way.moved > 1024
        for page, prefix in ((bench.pages[side], "tx"), (bench.pages[1 - side], "rx")):
            assert await page.read64(f"{prefix}_bytes") == (side + 1 << 32) + CARRY + way.moved
    # The upper half is that of the moment in which the lower one was read.
    for page in bench.pages:
        dut.i_engine.cycles_q.value = (8 << 32) - 1
        low = await page.read("cycles_lo")
        dut.i_engine.cycles_q.value = 9 << 32
        await ClockCycles(dut.clk_i, 1)
        high = await page.read("cycles_hi")
        assert (low, high) in {(0xFFFF_FFFF, 7)} or (low < 1000 and high == 8), f"{high:#x} {low:#x}"
    await bench.finish()
