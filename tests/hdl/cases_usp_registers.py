"""Accesses of the host to BAR0, and interrupts, through the UltraScale+ bridge; run by test_usp.py."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Timer
from cocotbext.axi import AxiResp
from cocotbext.pcie.core.tlp import CplStatus, Tlp, TlpType
from cocotbext.pcie.xilinx.us.interface import UsPcieFrame

from tests.hdl.usp_bench import BridgeBench


async def ask(bench: BridgeBench, kind: TlpType, address: int, dwords: int, first_be: int = 0xF) -> Tlp:
    """Send a non-posted request of the host and return its completion."""
    req = Tlp()
    req.fmt_type, req.requester_id = kind, bench.block.root.upstream_bridge.pcie_id
    req.address, req.length, req.first_be = address, dwords, first_be
    req.last_be = 0 if dwords == 1 else 0xF
    if kind == TlpType.IO_WRITE:
        req.set_data(bytes(4))
    return (await bench.block.root.perform_nonposted_operation(req, timeout=20, timeout_unit="us"))[0]


@cocotb.test()
async def registers_are_reached_through_bar0(dut: Any) -> None:
    bench = await BridgeBench.make(dut)
    bar = bench.block.bar0
    image = bytearray(bench.rng.randbytes(4096))
    bench.registers.write(0, bytes(image))
    for _ in range(40):
        length = bench.rng.choice((1, 2, 3, 4, 7, 8, 12, 16, 33, 100))
        offset = bench.rng.randrange(4096 - length + 1)
        image[offset : offset + length] = data = bench.rng.randbytes(length)
        await bar.write(offset, data)
        # A read is ordered behind it.
        count = bench.rng.choice((1, 2, 4, 8, 13))
        at = min(offset, 4096 - count)
        assert await bar.read(at, count) == bytes(image[at : at + count])
    assert bench.registers.read(0, 4096) == bytes(image)
    # The byte count and the address of a completion follow from the byte enables.
    at = bench.block.endpoint.bar_addr[0] + 8
    for enables, count, lower in ((0xF, 4, 8), (0x2, 1, 9), (0xC, 2, 10), (0x8, 1, 11), (0x6, 2, 9), (0, 1, 8)):
        got = await ask(bench, TlpType.MEM_READ, at, 1, enables)
        assert (got.status, got.byte_count, got.lower_address) == (CplStatus.SC, count, lower)
        assert bytes(got.data) == bytes(image[8:12])


@cocotb.test()
async def unsupported_accesses_are_refused(dut: Any) -> None:
    bench = await BridgeBench.make(dut)
    block = bench.block
    bar0, bar1, bar2 = block.endpoint.bar_addr[:3]
    bench.registers.write(0, before := bench.rng.randbytes(4096))
    refused = [
        (TlpType.MEM_READ, bar0 + 4096, 1, CplStatus.UR),
        (TlpType.MEM_READ, bar0 + 12288, 1, CplStatus.UR),
        (TlpType.MEM_READ, bar1, 1, CplStatus.UR),
        (TlpType.MEM_READ, bar0, 5, CplStatus.CA),
        (TlpType.MEM_READ, bar0 + 64, 32, CplStatus.CA),
        (TlpType.IO_READ, bar2, 1, CplStatus.UR),
        (TlpType.IO_WRITE, bar2, 1, CplStatus.UR),
    ]
    for kind, address, dwords, status in refused:
        got = await ask(bench, kind, address, dwords)
        assert (got.status, len(got.data)) == (status, 0), f"{kind} of {dwords} dwords at {address - bar0:#x}"
        assert got.byte_count == (4 * dwords if kind == TlpType.MEM_READ else 4)
    for address in (bar0 + 4096, bar1 + 8):
        await block.root.mem_write(address, bytes([0xA5]) * 40)
    assert await block.bar0.read(0, 4) == before[:4]
    assert bench.registers.read(0, 4096) == before


@cocotb.test()
async def error_of_a_register_read_aborts_it(dut: Any) -> None:
    bench = await BridgeBench.make(dut)
    channel = bench.registers.read_if.r_channel
    send = channel.send

    async def bad(r: Any) -> None:
        r.rresp = AxiResp.SLVERR
        await send(r)

    channel.send = bad
    at = bench.block.endpoint.bar_addr[0]
    assert (await ask(bench, TlpType.MEM_READ, at, 1)).status == CplStatus.CA
    assert (await ask(bench, TlpType.MEM_READ, at, 3)).status == CplStatus.CA
    channel.send = send
    assert (await ask(bench, TlpType.MEM_READ, at, 1)).status == CplStatus.SC


@cocotb.test()
async def messages_locked_and_broken_requests_do_no_harm(dut: Any) -> None:
    """A message and a discontinued TLP are dropped; a locked read is refused with a locked completion."""
    bench = await BridgeBench.make(dut)
    source = bench.block.device.cq_source
    bench.registers.write(0, before := bench.rng.randbytes(4096))
    answers: list[UsPcieFrame] = []
    sink = bench.block.device.cc_sink
    frame_received = sink._sink_frame
    sink._sink_frame = answers.append
    at = bench.block.endpoint.bar_addr[0]

    async def inject(kind: int, dwords: int, payload: int, *, discontinue: bool = False) -> None:
        frame = UsPcieFrame()
        frame.data = [at, 0, dwords | kind << 11 | 0x0100 << 16, 0x5A | 14 << 19, *range(1, payload + 1)]
        frame.byte_en, frame.parity = [0xF] * len(frame.data), [0] * len(frame.data)
        frame.first_be, frame.last_be, frame.discontinue = 0xF, 0xF if dwords > 1 else 0, discontinue
        await source.send(frame)
        await Timer(500, "ns")

    await inject(0b1101, 0, 0)  # a message of the vendor
    await inject(0b1101, 16, 16)
    await inject(0b0001, 16, 16, discontinue=True)
    await inject(0b0000, 1, 0, discontinue=True)
    assert answers == []
    assert bench.registers.read(0, 4096) == before
    await inject(0b0111, 1, 0)
    await inject(0b0100, 1, 1)  # fetch and add
    await inject(0b0110, 4, 4)  # compare and swap
    assert [(frame.data[0] >> 29 & 1, frame.data[1] >> 11 & 7) for frame in answers] == [(1, 1), (0, 1), (0, 1)]
    for frame in answers:
        # Five dwords of the request follow, for the error log.
        assert len(frame.data) == 8 and frame.data[4] == at and frame.data[7] & 0xFF == 0x5A
        assert frame.data[1] >> 16 == 0x0100 and frame.data[2] & 0xFF == 0x5A
    sink._sink_frame = frame_received
    assert await bench.block.bar0.read(0, 4) == before[:4]


@cocotb.test()
async def each_rising_edge_is_one_msi(dut: Any) -> None:
    bench = await BridgeBench.make(dut)
    block = bench.block
    for n in range(5):
        dut.irq_i.value = 1
        await ClockCycles(dut.clk_i, bench.rng.choice((60, 200)))
        dut.irq_i.value = 0
        await ClockCycles(dut.clk_i, 60)
        assert block.interrupts == n + 1
    # A line that is high when MSI is enabled raises one.
    await block.endpoint.clear_master()
    await ClockCycles(dut.clk_i, 20)
    dut.irq_i.value = 1
    await ClockCycles(dut.clk_i, 100)
    assert block.interrupts == 5
    await block.endpoint.set_master()
    await ClockCycles(dut.clk_i, 200)
    assert block.interrupts == 6
