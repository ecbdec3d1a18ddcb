"""Bus errors and invalid indices halt their direction, are reported, and publish nothing that failed."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from tests.hdl.bench import Bench
from tests.hdl.memory import never
from tests.hdl.model import MASK
from tests.hdl.traffic import LINE, error_trials, halted, two_doorbells
from vnetcard.engine import registers as R


@cocotb.test()
async def read_error_halts_one_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    beat = len(dut.m_axi_host_rdata) // 8

    async def trial(n: int, side: int) -> None:
        direction = bench.directions[side]
        first, second = LINE * bench.rng.randint(1, 20), LINE * bench.rng.randint(1, 44)
        # The first beat, the last beat, or a random one.
        beats = (first + second) // beat
        bad = (0, beats - 1, bench.rng.randrange(beats), bench.rng.randrange(beats))[n // 2 % 4] * beat
        ring_at = (direction.target + bad) & (direction.size - 1)
        at, there = direction.source_ring + ring_at, direction.sink_ring + ring_at
        direction.source.bad_read = lambda address: address == at
        old = bench.rng.randbytes(beat)
        direction.sink.bytes[there : there + beat] = old
        start, middle = await two_doorbells(bench, side, first, second)
        assert await halted(bench, side, "READ") == direction.source.base + at
        assert direction.published in ((start, middle) if bad >= first else (start,))
        assert direction.sink.bytes[there : there + beat] == old, "a beat that was not read was written"
        direction.source.bad_read = never

    await error_trials(bench, trial, 12)


@cocotb.test()
async def write_error_halts_one_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()

    async def trial(n: int, side: int) -> None:
        direction = bench.directions[side]
        first, second = LINE * bench.rng.randint(1, 20), LINE * bench.rng.randint(1, 44)
        words = (first + second) // 4
        bad = (0, words - 1, bench.rng.randrange(words), bench.rng.randrange(words))[n // 2 % 4] * 4
        at = direction.sink_ring + ((direction.target + bad) & (direction.size - 1))
        direction.sink.bad_write = lambda address: address == at
        start, middle = await two_doorbells(bench, side, first, second)
        assert await halted(bench, side, "WRITE") == direction.sink.failed_at[0]
        assert direction.published in ((start, middle) if bad >= first else (start,))
        direction.sink.bad_write = never

    await error_trials(bench, trial, 12)


@cocotb.test()
async def index_word_error_halts_one_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()

    async def trial(n: int, side: int) -> None:
        direction = bench.directions[side]
        start = direction.target
        if n // 2 % 2 == 0:
            direction.sink.bad_write = lambda address: address == direction.prod_line
            await two_doorbells(bench, side, LINE, LINE)
            assert await halted(bench, side, "PROD_WRITE") == direction.sink.base + direction.prod_line
            assert await bench.pages[side].read("tx_published") == start
        else:
            await two_doorbells(bench, side, LINE, LINE)
            await bench.wait_until(lambda: direction.published == direction.target, "published")
            direction.source.bad_write = lambda address: address == direction.cons_line
            await bench.ring_cons(1 - side, start + LINE)
            assert await halted(bench, side, "CONS_WRITE") == direction.source.base + direction.cons_line
            assert await bench.pages[side].read("tx_returned") == start
        direction.sink.bad_write = direction.source.bad_write = never

    await error_trials(bench, trial, 8)


@cocotb.test()
async def start_word_error_halts_before_running(dut: Any) -> None:
    """When the start word of either side fails, RUN is not set for a single cycle."""
    bench = Bench(dut)
    await bench.start()

    async def runs(side: int) -> None:
        await RisingEdge(dut.i_engine.g_side[side].i_mover.run)

    async def trial(n: int, side: int) -> None:
        direction = bench.directions[side]
        at_sink = n // 2 % 2 == 0
        memory, word = (direction.sink, direction.prod_line) if at_sink else (direction.source, direction.cons_line)
        memory.bad_write = lambda address: address == word
        direction.start_at(direction.target)
        await bench.pages[side].write("tx_start", direction.target)
        running = cocotb.start_soon(runs(side))
        await bench.pages[side].write("reset", R.RESET_BITS["TX"])
        await bench.wait_status(side, "TX_HALT")
        assert not running.done(), "RUN was set"
        running.cancel()
        assert await halted(bench, side, "PROD_WRITE" if at_sink else "CONS_WRITE") == memory.base + word
        memory.bad_write = never

    await error_trials(bench, trial, 4)


@cocotb.test()
async def invalid_index_halts_the_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    size = bench.directions[0].size
    # Before each of these doorbells, two lines are published and one of them is consumed.
    prods = (-LINE, 32, 1, 3 * LINE + 1, 2 * LINE + size, 1 << 31, LINE + size + LINE)
    conses = (0, 33, 2 * LINE + 1, 3 * LINE, -LINE, 1 << 31)

    async def trial(n: int, side: int) -> None:
        direction, pages = bench.directions[side], bench.pages
        start = direction.target
        await two_doorbells(bench, side, LINE, LINE)
        await bench.wait_until(lambda: direction.published == direction.target, "published")
        await bench.ring_cons(1 - side, start + LINE)
        await bench.wait_until(
            lambda: direction.source.core.load32(direction.cons_line) == (start + LINE) & MASK, "cons"
        )
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
