"""Moving bytes: random doorbells against a model, the wrap of indices, and packets of vnetcard's FIFOs."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hdl.bench import Bench
from tests.hdl.model import MASK
from tests.hdl.traffic import LINE, NEAR_END, both_directions, check_statistics, hold
from vnetcard.engine import registers as R
from vnetcard.ring.fifo import Fifo


@cocotb.test()
async def random_doorbells_match_the_model(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    sent = await both_directions(bench, 60_000)
    assert sent == [direction.moved for direction in bench.directions]
    await check_statistics(bench)
    assert await bench.pages[0].read64("cycles") > 1000
    await bench.finish()


@cocotb.test()
async def random_doorbells_match_the_model_under_stalls(dut: Any) -> None:
    bench = Bench(dut, ring=16384, window=65536)
    await bench.start()
    for busy, slow in ((0.3, 0), (0.6, 200), (0.1, 30)):
        bench.stall(busy, slow)
        await both_directions(bench, 20_000)
    await check_statistics(bench)
    await bench.finish()


@cocotb.test()
async def indices_wrap_at_2_to_the_32(dut: Any) -> None:
    bench = Bench(dut, start=NEAR_END)
    await bench.start()
    bench.stall(0.2, 40)
    await both_directions(bench, 12_000)
    for direction in bench.directions:
        assert direction.published < NEAR_END, "the test did not get past the wrap"
    await bench.finish()


@cocotb.test()
async def back_to_back_doorbells_are_all_published(dut: Any) -> None:
    """Doorbells as fast as the bus accepts them: the last one is not lost."""
    bench = Bench(dut)
    await bench.start()
    for _ in range(40):
        for side, direction in enumerate(bench.directions):
            count = bench.rng.randint(2, 12)
            direction.put(direction.target, bench.rng.randbytes(LINE * count))
            for _ in range(count):
                direction.target = (direction.target + LINE) & MASK
                direction.doorbells.add(direction.target)
                bench.pages[side].master.init_write(R.offset("tx_prod"), direction.target.to_bytes(4, "little"))
        await bench.wait_until(
            lambda: all(direction.published == direction.target for direction in bench.directions), "all published"
        )
        for side, direction in enumerate(bench.directions):
            await bench.ring_cons(1 - side, direction.target)
            await bench.wait_returned(direction, direction.target)
    await bench.finish()


@cocotb.test()
async def backlog_of_doorbells_is_published_in_small_steps(dut: Any) -> None:
    """500 doorbells while the memory answers no read: afterwards at most a 16th of the ring becomes visible at once."""
    bench = Bench(dut, ring=1 << 18, window=1 << 20)
    await bench.start()
    steps: list[list[int]] = [[], []]
    for direction, seen in zip(bench.directions, steps, strict=True):

        def on_prod_word(value: int, direction: Any = direction, seen: list[int] = seen) -> str | None:
            seen.append((value - direction.published) & MASK)
            return type(direction).on_prod_word(direction, value)  # type: ignore[no-any-return]

        direction.on_prod_word = on_prod_word  # type: ignore[method-assign]
    for read in bench.reads:
        hold(read.r_channel, True)
    for side, direction in enumerate(bench.directions):
        direction.put(direction.target, bench.rng.randbytes(LINE * 500))
        for _ in range(500):
            direction.target = (direction.target + LINE) & MASK
            direction.doorbells.add(direction.target)
            bench.pages[side].master.init_write(R.offset("tx_prod"), direction.target.to_bytes(4, "little"))
    await bench.wait_until(
        lambda: all(int(dut.i_engine.g_side[n].i_mover.target.value) == LINE * 500 for n in (0, 1)), "all rung"
    )
    for read in bench.reads:
        hold(read.r_channel, False)
    await bench.wait_until(
        lambda: all(direction.published == direction.target for direction in bench.directions), "all published"
    )
    for direction, seen in zip(bench.directions, steps, strict=True):
        assert max(seen) <= direction.size // 16, f"{direction.name}: {max(seen)} bytes at once"
    await bench.finish()


@cocotb.test()
async def stalled_writes_lose_nothing(dut: Any) -> None:
    """More bytes are to be moved than the data FIFO holds while W is stalled: reads stop when all of it is reserved."""
    bench = Bench(dut, ring=65536, window=262_144)
    await bench.start()
    for write in bench.writes:
        write.w_channel.pause = True
    for side, direction in enumerate(bench.directions):
        direction.put(0, bench.rng.randbytes(direction.size))
        await bench.ring_prod(side, direction.size)
    await ClockCycles(dut.clk_i, 1500)
    for write in bench.writes:
        write.w_channel.pause = False
    await bench.wait_until(
        lambda: all(direction.published == direction.size for direction in bench.directions), "everything published"
    )
    await bench.finish()


@cocotb.test()
async def fifo_packets_cross_the_engine(dut: Any) -> None:
    """vnetcard.Fifo at both ends of both rings, with interrupts and doorbells: packets arrive unchanged, in order."""
    bench = Bench(dut, start=NEAR_END)
    await bench.start()
    bench.stall(0.15, 60)
    memories = [memory.core for memory in bench.memories]
    ends = []
    for side, direction in enumerate(bench.directions):
        tx = Fifo(memories[side], bench.geometry, direction.name, role="producer")
        rx = Fifo(memories[1 - side], bench.geometry, direction.name, role="consumer")
        tx.reset(NEAR_END)
        rx.reset(NEAR_END)
        ends.append((tx, rx))

    sizes = [1, 48, 49, 112, 113, 1500, 1514, 1536, ends[0][0].frame_max]
    packets = [[bench.rng.randbytes(n) for n in (*sizes, *bench.rng.choices(range(1, 2000), k=25))] for _ in (0, 1)]
    received: list[list[bytes]] = [[], []]

    async def send(side: int) -> None:
        direction, (tx, _) = bench.directions[side], ends[side]
        for packet in packets[side]:
            while not tx.try_push(packet):
                await ClockCycles(dut.clk_i, 30)
            await bench.ring_prod(side, direction.source.core.load32(direction.prod_line))

    async def receive(side: int) -> None:
        """Read the ring only after an interrupt: a lost interrupt makes the test time out."""
        direction, (_, rx), page = bench.directions[side], ends[side], bench.pages[1 - side]
        while len(received[side]) < len(packets[side]):
            if not int(page.irq.value):
                await RisingEdge(page.irq)
            await page.write("irq_status", await page.read("irq_status"))
            while (packet := rx.try_pop()) is not None:
                received[side].append(packet)
                await bench.ring_cons(1 - side, direction.sink.core.load32(direction.cons_line))

    tasks = [cocotb.start_soon(job(side)) for side in (0, 1) for job in (send, receive)]
    await bench.wait_until(lambda: all(task.done() for task in tasks), "all packets arrive", 200_000)
    assert received == packets
    for tx, rx in ends:
        tx.close()
        rx.close()
    await bench.finish()
