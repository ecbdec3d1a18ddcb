"""Read bursts through the UltraScale+ bridge; run by test_usp.py."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Timer
from cocotbext.axi import AxiResp
from cocotbext.pcie.core.tlp import CplStatus, Tlp
from cocotbext.pcie.core.utils import PcieId

from tests.hdl.usp_bench import SCARCE, BridgeBench

SIZE = 16384


def fill(bench: BridgeBench) -> bytes:
    """Fill the host's memory with random bytes and return them."""
    data = bench.rng.randbytes(SIZE)
    bench.poke(0, data)
    return data


async def random_reads(bench: BridgeBench, count: int) -> None:
    """Read ``count`` random pieces, several at a time."""
    data = fill(bench)
    waiting = []
    for _ in range(count):
        length = bench.rng.choice((1, 4, 64, 100, 700, 2048, 6000))
        offset = bench.rng.randrange(SIZE - length + 1)
        waiting.append((offset, length, bench.begin_read(offset, length)))
    for offset, length, one in waiting:
        done = await bench.wait(one)
        assert done.resp == AxiResp.OKAY
        assert done.data == data[offset : offset + length], f"{length} bytes at {offset}"
    limit = 128 << bench.block.request
    for tlp in bench.block.reads():
        first, stop = tlp.address, tlp.address + 4 * tlp.length
        assert first // limit == (stop - 1) // limit, f"{tlp!r} crosses a multiple of {limit}"
        assert not tlp.attr


async def request(dut: Any, size: int, *, count: int = 30, **options: Any) -> None:
    bench = await BridgeBench.make(dut, request=size, **options)
    bench.block.root.split_on_all_rcb = size % 2 == 0
    bench.block.delay_reads(1500)
    await random_reads(bench, count)
    # The largest AXI burst is 4 KiB, of 256 beats or less.
    assert max(4 * tlp.length for tlp in bench.block.reads()) == min(128 << size, 4096)


@cocotb.test()
async def bursts_are_requested_by_128_bytes(dut: Any) -> None:
    await request(dut, 0, payload=0)


@cocotb.test()
async def bursts_are_requested_by_256_bytes_below_4_gib(dut: Any) -> None:
    await request(dut, 1, high=False)


@cocotb.test()
async def bursts_are_requested_by_512_bytes(dut: Any) -> None:
    await request(dut, 2)


@cocotb.test()
async def bursts_are_requested_by_1024_bytes(dut: Any) -> None:
    await request(dut, 3, payload=3)


@cocotb.test()
async def bursts_are_requested_by_2048_bytes(dut: Any) -> None:
    await request(dut, 4)


@cocotb.test()
async def bursts_are_requested_by_4096_bytes(dut: Any) -> None:
    await request(dut, 5)


@cocotb.test()
async def beats_at_every_place_are_read(dut: Any) -> None:
    """Bursts of one to nine beats that begin at every beat of 512 bytes."""
    bench = await BridgeBench.make(dut, request=1)
    beat = bench.block.width // 8
    data = fill(bench)
    waiting = []
    for first in range(0, 512, beat):
        for beats in (1, 2, 3, 9):
            waiting.append((first, beats * beat, bench.begin_read(first, beats * beat)))
    for offset, length, one in waiting:
        done = await bench.wait(one)
        assert (done.resp, done.data) == (AxiResp.OKAY, data[offset : offset + length])


@cocotb.test()
async def reads_survive_scarce_credits(dut: Any) -> None:
    bench = await BridgeBench.make(dut, credits_=SCARCE)
    bench.stall(0.4)
    await random_reads(bench, 20)


