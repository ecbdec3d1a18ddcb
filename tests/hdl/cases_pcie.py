"""The host side behind PCIe: a root complex model and a bridge model (pcie_shim.py); run by test_pcie.py."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles
from cocotbext.pcie.core.caps import PciCapId
from cocotbext.pcie.core.tlp import Tlp, TlpType

from tests.hdl.link_bench import LinkBench
from tests.hdl.memory import never
from tests.hdl.model import MASK
from tests.hdl.pcie_bench import HIGH, PcieBench
from tests.hdl.pcie_shim import DEVICE, VENDOR
from tests.hdl.traffic import both_directions, check_statistics, halted, recover, two_doorbells
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo

LINE = L.LINE


@cocotb.test()
async def root_complex_finds_the_card_and_places_bar0(dut: Any) -> None:
    bench = PcieBench(dut)
    await bench.reset()
    device = bench.device
    ids = await device.config_read_dword(0)
    assert (ids & 0xFFFF, ids >> 16) == (VENDOR, DEVICE)
    assert await device.config_read_dword(8) >> 8 == 0x028000, "not a network controller"
    assert device.bar_size[0] == R.PAGE_BYTES
    bar = await device.config_read_dword(0x10)
    assert bar == device.bar_addr[0] and bar % R.PAGE_BYTES == 0
    assert bench.root.mem_base <= bar < bench.root.mem_limit
    assert device.get_capability_offset(PciCapId.MSI) and device.get_capability_offset(PciCapId.EXP)
    assert await bench.pages[0].read("id") == R.ENGINE_ID
    # The card's page, which is not behind PCIe, shows the same engine.
    for name in ("id", "version"):
        assert await bench.pages[0].read(name) == await bench.pages[1].read(name) != 0
    assert (await bench.pages[0].read("caps") ^ await bench.pages[1].read("caps")) == 1 << 24
    await bench.finish()


@cocotb.test()
async def registers_work_as_a_bar(dut: Any) -> None:
    bench = PcieBench(dut)
    await bench.reset()
    bar, page = bench.bar0, bench.pages[0]
    at = R.offset("tx_start")

    await bar.write_dword(at, 0x1234_5640)
    assert await bar.read_dword(at) == 0x1234_5640
    for count in (1, 2):  # smaller reads return their part of the register
        for n in range(0, 4, count):
            assert await bar.read(at + n, count) == (0x1234_5640).to_bytes(4, "little")[n : n + count]

    # A write with any byte enable off is ignored: no register is updated partially.
    for enables in range(0xF):
        req = Tlp()
        req.fmt_type = TlpType.MEM_WRITE
        req.set_addr_be_data(bench.device.bar_addr[0] + at, b"\xc0\xff\xff\xff")
        req.first_be = enables
        await bench.root.send(req)
    assert await bar.read_dword(at) == 0x1234_5640

    # One TLP that spans several registers writes each of them, as with a 64-bit store of a CPU.
    values = {"window_base_lo": 0x8765_4000, "window_base_hi": 0x12, "window_log2": 20}
    await bar.write(R.offset("window_base_lo"), b"".join(n.to_bytes(4, "little") for n in values.values()))
    assert [await page.read(name) for name in values] == list(values.values())

    # Writes to a read-only or nonexistent register are ignored and answered.
    for offset, value in ((R.offset("id"), R.ENGINE_ID), (0xFFC, 0), (R.offset("reset"), 0)):
        await bar.write_dword(offset, 0)
        assert await bar.read_dword(offset) == value

    # Doorbells read back the last value, and move nothing before ENABLE.
    seen = [memory.accesses for memory in bench.memories]
    await page.write("tx_prod", 5 * LINE)
    await page.write("rx_cons", 7 * LINE)
    assert [await page.read(name) for name in ("tx_prod", "rx_cons")] == [5 * LINE, 7 * LINE]
    await ClockCycles(dut.clk_i, 100)
    assert [memory.accesses for memory in bench.memories] == seen
    await bench.finish()


async def bytes_cross(dut: Any, *, high: bool, payload: int, request: int, every_boundary: bool) -> None:
    """Random traffic in both directions with TLPs of ``128 << payload`` data bytes and reads of ``128 << request``."""
    bench = PcieBench(dut, high=high, ring=16384, window=65536)
    bench.root.max_payload_size = bench.root.max_payload_size_supported = payload
    bench.root.split_on_all_rcb = every_boundary
    await bench.start()
    await bench.device.set_readrq(request)
    assert (bench.memories[0].base >= HIGH) == high
    function = bench.shim.function
    assert (function.pcie_cap.max_payload_size, function.pcie_cap.max_read_request_size) == (payload, request)
    await both_directions(bench, 24_000)
    bench.stall(0.3)
    await both_directions(bench, 12_000)
    # Bursts exceeded the maximum payload, so TLPs were split, and no TLP was too long.
    burst = min(4096, 64 * len(dut.m_axi_host_wdata) // 8)
    assert max(function.sent_tlps) == min(burst, 128 << payload)
    assert burst > 128 << payload, "choose a payload that splits"
    # On the host's side the bench counts TLPs, of which there are more than bursts.
    bench.directions[1].sink.bursts = await bench.pages[0].read("rx_bursts")
    await check_statistics(bench)
    await bench.finish()


@cocotb.test()
async def bytes_survive_the_smallest_payload(dut: Any) -> None:
    await bytes_cross(dut, high=True, payload=0, request=0, every_boundary=True)


@cocotb.test()
async def bytes_survive_32_bit_addresses_and_larger_tlps(dut: Any) -> None:
    await bytes_cross(dut, high=False, payload=1, request=2, every_boundary=False)


@cocotb.test()
async def packets_cross_on_msi_alone(dut: Any) -> None:
    """The host reads its rings only after an MSI: a lost MSI makes the test time out."""
    bench = PcieBench(dut)
    await bench.start()
    (host_memory, card_memory), geometry = (memory.core for memory in bench.memories), bench.geometry
    tx = Fifo(host_memory, geometry, "h2c", role="producer")
    rx = Fifo(host_memory, geometry, "c2h", role="consumer")
    echo_rx = Fifo(card_memory, geometry, "h2c", role="consumer")
    echo_tx = Fifo(card_memory, geometry, "c2h", role="producer")
    packets = [bench.rng.randbytes(n) for n in (1, 48, 49, 64, 1500, 1514, tx.frame_max, *range(60, 2000, 97))]
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
    assert bench.shim.interrupts > 0
    for fifo in (tx, rx, echo_tx, echo_rx):
        fifo.close()
    await bench.finish()


@cocotb.test()
async def refused_read_halts_only_h2c(dut: Any) -> None:
    """A completion with status UR (no memory at the address) or CA (the memory failed) halts only h2c."""
    bench = PcieBench(dut)
    await bench.start()
    h2c, c2h = bench.directions
    good = h2c.source_ring

    # Completer abort: the memory fails at one line.
    h2c.source.bad_read = lambda at: at == good + 2 * LINE
    await bench.pages[0].write("irq_status", MASK)
    bench.msi.clear()
    start, _ = await two_doorbells(bench, 0, LINE, 3 * LINE)
    assert await halted(bench, 0, "READ") & ~4095 == h2c.source.base + good
    assert h2c.published in (start, LINE)
    assert bench.msi.is_set(), "the halt raised no MSI"
    h2c.source.bad_read = never
    await recover(bench, 0, 0)

    # Unsupported request: the h2c ring lies, by the host's registers, where the root complex has no memory.
    for page in bench.pages:
        await page.write("control", 0)
    await bench.wait_off()
    await bench.pages[0].write("window_log2", bench.window.bit_length())
    await bench.pages[0].write("h2c_ring_offset", bench.window)
    for page, direction in zip(bench.pages, bench.directions, strict=True):
        direction.start_at(0)
        await page.write("tx_start", 0)
    for page in bench.pages:
        await page.write("control", R.CONTROL_BITS["ENABLE"])
    await bench.running()
    await two_doorbells(bench, 0, LINE, LINE)
    assert await halted(bench, 0, "READ") == h2c.source.base + bench.window
    assert h2c.published == 0

    # The other direction, whose writes succeed, still runs.
    c2h.put(0, bench.rng.randbytes(LINE))
    await bench.ring_prod(1, LINE)
    await bench.wait_until(lambda: c2h.published == LINE, "c2h published")
    await bench.finish()


@cocotb.test()
async def disabled_bus_mastering_halts_both_directions(dut: Any) -> None:
    """When the operating system disables bus mastering, both directions halt with a cause and nothing hangs."""
    bench = PcieBench(dut)
    await bench.start()
    for side in (0, 1):
        await bench.wait_status(side, "TX_RUN")
    await bench.device.clear_master()
    seen = bench.memories[0].accesses
    h2c, c2h = bench.directions
    for side in (0, 1):
        await two_doorbells(bench, side, LINE, LINE)
    assert await halted(bench, 0, "READ") == h2c.source.base + h2c.source_ring
    assert await halted(bench, 1, "WRITE") == c2h.sink.base + c2h.sink_ring
    assert bench.memories[0].accesses == seen
    await bench.device.set_master()
    for side in (0, 1):
        await recover(bench, side, LINE * side)
    await bench.finish()


@cocotb.test()
async def agents_bring_their_link_up_behind_pcie(dut: Any) -> None:
    """The agents' Link and driver, the host's through BAR0; each side restarts once and every packet is accounted."""
    bench = PcieBench(dut)
    bench.apply_stalls()
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
