"""SLVERR and DECERR at every place in turn: each beat of a read burst, each of a row of write bursts."""

from __future__ import annotations

from typing import Any

import cocotb

from tests.hdl.hdl_bench import Bench
from tests.hdl.hdl_traffic import LINE, both_ways
from vnetcard.engine import registers as R


async def again(bench: Bench, side: int) -> None:
    """The direction that ``side`` produces starts anew at 0."""
    way = bench.directions[side]
    way.start_at(0)
    await bench.pages[side].write("tx_start", 0)
    await bench.pages[side].write("reset", R.RESET_BITS["TX"])
    await bench.wait_status(side, "TX_RUN")
    way.restart()


async def fails(bench: Bench, side: int, cause: str, count: int) -> int:
    """Move ``count`` bytes, which must end in a halt with this cause; the latched address."""
    way, page = bench.directions[side], bench.pages[side]
    way.put(0, bench.rng.randbytes(count))
    await bench.ring_prod(side, count)
    await bench.wait_status(side, "TX_HALT")
    assert await page.read("tx_cause") == R.CAUSES[cause]
    assert way.published == 0
    return await page.read64("tx_error_addr")


@cocotb.test()
async def every_beat_of_a_read_burst_may_fail(dut: Any) -> None:
    """The first beat, the last, and each between: its address is latched, and nothing is published."""
    bench = Bench(dut)
    await bench.start()
    beat = len(dut.m_axi_host_rdata) // 8
    burst = min(64 * beat, 4096)
    for at in range(0, burst, beat):
        side = at // beat % 2
        way = bench.directions[side]
        bad = way.source_ring + at
        way.source.bad_read = lambda address, bad=bad: address == bad
        assert await fails(bench, side, "READ", burst) == way.source.base + bad
        way.source.bad_read = lambda address: False
        await again(bench, side)
    await both_ways(bench, 2000)
    await bench.finish()


@cocotb.test()
async def every_burst_of_a_row_may_be_refused(dut: Any) -> None:
    """Whichever of many writes under way is refused: its address is latched, nothing published, no more counted."""
    bench = Bench(dut, ring=8192, window=32768)
    await bench.start()
    beat = len(dut.m_axi_host_rdata) // 8
    burst = min(64 * beat, 4096)
    count = bench.directions[0].size - LINE  # the last burst is a shorter one
    for n, at in enumerate(range(0, count, burst)):
        side = n % 2
        way = bench.directions[side]
        bad = way.sink_ring + at
        way.sink.bad_write = lambda address, bad=bad: address == bad
        before = await bench.pages[side].read("tx_bursts")
        assert await fails(bench, side, "WRITE", count) == way.sink.base + bad
        assert await bench.pages[side].read("tx_bursts") == before + n, "those before it were acknowledged"
        way.sink.bad_write = lambda address: False
        await again(bench, side)
    await both_ways(bench, 2000)
    await bench.finish()
