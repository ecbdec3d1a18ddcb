"""The engine behind the UltraScale+ bridge; run by test_usp.py."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.memory import never
from tests.hdl.model import MASK
from tests.hdl.traffic import both_directions, check_statistics, halted, recover, two_doorbells
from tests.hdl.usp_bench import SCARCE
from tests.hdl.usp_engine_bench import EngineBench
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo

LINE = L.LINE


async def bytes_cross(dut: Any, total: int, **options: Any) -> None:
    """Random traffic in both directions, every access checked."""
    bench = await EngineBench.make(dut, ring=16384, window=65536, **options)
    bench.block.root.split_on_all_rcb = bench.block.payload == 0
    await both_directions(bench, total)
    assert max(4 * tlp.length for tlp in bench.block.writes()) == 128 << bench.block.payload
    # On the host's side the bench counts TLPs, of which there are more than bursts.
    bench.directions[1].sink.bursts = await bench.pages[0].read("rx_bursts")
    await check_statistics(bench)
    await bench.finish()


@cocotb.test()
async def rings_move_with_the_smallest_payload(dut: Any) -> None:
    await bytes_cross(dut, 24_000, payload=0, request=0)


@cocotb.test()
async def rings_move_with_a_large_payload_below_4_gib(dut: Any) -> None:
    await bytes_cross(dut, 40_000, payload=3, request=5, high=False)


@cocotb.test()
async def rings_move_with_scarce_credits(dut: Any) -> None:
    await bytes_cross(dut, 16_000, payload=1, request=2, credits_=SCARCE)


@cocotb.test()
async def packets_cross_on_msi_alone(dut: Any) -> None:
    """The host reads its rings only after an MSI: a lost MSI, or one that passed its index, makes the test time out."""
    bench = await EngineBench.make(dut)
    (host_memory, card_memory), geometry = (memory.core for memory in bench.memories), bench.geometry
    tx = Fifo(host_memory, geometry, "h2c", role="producer")
    rx = Fifo(host_memory, geometry, "c2h", role="consumer")
    echo_rx = Fifo(card_memory, geometry, "h2c", role="consumer")
    echo_tx = Fifo(card_memory, geometry, "c2h", role="producer")
    packets = [bench.rng.randbytes(n) for n in (1, 48, 49, 64, 1500, 1514, tx.frame_max, *range(60, 2000, 167))]
    back: list[bytes] = []
    h2c, c2h = bench.directions

    async def card() -> None:
        """Return every packet; the card polls its ring."""
        held = None
        while len(back) < len(packets):
            held = held or echo_rx.try_pop()
            if held is None:
                await ClockCycles(dut.clk_i, 50)
                continue
            await bench.ring_cons(1, h2c.sink.core.load32(h2c.cons_line))
            if echo_tx.try_push(held):
                held = None
                await bench.ring_prod(1, c2h.source.core.load32(c2h.prod_line))

    async def host() -> None:
        waiting = list(packets)
        while True:
            while waiting and tx.try_push(waiting[0]):
                del waiting[0]
                await bench.ring_prod(0, h2c.source.core.load32(h2c.prod_line))
            while (packet := rx.try_pop()) is not None:
                back.append(packet)
                await bench.ring_cons(0, c2h.sink.core.load32(c2h.cons_line))
            if len(back) == len(packets):
                return
            await bench.handle_interrupt()

    tasks = [cocotb.start_soon(job()) for job in (host, card)]
    await bench.wait_until(lambda: all(task.done() for task in tasks), "all packets return", 400_000)
    assert back == packets
    assert bench.block.interrupts > 0
    for fifo in (tx, rx, echo_tx, echo_rx):
        fifo.close()
    await bench.finish()


@cocotb.test()
async def refused_read_halts_only_h2c(dut: Any) -> None:
    """A completion with status CA halts h2c with its cause; c2h still runs."""
    bench = await EngineBench.make(dut)
    h2c, c2h = bench.directions
    good = h2c.source_ring
    h2c.source.bad_read = lambda at: at == good + 2 * LINE
    await bench.pages[0].write("irq_status", MASK)
    start, _ = await two_doorbells(bench, 0, LINE, 3 * LINE)
    assert await halted(bench, 0, "READ") & ~4095 == h2c.source.base + good
    assert h2c.published in (start, LINE)
    c2h.put(0, bench.rng.randbytes(LINE))
    await bench.ring_prod(1, LINE)
    await bench.wait_until(lambda: c2h.published == LINE, "c2h published")
    h2c.source.bad_read = never
    await recover(bench, 0, 0)
    await bench.finish()


@cocotb.test()
async def disabled_bus_mastering_halts_both_directions(dut: Any) -> None:
    """When the operating system disables bus mastering, both directions halt with a cause and nothing hangs."""
    bench = await EngineBench.make(dut)
    await bench.block.endpoint.clear_master()
    await ClockCycles(dut.clk_i, 20)
    seen = bench.memories[0].accesses
    h2c, c2h = bench.directions
    for side in (0, 1):
        await two_doorbells(bench, side, LINE, LINE)
    assert await halted(bench, 0, "READ") == h2c.source.base + h2c.source_ring
    assert await halted(bench, 1, "WRITE") == c2h.sink.base + c2h.sink_ring
    assert bench.memories[0].accesses == seen
    await bench.block.endpoint.set_master()
    for side in (0, 1):
        await recover(bench, side, LINE * side)
    await bench.finish()
