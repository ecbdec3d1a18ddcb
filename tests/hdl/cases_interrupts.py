"""Interrupts: which event sets which bit, and that no event is lost."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hdl.bench import Bench
from tests.hdl.model import MASK
from tests.hdl.traffic import LINE
from vnetcard.engine import registers as R


@cocotb.test()
async def interrupts_follow_mask_and_clearing(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    host, card = bench.pages
    direction = bench.directions[0]

    async def levels() -> tuple[int, int]:
        await ClockCycles(dut.clk_i, 4)
        return int(host.irq.value), int(card.irq.value)

    assert await levels() == (0, 0)
    direction.put(0, bench.rng.randbytes(LINE))
    await bench.ring_prod(0, LINE)
    await bench.wait_until(lambda: direction.published == LINE, "published")
    await bench.wait_signal(card.irq, "the consumer's interrupt")
    assert await levels() == (0, 1)
    assert direction.sink.core.load32(direction.prod_line) == LINE
    assert await card.read("irq_status") == R.IRQ_BITS["RX_PROD"]
    await card.write("irq_enable", MASK & ~R.IRQ_BITS["RX_PROD"])
    assert await levels() == (0, 0)
    await card.write("irq_enable", R.IRQ_BITS["RX_PROD"])
    assert await levels() == (0, 1)
    await card.write("irq_status", MASK & ~R.IRQ_BITS["RX_PROD"])
    assert await levels() == (0, 1)
    await card.write("irq_status", R.IRQ_BITS["RX_PROD"])
    assert await levels() == (0, 0)
    await bench.ring_cons(1, LINE)
    await bench.wait_until(lambda: direction.source.core.load32(direction.cons_line) == LINE, "cons returned")
    await bench.wait_signal(host.irq, "the producer's interrupt")
    assert await levels() == (1, 0)
    assert await host.read("irq_status") == R.IRQ_BITS["TX_CONS"]
    await bench.finish()


@cocotb.test()
async def event_in_the_cycle_of_its_clearing_is_kept(dut: Any) -> None:
    """Clear irq_status repeatedly during publications, until three clearings have coincided with an event."""
    bench = Bench(dut)
    await bench.start()
    direction, card = bench.directions[0], bench.pages[1]
    irq = dut.i_engine.g_side[1].i_regs.i_irq
    met = 0

    async def watch() -> None:
        nonlocal met
        event = False
        while True:
            await RisingEdge(dut.clk_i)
            if event:
                assert int(irq.status_o.value) & R.IRQ_BITS["RX_PROD"], "an event was lost"
            event = bool(int(irq.fire.value) and int(irq.held_q.value) & R.IRQ_BITS["RX_PROD"])
            met += event and bool(int(irq.clear_i.value))

    async def clear() -> None:
        while True:
            await card.write("irq_status", MASK)
            await ClockCycles(dut.clk_i, bench.rng.randint(1, 5))

    tasks = [cocotb.start_soon(job()) for job in (watch, clear)]
    tries = 0
    while met < 3:
        tries += 1
        assert tries < 500, "no clearing coincided with an event"
        prod = direction.target + LINE
        direction.put(prod - LINE, bench.rng.randbytes(LINE))
        await bench.ring_prod(0, prod)
        await bench.wait_published(direction, prod)
        await bench.ring_cons(1, prod)
    for task in tasks:
        task.cancel()
    await bench.finish()
