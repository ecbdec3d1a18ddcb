"""SLVERR and DECERR at every position: each beat of a read burst, each of several outstanding write bursts."""

from __future__ import annotations

from typing import Any

import cocotb

from tests.hdl.bench import Bench
from tests.hdl.memory import at_offset, never
from tests.hdl.traffic import LINE, both_directions
from vnetcard.engine import registers as R


async def restart_at_zero(bench: Bench, side: int) -> None:
    """Reset the direction that ``side`` produces, and start it at index 0."""
    direction = bench.directions[side]
    direction.start_at(0)
    await bench.pages[side].write("tx_start", 0)
    await bench.pages[side].write("reset", R.RESET_BITS["TX"])
    await bench.wait_status(side, "TX_RUN")
    direction.restart()


async def move_and_halt(bench: Bench, side: int, cause: str, count: int) -> int:
    """Move ``count`` bytes, which must halt with ``cause``; return the latched address."""
    direction, page = bench.directions[side], bench.pages[side]
    direction.put(0, bench.rng.randbytes(count))
    await bench.ring_prod(side, count)
    await bench.wait_status(side, "TX_HALT")
    assert await page.read("tx_cause") == R.CAUSES[cause]
    assert direction.published == 0
    return await page.read64("tx_error_addr")


@cocotb.test()
async def error_on_any_read_beat_is_latched(dut: Any) -> None:
    """An error on any beat latches the address of that beat; nothing of its burst is written, nothing is published."""
    bench = Bench(dut)
    await bench.start()
    beat = len(dut.m_axi_host_rdata) // 8
    burst = min(64 * beat, 4096)
    for at in range(0, burst, beat):
        side = at // beat % 2
        direction = bench.directions[side]
        bad = direction.source_ring + at
        direction.source.bad_read = at_offset(bad)
        there = slice(direction.sink_ring, direction.sink_ring + burst)
        direction.sink.bytes[there] = old = bench.rng.randbytes(burst)
        assert await move_and_halt(bench, side, "READ", burst) == direction.source.base + bad
        assert direction.sink.bytes[there] == old, "a burst that was not read was written"
        direction.source.bad_read = never
        await restart_at_zero(bench, side)
    await both_directions(bench, 2000)
    await bench.finish()


@cocotb.test()
async def error_on_any_outstanding_write_is_latched(dut: Any) -> None:
    """An error on any of several outstanding writes latches its address; no later write is counted or published."""
    bench = Bench(dut, ring=8192, window=32768)
    await bench.start()
    beat = len(dut.m_axi_host_rdata) // 8
    burst = min(64 * beat, 4096)
    count = bench.directions[0].size - LINE  # the last burst is shorter
    for n, at in enumerate(range(0, count, burst)):
        side = n % 2
        direction = bench.directions[side]
        bad = direction.sink_ring + at
        direction.sink.bad_write = at_offset(bad)
        before = await bench.pages[side].read("tx_bursts")
        assert await move_and_halt(bench, side, "WRITE", count) == direction.sink.base + bad
        assert await bench.pages[side].read("tx_bursts") == before + n, (
            "the writes before the failed one were acknowledged"
        )
        direction.sink.bad_write = never
        await restart_at_zero(bench, side)
    await both_directions(bench, 2000)
    await bench.finish()
