"""A memory that stops answering: the direction says so, a reset waits for the late answer, and all is well again."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.hdl_bench import Bench, stalls
from tests.hdl.hdl_model import MASK
from tests.hdl.hdl_traffic import LINE, both_ways, hold
from vnetcard.engine import registers as R

LIMIT = 2500


async def set_limit(bench: Bench) -> None:
    for page in bench.pages:
        await page.write("timeout", LIMIT)


async def recovered(bench: Bench, channel: Any, side: int) -> None:
    """Reset while nothing answers: DRAIN until it does; then everything starts anew and works."""
    page = bench.pages[side]
    await page.write("reset", R.RESET_BITS["TX"])
    await bench.wait_status(side, "TX_DRAIN")
    await ClockCycles(bench.dut.clk_i, 2 * LIMIT)
    assert await page.read("status") & R.STATUS_BITS["TX_DRAIN"], "it is over although nothing was answered"
    hold(channel, False)
    for way in bench.directions:
        way.hostile = True  # which halted, and when, is not followed here
    await bench.restart(LINE * bench.rng.randrange(1 << 26))
    for way in bench.directions:
        way.hostile = False
    for page in bench.pages:
        await page.write("irq_status", MASK)
    await both_ways(bench, 2000)


@cocotb.test()
async def silent_memory_halts_and_a_late_answer_heals(dut: Any) -> None:
    """AR, R, AW, W or B of either side: TIMEOUT, the address, interrupts, and nothing published meanwhile."""
    bench = Bench(dut)
    await bench.start()
    for side, way in enumerate(bench.directions):
        read, write = bench.reads[side], bench.writes[1 - side]
        for channel, at in (
            (read.ar_channel, way.source),
            (read.r_channel, way.source),
            (write.aw_channel, way.sink),
            (write.w_channel, way.sink),
            (write.b_channel, way.sink),
        ):
            await set_limit(bench)
            hold(channel, True)
            start = way.target
            way.put(start, bench.rng.randbytes(LINE * 20))
            await bench.ring_prod(side, start + LINE * 20)
            await ClockCycles(dut.clk_i, LIMIT // 2)
            assert await bench.pages[side].read("status") & R.STATUS_BITS["TX_RUN"], "too early"
            await bench.wait_status(side, "TX_HALT")
            for page, prefix in ((bench.pages[side], "tx"), (bench.pages[1 - side], "rx")):
                assert await page.read(f"{prefix}_cause") == R.CAUSES["TIMEOUT"]
                assert await page.read("irq_status") & R.IRQ_BITS[f"{prefix.upper()}_HALT"]
            ring = way.source_ring if at is way.source else way.sink_ring
            address = await bench.pages[side].read64("tx_error_addr")
            assert address == at.base + ring + (start & (way.size - 1))
            assert way.published == start
            await recovered(bench, channel, side)
    await bench.finish()


@cocotb.test()
async def silence_at_an_index_word_or_a_side_block_is_told_too(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    await set_limit(bench)
    host = bench.pages[0]
    way = bench.directions[0]

    # The cons of h2c cannot reach the host's memory.
    way.put(way.target, bench.rng.randbytes(LINE))
    await bench.ring_prod(0, LINE)
    await bench.wait_until(lambda: way.published == LINE, "published")
    hold(bench.writes[0].aw_channel, True)
    await bench.ring_cons(1, LINE)
    await bench.wait_status(0, "TX_HALT")
    assert await host.read("tx_cause") == R.CAUSES["TIMEOUT"]
    assert await host.read64("tx_error_addr") == way.source.base + way.cons_line
    assert await host.read("status") & R.STATUS_BITS["RX_RUN"], "c2h waits for nothing"
    await recovered(bench, bench.writes[0].aw_channel, 0)

    # The host's block can be read but not written.
    for channel, at_peer in ((bench.reads[0].ar_channel, False), (bench.writes[1].b_channel, True)):
        await set_limit(bench)
        hold(channel, True)
        done = await host.read("side_done")
        await host.write("side_doorbell", done + 1)
        await bench.wait_status(0, "SIDE_HALT")
        assert await host.read("side_cause") == R.CAUSES["TIMEOUT"]
        assert await host.read("irq_status") & R.IRQ_BITS["SIDE_HALT"]
        window = bench.memories[at_peer]
        assert 0 <= await host.read64("side_error_addr") - window.base - 0x400 <= 8
        await host.write("reset", R.RESET_BITS["SIDE"])
        await bench.wait_status(0, "SIDE_DRAIN")
        assert await host.read("side_done") == done
        hold(channel, False)
        await bench.wait_status(0, "SIDE_RUN")
        for _ in range(200):
            if await host.read("side_done") == done + 1:
                break
        assert await host.read("side_done") == done + 1
        await host.write("irq_status", MASK)
    await bench.finish()


@cocotb.test()
async def without_a_limit_it_waits_for_ever(dut: Any) -> None:
    """And a memory that is slow, but moves, is not silent."""
    bench = Bench(dut)
    await bench.start()
    way, channel = bench.directions[0], bench.reads[0].r_channel
    hold(channel, True)
    way.put(0, bench.rng.randbytes(LINE))
    await bench.ring_prod(0, LINE)
    await ClockCycles(dut.clk_i, 6000)
    assert await bench.pages[0].read("status") & R.STATUS_BITS["TX_RUN"]
    await bench.pages[0].write("timeout", 400)
    hold(channel, False)
    await bench.wait_until(lambda: way.published == LINE, "published")
    for write in bench.writes:
        write.slow = 250
    for n in range(2, 12):
        way.put(LINE * (n - 1), bench.rng.randbytes(LINE))
        await bench.ring_prod(0, LINE * n)
    await bench.wait_until(lambda: way.published == way.target, "all published")

    # Reads under way all the time, for longer than the limit, each of them in time.
    await bench.ring_cons(1, way.target)
    await bench.wait_until(lambda: way.source.core.load32(way.cons_line) == way.target, "cons returned")
    channel.set_pause_generator(stalls(random.Random(bench.seed), 0.9))
    start = way.target
    way.put(start, bench.rng.randbytes(way.size))
    await bench.ring_prod(0, start + way.size)
    await bench.wait_until(lambda: way.published == way.target, "the whole ring published")
    await bench.finish()
