"""Write bursts through the UltraScale+ bridge; run by test_usp.py."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Timer
from cocotbext.axi import AxiResp

from tests.hdl.usp_bench import HIGH, SCARCE, BridgeBench


def check_tlps(bench: BridgeBench) -> None:
    """Each write TLP is within the maximum payload size and 4 KiB, and carries no attribute that allows reordering."""
    limit = 128 << bench.block.payload
    for tlp in bench.block.writes():
        first, stop = tlp.address, tlp.address + 4 * tlp.length
        assert first // limit == (stop - 1) // limit, f"{tlp!r} crosses a multiple of {limit}"
        assert not tlp.attr and not tlp.ep


async def random_writes(bench: BridgeBench, count: int) -> None:
    """Write ``count`` random pieces, several at a time, and compare the host's memory."""
    size = 16384
    image = bytearray(bench.rng.randbytes(size))
    bench.poke(0, bytes(image))
    waiting = []
    for _ in range(count):
        length = min(bench.rng.choice((1, 4, 31, 64, 100, 500, 2048, 6000)), size)
        offset = bench.rng.randrange(size - length + 1)
        data = bench.rng.randbytes(length)
        image[offset : offset + length] = data
        waiting.append(bench.begin_write(offset, data))
    for one in waiting:
        assert (await bench.wait(one)).resp == AxiResp.OKAY
    await Timer(2, "us")
    assert bench.peek(0, size) == bytes(image)
    check_tlps(bench)


