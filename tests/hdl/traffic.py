"""Steps that many cases share: random traffic through both directions, halts, and the recovery from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Combine

from tests.hdl.bench import Bench
from tests.hdl.model import MASK
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

NEAR_END = (1 << 32) - 64 * 37
LINE = L.LINE


def hold(channel: Any, held: bool) -> None:
    """Pause ``channel``, or release it."""
    channel.clear_pause_generator()
    channel.pause = held


async def produce(bench: Bench, side: int, total: int, stream: bytearray) -> None:
    """Put ``total`` random bytes into the tx ring of ``side``, in pieces of random size that fit."""
    direction, rng = bench.directions[side], bench.rng
    prod = direction.target
    while len(stream) < total:
        room = direction.size - ((prod - direction.source.core.load32(direction.cons_line)) & MASK)
        assert 0 <= room <= direction.size
        if not room:
            await ClockCycles(bench.dut.clk_i, 20)
            continue
        most = min(room, rng.choice((LINE, 1024, direction.size))) // LINE
        data = rng.randbytes(LINE * rng.randint(1, most))
        direction.put(prod, data)
        stream += data
        prod = (prod + len(data)) & MASK
        await bench.ring_prod(side, prod)


async def consume(bench: Bench, side: int, total: int, stream: bytearray) -> None:
    """Consume ``total`` bytes of the direction that ``side`` produces and compare each with ``stream``."""
    direction, rng = bench.directions[side], bench.rng
    cons = direction.published
    done = 0
    idle = 0
    while done < total:
        assert not bench.violations, bench.violations[:3]
        prod = direction.sink.core.load32(direction.prod_line)
        if prod == cons:
            idle += 1
            assert idle < 4000, f"{direction.name}: nothing arrives after {done} bytes"
            await ClockCycles(bench.dut.clk_i, 10)
            continue
        idle = 0
        got = direction.get(cons, prod)
        assert got == stream[done : done + len(got)], f"{direction.name}: the bytes differ from those sent"
        take = LINE * rng.randint(1, len(got) // LINE)
        done += take
        cons = (cons + take) & MASK
        await bench.ring_cons(1 - side, cons)


async def traffic(bench: Bench, side: int, total: int) -> int:
    """Send random bytes through one direction from its current index, compare all, and return how many."""
    stream = bytearray()
    producing = cocotb.start_soon(produce(bench, side, total, stream))
    await consume(bench, side, total, stream)
    await producing
    # Bytes produced beyond the total are consumed too, so that the next call starts with an empty ring.
    direction = bench.directions[side]
    await bench.wait_until(lambda: direction.published == direction.target, f"{direction.name} published everything")
    await bench.ring_cons(1 - side, direction.target)
    await bench.wait_until(
        lambda: direction.source.core.load32(direction.cons_line) == direction.target, f"{direction.name} returned cons"
    )
    return len(stream)


async def both_directions(bench: Bench, total: int) -> list[int]:
    tasks = [cocotb.start_soon(traffic(bench, side, total)) for side in (0, 1)]
    await Combine(*tasks)
    return [task.result() for task in tasks]


async def check_statistics(bench: Bench) -> None:
    """Compare the counters of the engine with the accesses that the memories saw."""
    await ClockCycles(bench.dut.clk_i, 20)
    for side, direction in enumerate(bench.directions):
        for page, prefix in ((bench.pages[side], "tx"), (bench.pages[1 - side], "rx")):
            assert await page.read64(f"{prefix}_bytes") == direction.moved
            assert await page.read(f"{prefix}_publications") == direction.publications
            assert await page.read(f"{prefix}_bursts") == direction.sink.bursts
            assert await page.read(f"{prefix}_published") == direction.published
            assert await page.read(f"{prefix}_returned") == direction.source.core.load32(direction.cons_line)
            assert await page.read(f"{prefix}_errors") == 0


async def halted(bench: Bench, side: int, cause: str) -> int:
    """Wait for the halt, check what both sides' pages report and that nothing follows; return the latched address."""
    await bench.wait_status(side, "TX_HALT")
    direction = bench.directions[side]
    await ClockCycles(bench.dut.clk_i, 500)  # an index word whose request was taken may still be written
    before = (direction.published, direction.sink.core.load32(direction.prod_line))
    await ClockCycles(bench.dut.clk_i, 400)
    assert (direction.published, direction.sink.core.load32(direction.prod_line)) == before
    latched = set()
    for page, prefix in ((bench.pages[side], "tx"), (bench.pages[1 - side], "rx")):
        assert await page.read(f"{prefix}_cause") == R.CAUSES[cause]
        assert await page.read("irq_status") & R.IRQ_BITS[f"{prefix.upper()}_HALT"]
        await page.write("irq_status", R.IRQ_BITS[f"{prefix.upper()}_HALT"])
        latched.add(await page.read64(f"{prefix}_error_addr"))
    assert len(latched) == 1
    return latched.pop()


async def recover(bench: Bench, side: int, start: int) -> None:
    """Reset one direction from either side's page, and check that it works again."""
    resetter = bench.rng.choice((0, 1))
    bench.directions[side].start_at(start)
    await bench.pages[side].write("tx_start", start)
    await bench.pages[resetter].write("reset", R.RESET_BITS["TX" if resetter == side else "RX"])
    await bench.wait_status(side, "TX_RUN")
    assert await bench.pages[side].read("tx_cause") == R.CAUSES["NONE"]
    bench.directions[side].restart()
    await traffic(bench, side, 1500)


async def error_trials(bench: Bench, trial: Callable[[int, int], Any], count: int) -> None:
    """Run ``trial(n, side)`` and recover, ``count`` times, while the other direction carries undisturbed traffic."""
    bench.stall(0.2, 40)
    for n in range(count):
        side = n % 2
        other = cocotb.start_soon(traffic(bench, 1 - side, 2500))
        await trial(n, side)
        await recover(bench, side, bench.rng.choice((0, NEAR_END, LINE * bench.rng.randrange(1 << 26))))
        await other
        for memory in bench.memories:
            memory.failed_at.clear()
    await bench.finish()


async def two_doorbells(bench: Bench, side: int, first: int, second: int) -> tuple[int, int]:
    """Produce random bytes with two doorbells; return the start and the index of the first doorbell."""
    direction = bench.directions[side]
    start = direction.target
    direction.put(start, bench.rng.randbytes(first + second))
    await bench.ring_prod(side, start + first)
    await bench.ring_prod(side, start + first + second)
    return start, (start + first) & MASK
