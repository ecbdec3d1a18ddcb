"""The engine behind ``PCIeAXISlave`` and LitePCIe's own core: data, registers in BAR0, MSI, errors, the one rule."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.link_bench import LinkBench
from tests.hdl.litepcie_bench import HIGH, LOW, LitepcieBench
from tests.hdl.memory import never
from tests.hdl.model import MASK
from tests.hdl.traffic import LINE, both_directions, halted, recover, two_doorbells
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo

NEED_WAKEUP = L.CONS_LINE.offset("need_wakeup")


async def bytes_cross(dut: Any, base: int) -> None:
    """Random doorbells, calm and stalled, with the host's window at ``base``."""
    bench = LitepcieBench(dut, base=base, ring=16384, window=65536)
    bench.root.latency = 300
    await bench.start()
    assert await bench.pages[0].read("id") == R.ENGINE_ID
    for busy in (0.0, 0.3):
        bench.root.idle = busy
        await both_directions(bench, 16_000)
    writes = [got for got in bench.root.requests if got.data is not None]
    assert max(4 * got.dwords for got in writes) == bench.root.payload
    assert bench.root.most_outstanding > 1
    await bench.finish()


@cocotb.test()
async def bytes_cross_with_64_bit_addresses(dut: Any) -> None:
    await bytes_cross(dut, HIGH)


@cocotb.test()
async def bytes_cross_with_32_bit_addresses(dut: Any) -> None:
    await bytes_cross(dut, LOW)


@cocotb.test()
async def packets_cross_on_msi_alone(dut: Any) -> None:
    """The host reads its rings only after an MSI: a lost MSI makes the test time out."""
    bench = LitepcieBench(dut)
    bench.root.latency = 200
    await bench.start()
    (host_memory, card_memory), geometry = (memory.core for memory in bench.memories), bench.geometry
    rx = Fifo(host_memory, geometry, "c2h", role="consumer")
    tx = Fifo(card_memory, geometry, "c2h", role="producer")
    c2h = bench.directions[1]
    packets = [bench.rng.randbytes(n) for n in (1, 48, 49, 64, 1500, 1514, tx.frame_max, *range(60, 2000, 150))]
    got: list[bytes] = []

    async def send() -> None:
        for packet in packets:
            while not tx.try_push(packet):
                await ClockCycles(dut.clk_i, 50)
            await bench.ring_prod(1, c2h.source.core.load32(c2h.prod_line))
            await ClockCycles(dut.clk_i, bench.rng.choice((1, 400)))

    async def receive() -> None:
        while len(got) < len(packets):
            await bench.wait_msi()
            while seen := await bench.pages[0].read("irq_status"):
                await bench.pages[0].write("irq_status", seen)
            while (packet := rx.try_pop()) is not None:
                got.append(packet)
                await bench.ring_cons(0, c2h.sink.core.load32(c2h.cons_line))

    bench.root.msi.clear()
    tasks = [cocotb.start_soon(job()) for job in (send, receive)]
    await bench.wait_until(lambda: all(task.done() for task in tasks), "all packets arrive", 100_000)
    assert got == packets
    assert bench.root.interrupts > 0
    for fifo in (tx, rx):
        fifo.close()
    await bench.finish()


@cocotb.test()
async def failed_read_halts_only_h2c(dut: Any) -> None:
    """UR and CA arrive as SLVERR: h2c halts with cause and address, and recovers; c2h runs on."""
    bench = LitepcieBench(dut)
    bench.root.latency = 100
    await bench.start()
    h2c, c2h = bench.directions
    for n in range(12):  # more than there are tags
        bad = h2c.source.base + h2c.source_ring + (h2c.target + 2 * LINE) % h2c.size
        bench.root.refused = lambda address, bad=bad: address == bad  # type: ignore[misc]
        await bench.pages[0].write("irq_status", MASK)
        await two_doorbells(bench, 0, LINE, 3 * LINE)
        assert await halted(bench, 0, "READ") & ~4095 == bad & ~4095
        c2h.put(c2h.target, bench.rng.randbytes(LINE))
        await bench.ring_prod(1, (c2h.target + LINE) & MASK)
        await bench.wait_published(c2h, c2h.target)
        await bench.ring_cons(0, c2h.target)
        await bench.wait_returned(c2h, c2h.target)
        bench.root.refused = never
        await recover(bench, 0, LINE * n)
    await bench.finish()


@cocotb.test()
async def sleeping_host_is_woken(dut: Any) -> None:
    """With NEED_WAKEUP the host is interrupted, or sees the new index, at whatever moment it goes to sleep."""
    bench = LitepcieBench(dut, ring=16384, window=65536)
    await bench.start()
    for page in bench.pages:
        await page.write("control", sum(R.CONTROL_BITS.values()))
    c2h, page = bench.directions[1], bench.pages[0]
    asleep = 0
    for _ in range(60):
        bench.root.idle = bench.rng.choice((0.0, 0.5, 0.8))
        prod = (c2h.target + LINE * 20) & MASK
        c2h.put(c2h.target, bench.rng.randbytes(LINE * 20))
        await bench.ring_prod(1, prod)
        await ClockCycles(dut.clk_i, bench.rng.randrange(60, 700))
        c2h.sink.core.store32(c2h.cons_line + NEED_WAKEUP, 1)
        if c2h.sink.core.load32(c2h.prod_line) != prod:
            asleep += 1
            await bench.wait_signal(page.irq, "the sleeping host is interrupted", 4000)
        await bench.wait_published(c2h, prod)
        c2h.sink.core.store32(c2h.cons_line + NEED_WAKEUP, 0)
        await bench.ring_cons(0, prod)
        await bench.wait_returned(c2h, prod)
        await ClockCycles(dut.clk_i, 200)
        await page.write("irq_status", MASK)
        await ClockCycles(dut.clk_i, 60)
    assert asleep >= 10
    await bench.finish()


@cocotb.test()
async def agents_bring_their_link_up_behind_litepcie(dut: Any) -> None:
    """The agents' Link and driver, the host's through BAR0; each side restarts once and every packet is accounted."""
    bench = LitepcieBench(dut)
    bench.root.latency = 200
    await bench.reset()
    async with LinkBench(bench) as links:
        await links.bring_up()
        await links.exchange(20)
        for side in links.sides:
            await links.order(side, side.crash)
            await links.bring_up()
            await links.exchange(10)
            await links.rest()
        links.assert_no_violation()
    await bench.finish()