@cocotb.test()
async def writes_of_any_first_and_last_byte_arrive(dut: Any) -> None:
    """Every first byte of a beat, with every last byte of the same beat and some of the ones after it."""
    bench = await BridgeBench.make(dut, payload=0)
    beat = bench.block.width // 8
    old = b"\xee"  # what is beside the written bytes
    bench.poke(0, old * 65536)
    at = 0
    waiting, expected = [], bytearray()
    for first in range(beat):
        for length in {*range(1, beat - first + 1, 3), beat, beat + 1, 2 * beat - first, 2 * beat + 5, 128, 161}:
            data = bench.rng.randbytes(length)
            room = -(-(first + length + 1) // beat) * beat
            if at % 4096 + room > 4096:
                expected += old * (4096 - at % 4096)
                at = len(expected)
            waiting.append(bench.begin_write(at + first, data))
            expected += old * first + data + old * (room - first - length)
            at += room
            if at > 57344:
                for one in waiting:
                    assert (await bench.wait(one)).resp == AxiResp.OKAY
                await Timer(2, "us")
                assert bench.peek(0, at) == bytes(expected)
                bench.poke(0, old * 65536)
                at, waiting, expected = 0, [], bytearray()
    for one in waiting:
        assert (await bench.wait(one)).resp == AxiResp.OKAY
    await Timer(2, "us")
    assert bench.peek(0, at) == bytes(expected)
    check_tlps(bench)


async def payload(dut: Any, size: int, *, high: bool, count: int = 40) -> None:
    bench = await BridgeBench.make(dut, payload=size, high=high)
    assert (bench.base >= HIGH) == high
    await random_writes(bench, count)
    assert max(4 * tlp.length for tlp in bench.block.writes()) == 128 << size


@cocotb.test()
async def bursts_are_split_at_128_bytes(dut: Any) -> None:
    await payload(dut, 0, high=True)


@cocotb.test()
async def bursts_are_split_at_256_bytes_below_4_gib(dut: Any) -> None:
    await payload(dut, 1, high=False)


@cocotb.test()
async def bursts_are_split_at_512_bytes(dut: Any) -> None:
    await payload(dut, 2, high=True)


@cocotb.test()
async def bursts_are_split_at_1024_bytes(dut: Any) -> None:
    await payload(dut, 3, high=True)


@cocotb.test()
async def writes_survive_scarce_credits(dut: Any) -> None:
    bench = await BridgeBench.make(dut, payload=1, credits_=SCARCE)
    bench.stall(0.3)
    await random_writes(bench, 30)


@cocotb.test()
async def strobes_may_leave_out_beats_but_no_bytes_between(dut: Any) -> None:
    """Beats without strobes are skipped; a beat whose strobes are not one run fails its burst and is not written."""
    bench = await BridgeBench.make(dut, payload=0)
    size = bench.block.width // 8
    full = (1 << size) - 1
    old = bytes([0xEE]) * size * 8

    async def burst(strobes: list[int]) -> AxiResp:
        bench.poke(0, old)
        data = [bench.rng.randbytes(size) for _ in strobes]
        answer = await bench.raw_write(0, list(zip(data, strobes, strict=True)))
        await Timer(1, "us")
        expected = bytearray(old)
        for n, (beat, enabled) in enumerate(zip(data, strobes, strict=True)):
            if enabled + (enabled & -enabled) & enabled == 0:
                for lane in range(size):
                    if enabled >> lane & 1:
                        expected[n * size + lane] = beat[lane]
        assert bench.peek(0, len(old)) == bytes(expected), [f"{one:x}" for one in strobes]
        return answer

    low, high = 0xF, full & ~0xF
    for strobes in (
        [0], [0, 0, 0], [0, full, 0], [full, 0, full], [0, 0, high, full, low], [high, low], [low, high],
        [full, full, low, high, full], [low, 0, 0, low, 0], [0, full, full, full, full, full, 0, 0], [full] * 8,
    ):  # fmt: skip
        assert await burst(strobes) == AxiResp.OKAY
    for hole in (0b1011, full & ~0x10, 1 | 1 << size - 1):
        assert await burst([full, hole, full]) == AxiResp.SLVERR
        assert await burst([hole]) == AxiResp.SLVERR
        assert await burst([full, hole]) == AxiResp.SLVERR
        assert await burst([hole, full]) == AxiResp.SLVERR
        assert await burst([full, full]) == AxiResp.OKAY
    check_tlps(bench)


@cocotb.test()
async def nothing_passes_a_write_that_was_answered(dut: Any) -> None:
    """After B, a read of the card, a read of the registers by the host, and an interrupt find the bytes written."""
    bench = await BridgeBench.make(dut, payload=0, credits_=SCARCE)
    block = bench.block
    offset = 0
    for n in range(24):
        bench.stall(bench.rng.choice((0, 0.3, 0.6)))
        length = bench.rng.choice((4, 64, 300, 2048))
        offset = (offset + 4096) % 32768
        data = bytes([n + 1]) * length
        assert await bench.write(offset, data) == AxiResp.OKAY
        kind = n % 3
        if kind == 0:
            got, answer = await bench.read(offset, length)
            assert (got, answer) == (data, AxiResp.OKAY), "a read passed a write"
        elif kind == 1:
            await block.bar0.read_dword(0)
            assert bench.peek(offset, length) == data, "a completion passed a write"
        else:
            block.msi.clear()
            dut.irq_i.value = 1
            await block.msi.wait()
            assert bench.peek(offset, length) == data, "an interrupt passed a write"
            dut.irq_i.value = 0
            await ClockCycles(dut.clk_i, 4)


@cocotb.test()
async def disabled_bus_mastering_fails_writes(dut: Any) -> None:
    """Without bus mastering nothing is written; what RQ held at that moment fails, and nothing hangs."""
    bench = await BridgeBench.make(dut, payload=0)
    block = bench.block
    await block.endpoint.clear_master()
    await ClockCycles(dut.clk_i, 20)
    sent = len(block.sent)
    for offset, length in ((0, 4), (31, 2), (4096, 4096), (100, 1000)):
        assert await bench.write(offset, bytes([1]) * length) == AxiResp.SLVERR
    assert len(block.sent) == sent and bench.peek(0, 8192) == bytes(8192)
    await block.endpoint.set_master()
    await ClockCycles(dut.clk_i, 20)
    assert await bench.write(64, b"x" * 300) == AxiResp.OKAY

    # TLPs that wait in RQ when bus mastering ends are dropped without a number.
    block.device.rq_sink.clear_pause_generator()
    block.device.rq_sink.pause = True
    waiting = [bench.begin_write(8192 + 64 * n, b"y" * 64) for n in range(8)]
    await ClockCycles(dut.clk_i, 40)
    await block.endpoint.clear_master()
    await ClockCycles(dut.clk_i, 20)
    block.device.rq_sink.pause = False
    for one in waiting:
        assert (await bench.wait(one)).resp == AxiResp.SLVERR
    assert bench.peek(8192, 512) == bytes(512)
    await block.endpoint.set_master()
    await ClockCycles(dut.clk_i, 20)
    await random_writes(bench, 10)


@cocotb.test()
async def numbers_of_other_tlps_answer_nothing(dut: Any) -> None:
    """B waits for the number of its own last TLP: not for that of a read, and not for one that is not outstanding."""
    bench = await BridgeBench.make(dut, payload=0)
    numbers = bench.block.device.rq_seq_num
    report = numbers.put_nowait
    for _ in range(31):
        assert await bench.write(0, bytes(4)) == AxiResp.OKAY
    held: list[int] = []

    def hold(number: int) -> None:
        (held.append if number < 32 else report)(number)

    numbers.put_nowait = hold
    waiting = bench.begin_write(0, b"z" * 128)
    await Timer(1, "us")
    # The number of this TLP is 31; reads have 63, whose lower bits are 31.
    assert held == [31]
    await bench.read(0, 64)
    for number in (63, 30, 0, 1, 16):
        report(number)
    await Timer(1, "us")
    assert not waiting.is_set(), "B before its TLP was sent"
    report(31)
    assert (await bench.wait(waiting)).resp == AxiResp.OKAY
    waiting = bench.begin_write(0, b"z" * 256)
    await Timer(1, "us")
    report(0)
    await Timer(1, "us")
    assert not waiting.is_set(), "B before its last TLP was sent"
    report(1)
    assert (await bench.wait(waiting)).resp == AxiResp.OKAY
    # The report of a number stands for the TLPs before it.
    waiting = bench.begin_write(0, b"z" * 512)
    await Timer(1, "us")
    report(held[-1])
    assert (await bench.wait(waiting)).resp == AxiResp.OKAY
