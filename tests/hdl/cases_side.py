"""The engine copies the side blocks: complete, in order, after a doorbell, and once before anything else."""

from __future__ import annotations

import struct
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.bench import Bench
from tests.hdl.memory import Memory, at_offset, never
from tests.hdl.traffic import both_directions, hold
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

WORDS = struct.Struct("<16I")
HEAD = 8


def line(memory: Memory, side: int) -> tuple[int, ...]:
    """Return the control line of ``side`` in ``memory``."""
    return WORDS.unpack_from(memory.bytes, L.side_offset(side))


def store(bench: Bench, side: int, version: int) -> None:
    """Store a control line of ``side`` in which every word is ``version``."""
    WORDS.pack_into(bench.memories[side].bytes, L.side_offset(side), *(16 * [version]))


async def copy(bench: Bench, side: int, value: int) -> None:
    """Ring the side doorbell of ``side`` and wait until side_done confirms the copy."""
    await bench.pages[side].write("side_doorbell", value)
    await done(bench, side, value)


async def done(bench: Bench, side: int, value: int) -> None:
    for _ in range(2000):
        if await bench.pages[side].read("side_done") == value:
            return
    raise AssertionError(f"{L.SIDES[side]}: side_done does not become {value}")


@cocotb.test()
async def start_copies_both_side_blocks_first(dut: Any) -> None:
    """Each side has the other's block before the first index word of a generation is written."""
    bench = Bench(dut)
    arrived: list[str] = []

    def watch(side: int) -> None:
        check = bench.memories[side].check_write

        def note(at: int, data: bytes) -> None:
            check(at, data)
            arrived.append("head" if len(data) == HEAD else "word" if len(data) == 4 else "body")

        bench.memories[side].check_write = note

    for side in (0, 1):
        watch(side)
    for version in range(1, 7):
        arrived.clear()
        for side in (0, 1):
            store(bench, side, version)
        await (bench.start() if version == 1 else bench.restart(64 * version))
        assert arrived.index("word") > max(n for n, what in enumerate(arrived) if what == "head"), arrived
        assert arrived.count("head") == arrived.count("body") == 2
        for side in (0, 1):
            assert line(bench.memories[1 - side], side) == line(bench.memories[side], side)
    await bench.finish()


@cocotb.test()
async def doorbell_during_a_copy_causes_another_copy(dut: Any) -> None:
    """At any rate of doorbells the last line arrives, and side_done never confirms more than has arrived."""
    bench = Bench(dut)
    await bench.start()
    rng = bench.rng
    for side in (0, 1):
        page, peer = bench.pages[side], bench.memories[1 - side]
        await bench.pages[1 - side].write("irq_enable", R.IRQ_BITS["SIDE"])
        for version in range(1, 60):
            store(bench, side, version)
            await page.write("side_doorbell", version)
            await ClockCycles(dut.clk_i, rng.choice((0, 0, rng.randrange(40))))
            promised = await page.read("side_done")
            there = line(peer, side)
            assert there[0] >= promised, f"side_done is {promised}, the peer sees {there[0]}"
            assert min(there[HEAD // 4 :]) >= there[0], f"the epoch was written before the rest: {there}"
        await done(bench, side, version)
        assert line(peer, side) == line(bench.memories[side], side)
        other = bench.pages[1 - side]
        assert await other.read("irq_status") & R.IRQ_BITS["SIDE"]
        assert int(other.irq.value)
        await other.write("irq_status", R.IRQ_BITS["SIDE"])
        await ClockCycles(dut.clk_i, 3)
        assert not int(other.irq.value)
    await bench.finish()


@cocotb.test()
async def side_block_error_halts_only_that_side_mover(dut: Any) -> None:
    """An error on any beat of the read, on the body, on the head or on its read back halts only this side mover."""
    bench = Bench(dut)
    await bench.start()
    beat = len(dut.m_axi_host_rdata) // 8
    version = 0
    for side in (0, 1):
        page, mine, peer = bench.pages[side], bench.memories[side], bench.memories[1 - side]
        offset, last = L.side_offset(side), 0
        faults = [("READ", at) for at in range(0, L.LINE, beat)] + [("WRITE", HEAD), ("WRITE", 0), ("CHECK", 0)]
        for cause, bad in faults:
            version += 1
            store(bench, side, version)
            if cause == "READ":
                mine.bad_read = at_offset(offset + bad)
            elif cause == "CHECK":
                peer.bad_read = at_offset(offset + bad)
            else:
                peer.bad_write = at_offset(offset + bad)
            traffic = cocotb.start_soon(both_directions(bench, 500))
            before = line(peer, side)
            await page.write("side_doorbell", version)
            await bench.wait_status(side, "SIDE_HALT")
            await ClockCycles(dut.clk_i, 100)
            assert await page.read("side_cause") == R.CAUSES["WRITE" if cause == "WRITE" else "READ"]
            assert await page.read64("side_error_addr") == (mine if cause == "READ" else peer).failed_at[0] & -beat
            assert await page.read("irq_status") & R.IRQ_BITS["SIDE_HALT"]
            assert await page.read("side_done") == last
            if cause != "CHECK":  # which fails after the head was written
                assert line(peer, side)[: HEAD // 4] == before[: HEAD // 4], "the head of a failed copy was written"
            await page.write("side_doorbell", version)  # ignored
            await traffic
            mine.bad_read = peer.bad_read = peer.bad_write = never
            for memory in (mine, peer):
                memory.failed_at.clear()
            await page.write("irq_status", R.IRQ_BITS["SIDE_HALT"])
            await page.write("reset", R.RESET_BITS["SIDE"])
            await done(bench, side, version)
            last = version
            assert await page.read("side_cause") == R.CAUSES["NONE"]
            assert line(peer, side) == line(mine, side)
    await bench.finish()


@cocotb.test()
async def side_copy_may_be_reset_at_any_cycle(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    for version in range(1, 40):
        side = version % 2
        page = bench.pages[side]
        traffic = cocotb.start_soon(both_directions(bench, 300))
        store(bench, side, version)
        await page.write("side_doorbell", version)
        await ClockCycles(dut.clk_i, bench.rng.randrange(60))
        await page.write("reset", R.RESET_BITS["SIDE"])
        await done(bench, side, version)
        assert line(bench.memories[1 - side], side) == line(bench.memories[side], side)
        await traffic
    await bench.finish()


@cocotb.test()
async def copy_after_reset_is_of_the_current_line(dut: Any) -> None:
    """The late answer to a read from before the reset is not used for the copy after it."""
    bench = Bench(dut)
    await bench.start()
    for version in range(1, 17, 2):
        side = version // 2 % 2
        page, channel = bench.pages[side], bench.reads[side].r_channel
        mover = dut.i_engine.g_side[side].i_side
        hold(channel, True)
        store(bench, side, version)
        await page.write("side_doorbell", version)
        await bench.wait_signal(mover.outstanding_q, "the read was taken")
        await ClockCycles(dut.clk_i, bench.rng.randrange(40))
        await page.write("reset", R.RESET_BITS["SIDE"])
        store(bench, side, version + 1)
        await page.write("side_doorbell", version + 1)
        await ClockCycles(dut.clk_i, bench.rng.randrange(40))
        hold(channel, False)
        await done(bench, side, version + 1)
        assert line(bench.memories[1 - side], side) == line(bench.memories[side], side)
    await bench.finish()