@cocotb.test()
async def failed_completions_fail_their_burst_only(dut: Any) -> None:
    """UR, CA and poisoned data: the burst is answered with SLVERR, the bursts around it are not."""
    bench = await BridgeBench.make(dut, request=1)
    block = bench.block
    data = fill(bench)
    failures = ["ur", "ca", "poisoned", "ca after data", "short", "no data"]

    async def handle(tlp: Tlp) -> None:
        failure = bad.get((tlp.address - bench.base) // 256)
        if failure is None:
            await block.root.handle_mem_read_tlp(tlp)
            return
        offset = tlp.address - bench.base
        cpl = Tlp.create_completion_data_for_tlp(tlp, PcieId(0, 0, 0))
        cpl.lower_address = tlp.address & 0x7F
        cpl.byte_count = 4 * tlp.length
        if failure == "ur":
            cpl = Tlp.create_ur_completion_for_tlp(tlp, PcieId(0, 0, 0))
        elif failure == "ca":
            cpl = Tlp.create_ca_completion_for_tlp(tlp, PcieId(0, 0, 0))
        elif failure == "no data":
            cpl = Tlp.create_completion_for_tlp(tlp, PcieId(0, 0, 0))
            cpl.status = CplStatus.SC
        elif failure == "poisoned":
            cpl.set_data(data[offset : offset + 4 * tlp.length])
            cpl.ep = True
        elif failure == "short":  # the last dwords of the request are not in whole beats
            cpl.set_data(data[offset : offset + 60])
            await block.root.send(cpl)
            cpl = Tlp.create_completion_data_for_tlp(tlp, PcieId(0, 0, 0))
            cpl.byte_count = 4 * tlp.length - 60
            cpl.lower_address = (tlp.address + 60) & 0x7F
            cpl.set_data(data[offset + 60 : offset + 4 * tlp.length])
        else:
            cpl.set_data(data[offset : offset + 128])
            await block.root.send(cpl)
            cpl = Tlp.create_ca_completion_for_tlp(tlp, PcieId(0, 0, 0))
        await block.root.send(cpl)

    bad: dict[int, str] = {}
    block.on_read(handle)
    for failure in (*failures, *failures):
        place = bench.rng.randrange(1, 60)
        bad = {place: failure}
        waiting = [bench.begin_read(offset, 256) for offset in range(256 * (place - 1), 256 * (place + 2), 256)]
        answers = [await bench.wait(one) for one in waiting]
        assert [AxiResp(one.resp) for one in answers] == [AxiResp.OKAY, AxiResp.SLVERR, AxiResp.OKAY], failure
        for n in (0, 2):
            assert answers[n].data == data[256 * (place - 1 + n) : 256 * (place + n)], failure
        # A burst of several TLPs of which the middle one fails.
        done = await bench.wait(bench.begin_read(256 * (place - 1), 768))
        assert done.resp == AxiResp.SLVERR, failure
    bad = {}
    await random_reads(bench, 10)


@cocotb.test()
async def read_without_completion_times_out(dut: Any) -> None:
    """A lost completion fails its burst; its tag is not used again before the completion arrives, which is ignored."""
    bench = await BridgeBench.make(dut, request=2)
    block = bench.block
    data = fill(bench)
    kept: list[Tlp] = []

    async def keep(tlp: Tlp) -> None:
        kept.append(tlp)

    block.on_read(keep)
    got = await bench.read(0, 1024)  # two TLPs
    assert got[1] == AxiResp.SLVERR
    assert len(kept) == 2
    block.on_read(block.root.handle_mem_read_tlp)
    await random_reads(bench, 30)
    tags = {tlp.tag for tlp in kept}
    assert not tags & {tlp.tag for tlp in block.reads()[2:]}, "a lost tag was used again"
    for tlp in kept:
        await block.root.handle_mem_read_tlp(tlp)
    await Timer(2, "us")
    count = len(block.reads())
    await random_reads(bench, 30)
    assert tags <= {tlp.tag for tlp in block.reads()[count:]}, "a tag was not recovered"
    assert len(data) == SIZE


@cocotb.test()
async def disabled_bus_mastering_fails_reads(dut: Any) -> None:
    bench = await BridgeBench.make(dut)
    block = bench.block
    fill(bench)
    await block.endpoint.clear_master()
    await ClockCycles(dut.clk_i, 20)
    sent = len(block.sent)
    for offset, length in ((0, 4), (4096, 4096), (100, 1000)):
        assert (await bench.read(offset, length))[1] == AxiResp.SLVERR
    assert len(block.sent) == sent
    await block.endpoint.set_master()
    await ClockCycles(dut.clk_i, 20)
    await random_reads(bench, 10)


@cocotb.test()
async def reads_and_writes_at_once_keep_their_bytes(dut: Any) -> None:
    """Reads of one half and writes of the other, with delayed completions and stalls everywhere."""
    bench = await BridgeBench.make(dut, request=2, payload=1)
    bench.stall(0.3)
    bench.block.delay_reads(800)
    data = fill(bench)
    image = bytearray(SIZE)
    waiting = []
    for _ in range(25):
        length = bench.rng.choice((1, 64, 100, 700, 3000))
        offset = bench.rng.randrange(SIZE - length + 1)
        waiting.append((offset, length, bench.begin_read(offset, length)))
        length = bench.rng.choice((1, 64, 100, 700, 3000))
        offset = bench.rng.randrange(SIZE - length + 1)
        image[offset : offset + length] = new = bench.rng.randbytes(length)
        waiting.append((0, 0, bench.begin_write(SIZE + offset, new)))
    for offset, length, one in waiting:
        done = await bench.wait(one)
        assert done.resp == AxiResp.OKAY
        assert not length or done.data == data[offset : offset + length]
    await Timer(2, "us")
    assert bench.peek(SIZE, SIZE) == bytes(image)
