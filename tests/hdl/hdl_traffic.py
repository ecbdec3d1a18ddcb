"""What cases do again and again: random traffic through both directions, halts, and the way back from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Combine

from tests.hdl.hdl_bench import Bench
from tests.hdl.hdl_model import MASK
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

NEAR_END = (1 << 32) - 64 * 37
LINE = L.LINE


def hold(channel: Any, held: bool) -> None:
    """Nothing passes ``channel`` any more, or all does."""
    channel.clear_pause_generator()
    channel.pause = held


async def produce(bench: Bench, side: int, total: int, stream: bytearray) -> None:
    """Put ``total`` random bytes into the tx ring of ``side``, in pieces of any size that fits."""
    way, rng = bench.directions[side], bench.rng
    prod = way.target
    while len(stream) < total:
        room = way.size - ((prod - way.source.core.load32(way.cons_line)) & MASK)
        assert 0 <= room <= way.size
        if not room:
            await ClockCycles(bench.dut.clk_i, 20)
            continue
        most = min(room, rng.choice((LINE, 1024, way.size))) // LINE
        data = rng.randbytes(LINE * rng.randint(1, most))
        way.put(prod, data)
        stream += data
        prod = (prod + len(data)) & MASK
        await bench.ring_prod(side, prod)


async def consume(bench: Bench, side: int, total: int, stream: bytearray) -> None:
    """Take ``total`` bytes out of the direction that ``side`` produces, comparing each with ``stream``."""
    way, rng = bench.directions[side], bench.rng
    cons = way.published
    done = 0
    idle = 0
    while done < total:
        assert not bench.wrong, bench.wrong[:3]
        prod = way.sink.core.load32(way.prod_line)
        if prod == cons:
            idle += 1
            assert idle < 4000, f"{way.name}: nothing comes after {done} bytes"
            await ClockCycles(bench.dut.clk_i, 10)
            continue
        idle = 0
        got = way.get(cons, prod)
        assert got == stream[done : done + len(got)], f"{way.name}: other bytes than were sent"
        take = LINE * rng.randint(1, len(got) // LINE)
        done += take
        cons = (cons + take) & MASK
        await bench.ring_cons(1 - side, cons)


async def traffic(bench: Bench, side: int, total: int) -> int:
    """Random bytes through one direction from where it stands, all compared; how many."""
    stream = bytearray()
    producing = cocotb.start_soon(produce(bench, side, total, stream))
    await consume(bench, side, total, stream)
    await producing
    # What was produced beyond the total is consumed too, so that the next one starts with an empty ring.
    way = bench.directions[side]
    await bench.wait_until(lambda: way.published == way.target, f"{way.name} published everything")
    await bench.ring_cons(1 - side, way.target)
    await bench.wait_until(lambda: way.source.core.load32(way.cons_line) == way.target, f"{way.name} returned cons")
    return len(stream)


async def both_ways(bench: Bench, total: int) -> list[int]:
    tasks = [cocotb.start_soon(traffic(bench, side, total)) for side in (0, 1)]
    await Combine(*tasks)
    return [task.result() for task in tasks]


async def check_statistics(bench: Bench) -> None:
    """The counters say what the memories saw."""
    await ClockCycles(bench.dut.clk_i, 20)
    for side, way in enumerate(bench.directions):
        for page, prefix in ((bench.pages[side], "tx"), (bench.pages[1 - side], "rx")):
            assert await page.read64(f"{prefix}_bytes") == way.moved
            assert await page.read(f"{prefix}_publications") == way.publications
            assert await page.read(f"{prefix}_bursts") == way.sink.bursts
            assert await page.read(f"{prefix}_published") == way.published
            assert await page.read(f"{prefix}_returned") == way.source.core.load32(way.cons_line)
            assert await page.read(f"{prefix}_errors") == 0


async def halted(bench: Bench, side: int, cause: str) -> int:
    """Wait for the halt, check what both sides are told, and that nothing follows; the latched address."""
    await bench.wait_status(side, "TX_HALT")
    way = bench.directions[side]
    await ClockCycles(bench.dut.clk_i, 500)  # an index word already on its way may still arrive
    before = (way.published, way.sink.core.load32(way.prod_line))
    await ClockCycles(bench.dut.clk_i, 400)
    assert (way.published, way.sink.core.load32(way.prod_line)) == before
    latched = set()
    for page, prefix in ((bench.pages[side], "tx"), (bench.pages[1 - side], "rx")):
        assert await page.read(f"{prefix}_cause") == R.CAUSES[cause]
        assert await page.read("irq_status") & R.IRQ_BITS[f"{prefix.upper()}_HALT"]
        await page.write("irq_status", R.IRQ_BITS[f"{prefix.upper()}_HALT"])
        latched.add(await page.read64(f"{prefix}_error_addr"))
    assert len(latched) == 1
    return latched.pop()


async def recover(bench: Bench, side: int, start: int) -> None:
    """Reset one direction from either side's page, and see that it works again."""
    who = bench.rng.choice((0, 1))
    bench.directions[side].start_at(start)
    await bench.pages[side].write("tx_start", start)
    await bench.pages[who].write("reset", R.RESET_BITS["TX" if who == side else "RX"])
    await bench.wait_status(side, "TX_RUN")
    assert await bench.pages[side].read("tx_cause") == R.CAUSES["NONE"]
    bench.directions[side].restart()
    await traffic(bench, side, 1500)


async def error_trials(bench: Bench, trial: Callable[[int, int], Any], count: int) -> None:
    """``trial(n, side)`` and the recovery from it, while the other direction carries traffic and must not notice."""
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
    """Fill the ring with random bytes and ring twice; the start and the first index."""
    way = bench.directions[side]
    start = way.target
    way.put(start, bench.rng.randbytes(first + second))
    await bench.ring_prod(side, start + first)
    await bench.ring_prod(side, start + first + second)
    return start, (start + first) & MASK
