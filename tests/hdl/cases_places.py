"""Placement and range: nothing depends on equal layouts of both windows, or on small counter values."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.bench import Bench
from tests.hdl.traffic import both_directions

CARRY = (1 << 32) - 1024


@cocotb.test()
async def rings_may_be_placed_anywhere(dut: Any) -> None:
    """Each ring has a different offset in each window, and the right bytes move."""
    bench = Bench(dut, ring=4096, window=65536)
    places = bench.rng.sample(range(1, 16), 4)
    for n, direction in enumerate(bench.directions):
        direction.source_ring = 4096 * places[2 * n]
        direction.sink_ring = 4096 * places[2 * n + 1]
    await bench.start()
    await both_directions(bench, 12_000)
    await bench.finish()


@cocotb.test()
async def counters_carry_into_their_upper_halves(dut: Any) -> None:
    """Counters pass 2 ** 32, and reading the lower half latches the upper half of the same cycle.

    The counters are preset from outside, since traffic would not bring them there in the time of a test.
    """
    bench = Bench(dut)
    await bench.start()
    for number in (0, 1):
        counters = dut.i_engine.g_side[number].i_stats.count_q  # a struct, `bytes` its upper 64 bits
        counters.value = (number + 1 << 32) + CARRY << len(counters) - 64
    dut.i_engine.cycles_q.value = (7 << 32) + CARRY
    await ClockCycles(dut.clk_i, 1)
    await both_directions(bench, 4000)
    await ClockCycles(dut.clk_i, 20)
    for side, direction in enumerate(bench.directions):
        assert direction.moved > 1024
        for page, prefix in ((bench.pages[side], "tx"), (bench.pages[1 - side], "rx")):
            assert await page.read64(f"{prefix}_bytes") == (side + 1 << 32) + CARRY + direction.moved
    # The upper half is that of the cycle in which the lower half was read.
    for page in bench.pages:
        dut.i_engine.cycles_q.value = (8 << 32) - 1
        low = await page.read("cycles_lo")
        dut.i_engine.cycles_q.value = 9 << 32
        await ClockCycles(dut.clk_i, 1)
        high = await page.read("cycles_hi")
        assert (low, high) in {(0xFFFF_FFFF, 7)} or (low < 1000 and high == 8), f"{high:#x} {low:#x}"
    await bench.finish()
