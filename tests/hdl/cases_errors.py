"""Bus errors and impossible indices halt their direction, are named, and publish nothing that failed."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from tests.hdl.hdl_bench import Bench
from tests.hdl.hdl_model import MASK
from tests.hdl.hdl_traffic import LINE, error_trials, halted, two_doorbells
from vnetcard.engine import registers as R


@cocotb.test()
async def read_error_halts_one_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    beat = len(dut.m_axi_host_rdata) // 8

    async def trial(n: int, side: int) -> None:
        way = bench.directions[side]
        first, second = LINE * bench.rng.randint(1, 20), LINE * bench.rng.randint(1, 44)
        # The first beat, the last one, or any other.
        beats = (first + second) // beat
        bad = (0, beats - 1, bench.rng.randrange(beats), bench.rng.randrange(beats))[n // 2 % 4] * beat
        ring_at = (way.target + bad) & (way.size - 1)
        at, there = way.source_ring + ring_at, way.sink_ring + ring_at
        way.source.bad_read = lambda address: address == at
        old = bench.rng.randbytes(beat)
        way.sink.bytes[there : there + beat] = old
        start, middle = await two_doorbells(bench, side, first, second)
        assert await halted(bench, side, "READ") == way.source.base + at
        assert way.published in ((start, middle) if bad >= first else (start,))
        assert way.sink.bytes[there : there + beat] == old, "a beat that was not read was written"
        way.source.bad_read = lambda address: False

    await error_trials(bench, trial, 12)


@cocotb.test()
async def write_error_halts_one_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()

    async def trial(n: int, side: int) -> None:
        way = bench.directions[side]
        first, second = LINE * bench.rng.randint(1, 20), LINE * bench.rng.randint(1, 44)
        words = (first + second) // 4
        bad = (0, words - 1, bench.rng.randrange(words), bench.rng.randrange(words))[n // 2 % 4] * 4
        at = way.sink_ring + ((way.target + bad) & (way.size - 1))
        way.sink.bad_write = lambda address: address == at
        start, middle = await two_doorbells(bench, side, first, second)
        assert await halted(bench, side, "WRITE") == way.sink.failed_at[0]
        assert way.published in ((start, middle) if bad >= first else (start,))
        way.sink.bad_write = lambda address: False

    await error_trials(bench, trial, 12)


@cocotb.test()
async def index_word_error_halts_one_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()

    async def trial(n: int, side: int) -> None:
        way = bench.directions[side]
        start = way.target
        if n // 2 % 2 == 0:
            way.sink.bad_write = lambda address: address == way.prod_line
            await two_doorbells(bench, side, LINE, LINE)
            assert await halted(bench, side, "PROD_WRITE") == way.sink.base + way.prod_line
            assert await bench.pages[side].read("tx_published") == start
        else:
            await two_doorbells(bench, side, LINE, LINE)
            await bench.wait_until(lambda: way.published == way.target, "published")
            way.source.bad_write = lambda address: address == way.cons_line
            await bench.ring_cons(1 - side, start + LINE)
            assert await halted(bench, side, "CONS_WRITE") == way.source.base + way.cons_line
            assert await bench.pages[side].read("tx_returned") == start
        way.sink.bad_write = way.source.bad_write = lambda address: False

    await error_trials(bench, trial, 8)


@cocotb.test()
async def start_word_error_halts_before_running(dut: Any) -> None:
    """A start that one of the two sides cannot be told is no start: RUN never shows, not for a cycle."""
    bench = Bench(dut)
    await bench.start()

    async def runs(side: int) -> None:
        await RisingEdge(dut.i_engine.g_side[side].i_mover.run)

    async def trial(n: int, side: int) -> None:
        way = bench.directions[side]
        at_sink = n // 2 % 2 == 0
        memory, word = (way.sink, way.prod_line) if at_sink else (way.source, way.cons_line)
        memory.bad_write = lambda address: address == word
        way.start_at(way.target)
        await bench.pages[side].write("tx_start", way.target)
        running = cocotb.start_soon(runs(side))
        await bench.pages[side].write("reset", R.RESET_BITS["TX"])
        await bench.wait_status(side, "TX_HALT")
        assert not running.done(), "it has run"
        running.cancel()
        assert await halted(bench, side, "PROD_WRITE" if at_sink else "CONS_WRITE") == memory.base + word
        memory.bad_write = lambda address: False

    await error_trials(bench, trial, 4)


@cocotb.test()
async def impossible_index_halts_the_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    size = bench.directions[0].size
    # Two lines are published and one of them is consumed before each of these is rung.
    prods = (-LINE, 32, 1, 3 * LINE + 1, 2 * LINE + size, 1 << 31, LINE + size + LINE)
    conses = (0, 33, 2 * LINE + 1, 3 * LINE, -LINE, 1 << 31)

    async def trial(n: int, side: int) -> None:
        way, pages = bench.directions[side], bench.pages
        start = way.target
        await two_doorbells(bench, side, LINE, LINE)
        await bench.wait_until(lambda: way.published == way.target, "published")
        await bench.ring_cons(1 - side, start + LINE)
        await bench.wait_until(lambda: way.source.core.load32(way.cons_line) == (start + LINE) & MASK, "cons")
        n //= 2
        if n < len(prods):
            value = (start + prods[n]) & MASK
            await pages[side].write("tx_prod", value)
            assert await halted(bench, side, "BAD_PROD") == value
        else:
            value = (start + conses[n - len(prods)]) & MASK
            await pages[1 - side].write("rx_cons", value)
            assert await halted(bench, side, "BAD_CONS") == value

    await error_trials(bench, trial, 2 * (len(prods) + len(conses)))
