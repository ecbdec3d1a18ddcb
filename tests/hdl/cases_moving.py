"""Bytes cross the engine: random doorbells against a model, the wrap of indices, the project's own packets."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hdl.hdl_bench import Bench
from tests.hdl.hdl_model import MASK
from tests.hdl.hdl_traffic import LINE, NEAR_END, both_ways, check_statistics
from vnetcard.engine import registers as R
from vnetcard.ring.fifo import Fifo


@cocotb.test()
async def random_doorbells_match_the_model(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    sent = await both_ways(bench, 60_000)
    assert sent == [way.moved for way in bench.directions]
    await check_statistics(bench)
    assert await bench.pages[0].read64("cycles") > 1000
    await bench.finish()


@cocotb.test()
async def random_doorbells_match_the_model_under_stalls(dut: Any) -> None:
    bench = Bench(dut, ring=16384, window=65536)
    await bench.start()
    for busy, slow in ((0.3, 0), (0.6, 200), (0.1, 30)):
        bench.stall(busy, slow)
        await both_ways(bench, 20_000)
    await check_statistics(bench)
    await bench.finish()


@cocotb.test()
async def indices_wrap_at_2_to_the_32(dut: Any) -> None:
    bench = Bench(dut, start=NEAR_END)
    await bench.start()
    bench.stall(0.2, 40)
    await both_ways(bench, 12_000)
    for way in bench.directions:
        assert way.published < NEAR_END, "the test did not get past the wrap"
    await bench.finish()


@cocotb.test()
async def doorbells_back_to_back_all_count(dut: Any) -> None:
    """Rung as fast as the bus takes them, one behind the other: the last one is not lost."""
    bench = Bench(dut)
    await bench.start()
    for _ in range(40):
        for side, way in enumerate(bench.directions):
            count = bench.rng.randint(2, 12)
            way.put(way.target, bench.rng.randbytes(LINE * count))
            for _ in range(count):
                way.target = (way.target + LINE) & MASK
                way.doorbells.add(way.target)
                bench.pages[side].master.init_write(R.offset("tx_prod"), way.target.to_bytes(4, "little"))
        await bench.wait_until(lambda: all(way.published == way.target for way in bench.directions), "all published")
        for side, way in enumerate(bench.directions):
            await bench.ring_cons(1 - side, way.target)
            await bench.wait_until(lambda way=way: way.source.core.load32(way.cons_line) == way.target, "cons returned")
    await bench.finish()


@cocotb.test()
async def write_side_held_back_loses_nothing(dut: Any) -> None:
    """Reads stop when the buffer is spoken for: far more is to be moved than it holds, and nothing may leave it."""
    bench = Bench(dut, ring=65536, window=262_144)
    await bench.start()
    for write in bench.writes:
        write.w_channel.pause = True
    for side, way in enumerate(bench.directions):
        way.put(0, bench.rng.randbytes(way.size))
        await bench.ring_prod(side, way.size)
    await ClockCycles(dut.clk_i, 1500)
    for write in bench.writes:
        write.w_channel.pause = False
    await bench.wait_until(lambda: all(way.published == way.size for way in bench.directions), "everything published")
    await bench.finish()


@cocotb.test()
async def packets_of_the_project_fifo_arrive(dut: Any) -> None:
    """vnetcard.Fifo at both ends of both rings, interrupts and doorbells between: packets in are packets out."""
    bench = Bench(dut, start=NEAR_END)
    await bench.start()
    bench.stall(0.15, 60)
    memories = [memory.core for memory in bench.memories]
    ends = []
    for side, way in enumerate(bench.directions):
        tx = Fifo(memories[side], bench.geometry, way.name, role="producer")
        rx = Fifo(memories[1 - side], bench.geometry, way.name, role="consumer")
        tx.reset(NEAR_END)
        rx.reset(NEAR_END)
        ends.append((tx, rx))

    sizes = [1, 48, 49, 112, 113, 1500, 1514, 1536, ends[0][0].frame_max]
    packets = [[bench.rng.randbytes(n) for n in (*sizes, *bench.rng.choices(range(1, 2000), k=25))] for _ in (0, 1)]
    received: list[list[bytes]] = [[], []]

    async def send(side: int) -> None:
        way, (tx, _) = bench.directions[side], ends[side]
        for packet in packets[side]:
            while not tx.try_push(packet):
                await ClockCycles(dut.clk_i, 30)
            await bench.ring_prod(side, way.source.core.load32(way.prod_line))

    async def receive(side: int) -> None:
        """Looks only when the interrupt says so: one that is lost hangs the test."""
        way, (_, rx), page = bench.directions[side], ends[side], bench.pages[1 - side]
        while len(received[side]) < len(packets[side]):
            if not int(page.irq.value):
                await RisingEdge(page.irq)
            await page.write("irq_status", await page.read("irq_status"))
            while (packet := rx.try_pop()) is not None:
                received[side].append(packet)
                await bench.ring_cons(1 - side, way.sink.core.load32(way.cons_line))

    tasks = [cocotb.start_soon(job(side)) for side in (0, 1) for job in (send, receive)]
    await bench.wait_until(lambda: all(task.done() for task in tasks), "all packets arrive", 200_000)
    assert received == packets
    for tx, rx in ends:
        tx.close()
        rx.close()
    await bench.finish()
