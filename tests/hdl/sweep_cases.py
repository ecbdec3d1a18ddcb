"""The long ones, for the campaign: so many random doorbells that rare meetings of events do meet."""

from __future__ import annotations

import os
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Combine

from tests.hdl.hdl_bench import Bench
from tests.hdl.hdl_model import MASK
from tests.hdl.hdl_traffic import LINE, check_statistics
from vnetcard.ring import layout as L

DOORBELLS = int(os.environ.get("VNETCARD_DOORBELLS", "50000"))
"""A direction."""


async def ring_often(bench: Bench, side: int, count: int) -> None:
    """``count`` doorbells of one to four lines, rung as soon as there is room; the bench checks every access."""
    way, rng = bench.directions[side], bench.rng
    prod = way.target
    for _ in range(count):
        step = LINE * rng.choice((1, 1, 1, 2, 4))
        while way.size - ((prod - way.source.core.load32(way.cons_line)) & MASK) < step:
            await ClockCycles(bench.dut.clk_i, 10)
        way.put(prod, rng.randbytes(step))
        prod = (prod + step) & MASK
        await bench.ring_prod(side, prod)
        if len(way.doorbells) > 4096:  # they are as many as the ring has lines at most
            way.doorbells = {value for value in way.doorbells if (prod - value) & MASK <= way.size}


async def free_often(bench: Bench, side: int, producing: Any) -> None:
    """Consume what is published at once or later, until the producer is done and everything was consumed."""
    way = bench.directions[side]
    cons = way.published
    while not (producing.done() and cons == way.target):
        assert not bench.wrong, bench.wrong[:3]
        prod = way.sink.core.load32(way.prod_line)
        if prod == cons or bench.rng.random() < 0.3:
            await ClockCycles(bench.dut.clk_i, 10)
            continue
        cons = prod
        if len(way.cons_doorbells) > 4096:
            way.cons_doorbells = {value for value in way.cons_doorbells if (cons - value) & MASK <= way.size}
        await bench.ring_cons(1 - side, cons)


@cocotb.test()
async def very_many_doorbells_match_the_model(dut: Any) -> None:
    bench = Bench(dut, start=(1 << 32) - L.LINE * DOORBELLS // 2)
    await bench.start()
    tasks = []
    for side in (0, 1):
        producing = cocotb.start_soon(ring_often(bench, side, DOORBELLS))
        tasks += [producing, cocotb.start_soon(free_often(bench, side, producing))]
    await Combine(*tasks)
    await bench.wait_until(
        lambda: all(way.source.core.load32(way.cons_line) == way.target for way in bench.directions), "cons returned"
    )
    await check_statistics(bench)
    cycles = await bench.pages[0].read64("cycles")
    moved = [way.moved for way in bench.directions]
    published = [way.publications for way in bench.directions]
    cocotb.log.warning("FIGURES doorbells %d each way, publications %s, bytes %s, cycles %d",
                     DOORBELLS, published, moved, cycles)  # fmt: skip
    await bench.finish()
