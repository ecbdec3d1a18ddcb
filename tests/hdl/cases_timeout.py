"""A memory that stops answering: the direction halts with TIMEOUT, a reset waits for the late answer and recovers."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Event

from tests.hdl.bench import Bench, stalls
from tests.hdl.model import MASK
from tests.hdl.traffic import LINE, both_directions, hold, traffic
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

LIMIT = 2500


async def set_limit(bench: Bench) -> None:
    for page in bench.pages:
        await page.write("timeout", LIMIT)


async def recovered(bench: Bench, channel: Any, side: int) -> None:
    """Reset while the memory does not answer: DRAIN until it does, then both directions restart and work."""
    page = bench.pages[side]
    await page.write("reset", R.RESET_BITS["TX"])
    await bench.wait_status(side, "TX_DRAIN")
    await ClockCycles(bench.dut.clk_i, 2 * LIMIT)
    assert await page.read("status") & R.STATUS_BITS["TX_DRAIN"], "DRAIN ended before the answer"
    hold(channel, False)
    for direction in bench.directions:
        direction.hostile = True  # the model does not follow which direction halted
    await bench.restart(LINE * bench.rng.randrange(1 << 26))
    for direction in bench.directions:
        direction.hostile = False
    for page in bench.pages:
        await page.write("irq_status", MASK)
    await both_directions(bench, 2000)


@cocotb.test()
async def unresponsive_memory_halts_and_a_late_answer_recovers(dut: Any) -> None:
    """A stall of AR, R, AW, W or B of either side: TIMEOUT, the address, interrupts, and no publication."""
    bench = Bench(dut)
    await bench.start()
    for side, direction in enumerate(bench.directions):
        read, write = bench.reads[side], bench.writes[1 - side]
        for channel, at in (
            (read.ar_channel, direction.source),
            (read.r_channel, direction.source),
            (write.aw_channel, direction.sink),
            (write.w_channel, direction.sink),
            (write.b_channel, direction.sink),
        ):
            await set_limit(bench)
            hold(channel, True)
            start = direction.target
            direction.put(start, bench.rng.randbytes(LINE * 20))
            await bench.ring_prod(side, start + LINE * 20)
            await ClockCycles(dut.clk_i, LIMIT // 2)
            assert await bench.pages[side].read("status") & R.STATUS_BITS["TX_RUN"], "the direction halted too early"
            await bench.wait_status(side, "TX_HALT")
            for page, prefix in ((bench.pages[side], "tx"), (bench.pages[1 - side], "rx")):
                assert await page.read(f"{prefix}_cause") == R.CAUSES["TIMEOUT"]
                assert await page.read("irq_status") & R.IRQ_BITS[f"{prefix.upper()}_HALT"]
            ring = direction.source_ring if at is direction.source else direction.sink_ring
            address = await bench.pages[side].read64("tx_error_addr")
            assert address == at.base + ring + (start & (direction.size - 1))
            assert direction.published == start
            await recovered(bench, channel, side)
    await bench.finish()


@cocotb.test()
async def late_answer_leaves_the_latched_address(dut: Any) -> None:
    """After a time-out on R or B the answers arrive without a reset: cause and address do not change."""
    bench = Bench(dut)
    await bench.start()
    for side, direction in enumerate(bench.directions):
        page, other = bench.pages[side], bench.pages[1 - side]
        for channel, memory, ring in (
            (bench.reads[side].r_channel, direction.source, direction.source_ring),
            (bench.writes[1 - side].b_channel, direction.sink, direction.sink_ring),
        ):
            await set_limit(bench)
            hold(channel, True)
            start = direction.target
            direction.put(start, bench.rng.randbytes(LINE * 20))
            await bench.ring_prod(side, start + LINE * 20)
            await bench.wait_status(side, "TX_HALT")
            hold(channel, False)
            await ClockCycles(dut.clk_i, 1000)
            for registers, prefix in ((page, "tx"), (other, "rx")):
                assert await registers.read(f"{prefix}_cause") == R.CAUSES["TIMEOUT"]
                address = await registers.read64(f"{prefix}_error_addr")
                assert address == memory.base + ring + (start & (direction.size - 1)), f"{address:#x}"
            assert direction.published == start
            for each in bench.directions:
                each.hostile = True  # the model does not follow the halted direction
            await bench.restart(LINE * bench.rng.randrange(1 << 26))
            for each in bench.directions:
                each.hostile = False
            await both_directions(bench, 1000)
    await bench.finish()


@cocotb.test()
async def timeout_of_index_word_or_side_block_is_reported(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    await set_limit(bench)
    host = bench.pages[0]
    direction = bench.directions[0]

    # The cons of h2c cannot reach the host's memory.
    direction.put(direction.target, bench.rng.randbytes(LINE))
    await bench.ring_prod(0, LINE)
    await bench.wait_until(lambda: direction.published == LINE, "published")
    hold(bench.writes[0].aw_channel, True)
    await bench.ring_cons(1, LINE)
    await bench.wait_status(0, "TX_HALT")
    assert await host.read("tx_cause") == R.CAUSES["TIMEOUT"]
    assert await host.read64("tx_error_addr") == direction.source.base + direction.cons_line
    assert await host.read("status") & R.STATUS_BITS["RX_RUN"], "c2h halted although nothing of it is outstanding"
    await recovered(bench, bench.writes[0].aw_channel, 0)

    # The host's block cannot be read, then cannot be written.
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
async def zero_timeout_waits_indefinitely(dut: Any) -> None:
    """With timeout 0 a stall does not halt; with a limit, a slow memory that makes progress does not halt."""
    bench = Bench(dut)
    await bench.start()
    direction, channel = bench.directions[0], bench.reads[0].r_channel
    hold(channel, True)
    direction.put(0, bench.rng.randbytes(LINE))
    await bench.ring_prod(0, LINE)
    await ClockCycles(dut.clk_i, 6000)
    assert await bench.pages[0].read("status") & R.STATUS_BITS["TX_RUN"]
    await bench.pages[0].write("timeout", 400)
    hold(channel, False)
    await bench.wait_until(lambda: direction.published == LINE, "published")
    for write in bench.writes:
        write.slow = 250
    for n in range(2, 12):
        direction.put(LINE * (n - 1), bench.rng.randbytes(LINE))
        await bench.ring_prod(0, LINE * n)
    await bench.wait_until(lambda: direction.published == direction.target, "all published")

    # Reads are outstanding for longer than the limit, each of them answered in time.
    await bench.ring_cons(1, direction.target)
    await bench.wait_until(
        lambda: direction.source.core.load32(direction.cons_line) == direction.target, "cons returned"
    )
    channel.set_pause_generator(stalls(random.Random(bench.seed), 0.9))
    start = direction.target
    direction.put(start, bench.rng.randbytes(direction.size))
    await bench.ring_prod(0, start + direction.size)
    await bench.wait_until(lambda: direction.published == direction.target, "the whole ring published")
    await bench.finish()


async def keep_moving(bench: Bench, moved: list[int], over: Event) -> None:
    """Send through c2h until ``over``; append the bytes that arrived to ``moved``."""
    while not over.is_set():
        moved.append(await traffic(bench, 1, 500))


@cocotb.test()
async def lost_answer_is_reported_while_others_move(dut: Any) -> None:
    """One B or R of the host's memory never comes; c2h moves on, and what waits for it halts with TIMEOUT."""
    bench = Bench(dut)
    await bench.start()
    limit = 8000  # more than any answer of a stalled memory takes
    host, card = bench.pages
    read, write, base = bench.reads[0], bench.writes[0], bench.memories[0].base
    cons, block = bench.directions[0].cons_line, L.side_offset(1)
    for port, number, page, prefix, at in (
        (write, 2, host, "tx", cons),  # the cons of h2c
        (read, 3, host, "tx", cons),  # its read back
        (write, 3, card, "side", block),  # the card's block
        (read, 1, card, "side", block),  # its read back
    ):
        moved: list[int] = []
        over = Event()
        moving = cocotb.start_soon(keep_moving(bench, moved, over))
        for each in bench.pages:
            await each.write("timeout", limit)
            await each.write("irq_status", MASK)
        port.loses.add(number)
        if prefix == "tx":
            prod = bench.directions[0].target + LINE
            bench.directions[0].put(prod - LINE, bench.rng.randbytes(LINE))
            await bench.ring_prod(0, prod)
            await bench.wait_until(lambda: bench.directions[0].published == bench.directions[0].target, "published")
            await bench.ring_cons(1, prod)
        else:
            await card.write("side_doorbell", await card.read("side_doorbell") + 1)
        await bench.wait_until(lambda: bool(port.lost), "an answer was lost")  # noqa: B023
        before = sum(moved)
        status = R.STATUS_BITS[f"{prefix.upper()}_HALT"]
        for _ in range(2000):
            if await page.read("status") & status:
                break
        assert await page.read("status") & status, f"{prefix}: no time-out while others move"
        assert await page.read(f"{prefix}_cause") == R.CAUSES["TIMEOUT"]
        assert 0 <= await page.read64(f"{prefix}_error_addr") - base - at <= 8
        assert sum(moved) - before > 1000, "c2h did not move meanwhile"
        assert await card.read("status") & R.STATUS_BITS["TX_RUN"], "c2h halted, whose answers came"
        over.set()
        await moving
        await port.find_lost()
        for direction in bench.directions:
            direction.hostile = True  # the model does not follow which direction halted
        await bench.restart(LINE * bench.rng.randrange(1 << 26))
        for direction in bench.directions:
            direction.hostile = False
        await both_directions(bench, 1000)
    await bench.finish()
