"""Cases of the campaign: enough random doorbells that rare coincidences of events occur."""

from __future__ import annotations

import os
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Combine

from tests.hdl.bench import Bench
from tests.hdl.model import MASK
from tests.hdl.traffic import LINE, check_statistics
from vnetcard.ring import layout as L

DOORBELLS = int(os.environ.get("VNETCARD_DOORBELLS", "12500"))
"""Doorbells per direction at each of the four widths: 10^5 together."""


async def ring_often(bench: Bench, side: int, count: int) -> None:
    """Ring ``count`` doorbells of one to four lines as soon as there is room; the bench checks every access."""
    direction, rng = bench.directions[side], bench.rng
    prod = direction.target
    for _ in range(count):
        step = LINE * rng.choice((1, 1, 1, 2, 4))
        while direction.size - ((prod - direction.source.core.load32(direction.cons_line)) & MASK) < step:
            await ClockCycles(bench.dut.clk_i, 10)
        direction.put(prod, rng.randbytes(step))
        prod = (prod + step) & MASK
        await bench.ring_prod(side, prod)
        if len(direction.doorbells) > 4096:  # keep those that can still be published
            direction.doorbells = {value for value in direction.doorbells if (prod - value) & MASK <= direction.size}


async def free_often(bench: Bench, side: int, producing: Any) -> None:
    """Consume published bytes, at once or later, until the producer is done and everything is consumed."""
    direction = bench.directions[side]
    cons = direction.published
    while not (producing.done() and cons == direction.target):
        assert not bench.violations, bench.violations[:3]
        prod = direction.sink.core.load32(direction.prod_line)
        if prod == cons or bench.rng.random() < 0.3:
            await ClockCycles(bench.dut.clk_i, 10)
            continue
        cons = prod
        if len(direction.cons_doorbells) > 4096:
            direction.cons_doorbells = {
                value for value in direction.cons_doorbells if (cons - value) & MASK <= direction.size
            }
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
        lambda: all(
            direction.source.core.load32(direction.cons_line) == direction.target for direction in bench.directions
        ),
        "cons returned",
    )
    await check_statistics(bench)
    cycles = await bench.pages[0].read64("cycles")
    moved = [direction.moved for direction in bench.directions]
    published = [direction.publications for direction in bench.directions]
    cocotb.log.warning("FIGURES doorbells %d per direction, publications %s, bytes %s, cycles %d",
                     DOORBELLS, published, moved, cycles)  # fmt: skip
    await bench.finish()
