"""``PCIeAXISlave`` behind LitePCIe's own core: strobes, tags, errors, order, and the sizes of TLPs."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import Combine, Event
from cocotbext.axi import AxiResp

from tests.hdl.litepcie_bench import HIGH, LOW, SPAN, SlaveBench
from tests.hdl.litepcie_tags import TAGS

OKAY, SLVERR = int(AxiResp.OKAY), int(AxiResp.SLVERR)


def random_burst(bench: SlaveBench, partial: bool) -> tuple[int, list[tuple[bytes, int]]]:
    """Offset and beats of a write that does not cross 4 KiB; ``partial``: with strobes of all kinds."""
    rng, size = bench.rng, bench.size
    most = min(256, 4096 // size)
    beats = rng.choice((1, 2, most, rng.randint(1, most)))
    at = rng.randrange(SPAN // 4096) * 4096 + size * rng.randint(0, 4096 // size - beats)
    every = (1 << size) - 1
    kinds = (every, every, every, 0, 0xF, 0xFF, every & ~0xFF, rng.getrandbits(size), 1 << rng.randrange(size))
    return at, [(rng.randbytes(size), rng.choice(kinds) if partial else every) for _ in range(beats)]


def first_difference(got: bytearray, wanted: bytearray) -> str:
    at = next(n for n in range(len(got)) if got[n] != wanted[n])
    return f"at {at:#x}: {got[at : at + 16].hex()}, not {wanted[at : at + 16].hex()}"


async def writes_arrive(bench: SlaveBench, count: int, partial: bool) -> None:
    """Write ``count`` random bursts, several at a time, and compare the host's memory with what AXI demands."""
    wanted = bytearray(bench.host)
    waiting = []
    for _ in range(count):
        at, beats = random_burst(bench, partial)
        bench.expect(at, beats, wanted)
        waiting.append(await bench.post(at, beats, bench.rng.randrange(4)))
    for done in waiting:
        await bench.within(done, 2000)
        assert bench.response[done] == OKAY
    await bench.settle()
    assert bench.host == wanted, first_difference(bench.host, wanted)


async def reads_arrive(bench: SlaveBench, count: int) -> None:
    """Read ``count`` random bursts, several at a time, and compare them."""
    waiting = []
    for _ in range(count):
        at, beats = random_burst(bench, False)
        waiting.append((at, *await bench.request(at, len(beats), bench.rng.randrange(4))))
    for at, got, done in waiting:
        await bench.within(done, 2000)
        data = bench.good(got)
        assert data == bench.host[at : at + len(data)]


@cocotb.test()
async def whole_bursts_are_cut_at_the_payload_size(dut: Any) -> None:
    """Each payload size, addresses below and above 4 GiB; no TLP is shorter than it must be."""
    bench = SlaveBench(dut)
    await bench.start()
    for base in (LOW, HIGH):
        bench.base = base
        for payload in (128, 256, 512):
            bench.root.payload = payload
            dut.phy_max_payload_size.value = payload
            bench.root.requests.clear()
            beats = bench.whole(min(256, 4096 // bench.size))
            assert await bench.write(4096, beats) == OKAY
            await bench.settle()
            sizes = [len(got.data or b"") for got in bench.root.requests]
            assert sizes == [payload] * (bench.size * len(beats) // payload)
            assert bench.host[4096 : 4096 + sum(sizes)] == bench.good([(data, OKAY) for data, _ in beats])
            await writes_arrive(bench, 6, partial=False)
        bench.stall(0.0 if base == LOW else 0.4)
    await writes_arrive(bench, 10, partial=False)


@cocotb.test()
async def strobes_become_byte_enables(dut: Any) -> None:
    bench = SlaveBench(dut)
    await bench.start()
    for base in (LOW, HIGH):
        bench.base = base
        for busy in (0.0, 0.4):
            bench.stall(busy)
            await writes_arrive(bench, 12, partial=True)
    # Without strobes nothing is sent, and B comes all the same.
    bench.root.requests.clear()
    assert await bench.write(0, [(bytes(bench.size), 0)] * 3, 2) == OKAY
    await bench.settle()
    assert not bench.root.requests


@cocotb.test()
async def eight_aligned_bytes_are_one_tlp(dut: Any) -> None:
    """The head of a side block (epoch and answer) must not be seen in halves; an index word is one TLP too."""
    bench = SlaveBench(dut)
    await bench.start()
    for base in (LOW, HIGH):
        bench.base = base
        for strobes, dwords in ((0xFF, 2), (0xF, 1)):
            bench.root.requests.clear()
            before = bytes(bench.host)
            data = bench.rng.randbytes(bench.size)
            assert await bench.write(640, [(data, strobes)], 3) == OKAY
            await bench.settle()
            (got,) = bench.root.requests
            assert (got.address, got.dwords) == (base + 640, dwords)
            wanted = before[:640] + data[: 4 * dwords] + before[640 + 4 * dwords :]
            assert bench.host == wanted


@cocotb.test()
async def reads_use_all_tags(dut: Any) -> None:
    """Each request size; completions in any order and in pieces; all tags are in use at a time."""
    bench = SlaveBench(dut)
    await bench.start()
    for base, busy in ((LOW, 0.0), (HIGH, 0.4)):
        bench.base = base
        bench.stall(busy)
        for request in (128, 256, 512):
            bench.root.request = request
            dut.phy_max_request_size.value = request
            bench.root.requests.clear()
            beats = min(256, 4096 // bench.size)
            assert bench.good(await bench.read(8192, beats)) == bench.host[8192 : 8192 + beats * bench.size]
            assert [4 * got.dwords for got in bench.root.requests] == [request] * (beats * bench.size // request)
            await reads_arrive(bench, 8)
            assert bench.root.most_outstanding == TAGS
    bench.root.latency = 0
    await reads_arrive(bench, 20)


@cocotb.test()
async def failed_reads_give_slverr(dut: Any) -> None:
    """UR and CA, after none or some of the data: the missing beats are SLVERR, and the tag is free again."""
    bench = SlaveBench(dut)
    await bench.start()
    for busy in (0.0, 0.3):
        bench.stall(busy)
        for _ in range(2 * TAGS):
            at, beats = random_burst(bench, False)
            size = bench.size * len(beats)
            bad = bench.base + at + bench.rng.randrange(0, size, 4)
            bench.root.refused = lambda address, bad=bad: address == bad  # type: ignore[misc]
            got = await bench.read(at, len(beats), bench.rng.randrange(4))
            wrong = [n for n, (_, code) in enumerate(got) if code != OKAY]
            assert all(got[n][1] == SLVERR for n in wrong)
            assert (bad - bench.base - at) // bench.size in wrong
            # The requests before and behind the failed one are good.
            first, stop = bad // 512 * 512, (bad // 512 + 1) * 512
            assert all(first <= bench.base + at + n * bench.size < stop for n in wrong)
            for n, (data, code) in enumerate(got):
                place = at + n * bench.size
                assert code != OKAY or data == bench.host[place : place + bench.size]
        bench.root.refused = lambda _: False
        await reads_arrive(bench, 6)


@cocotb.test()
async def poisoned_and_short_completions_give_slverr(dut: Any) -> None:
    bench = SlaveBench(dut)
    await bench.start()
    beats = 512 // bench.size
    bench.root.completion_most = 128
    bench.root.poisoned = lambda at: at == bench.base + 128
    got = await bench.read(0, beats)
    codes = [code for _, code in got]
    assert codes == [OKAY] * (beats // 4) + [SLVERR] * (beats - beats // 4)
    bench.root.poisoned = lambda _: False
    bench.root.short = lambda at: at == bench.base + 512
    got = await bench.read(512, beats)
    assert [code for _, code in got] == [OKAY] * (beats // 4) + [SLVERR] * (beats - beats // 4)
    assert b"".join(data for data, _ in got[: beats // 4]) == bench.host[512:640]
    bench.root.short = lambda _: False
    await reads_arrive(bench, 12)


@cocotb.test()
async def read_after_b_sees_the_write(dut: Any) -> None:
    """The one rule of the engine: a read requested after B is behind the write, however long TX is stalled."""
    bench = SlaveBench(dut)
    await bench.start()
    for n in range(40):
        bench.root.idle = bench.rng.choice((0.0, 0.5, 0.9))
        at, beats = random_burst(bench, partial=n % 2 == 0)
        wanted = bytearray(bench.host)
        bench.expect(at, beats, wanted)
        assert await bench.write(at, beats) == OKAY
        size = bench.size * len(beats)
        assert bench.good(await bench.read(at, len(beats))) == wanted[at : at + size]


@cocotb.test()
async def writes_are_sent_in_order(dut: Any) -> None:
    """Writes of any ids to one place: the last one stays, and no TLP overtakes another."""
    bench = SlaveBench(dut)
    await bench.start()
    bench.stall(0.3)
    wanted = bytearray(bench.host)
    waiting = []
    for _ in range(40):
        beats = [(bench.rng.randbytes(bench.size), bench.rng.choice((0xF, 0xFF, (1 << bench.size) - 1)))]
        bench.expect(0, beats, wanted)
        waiting.append(await bench.post(0, beats, bench.rng.randrange(4)))
    for done in waiting:
        await bench.within(done)
    await bench.settle()
    assert bench.host == wanted
    words = [got for got in bench.root.requests if got.dwords == 1]
    assert all(got.first_be == 0xF for got in words)


@cocotb.test()
async def unsupported_bursts_are_refused(dut: Any) -> None:
    """FIXED, WRAP, narrow bursts, and any while ``enable`` is 0: SLVERR, and no TLP."""
    bench = SlaveBench(dut)
    await bench.start()
    narrow = bench.size.bit_length() - 2
    for fields in ({"burst": 0}, {"burst": 2}, {"size": narrow}, {}):
        dut.enable.value = int(bool(fields))
        for beats in (1, 4):
            assert await bench.write(0, bench.whole(beats), 1, **fields) == SLVERR
            assert [code for _, code in await bench.read(0, beats, 2, **fields)] == [SLVERR] * beats
        assert not bench.root.requests
        dut.enable.value = 1
        await writes_arrive(bench, 2, partial=True)
        await reads_arrive(bench, 2)
        bench.root.requests.clear()


@cocotb.test()
async def headers_of_both_lengths_follow_each_other(dut: Any) -> None:
    """Reads and writes below and above 4 GiB, back to back and with pauses."""
    bench = SlaveBench(dut)
    await bench.start()
    wanted = bytearray(bench.host)
    for busy in (0.0, 0.0, 0.5):
        bench.stall(busy)
        waiting = []
        for n in range(40):
            bench.base = bench.rng.choice((LOW, HIGH))
            at, beats = random_burst(bench, partial=n % 2 == 0)
            bench.expect(at, beats, wanted)
            waiting.append(await bench.post(at, beats, n % 4))
            if n % 4 == 0:
                _, done = await bench.request(at, 1)
                waiting.append(done)
        for done in waiting:
            await bench.within(done, 2000)
        await bench.settle()
        assert bench.host == wanted, first_difference(bench.host, wanted)
        assert {got.address >> 32 > 0 for got in bench.root.requests} == {False, True}


@cocotb.test()
async def reads_and_writes_do_not_disturb_each_other(dut: Any) -> None:
    """Random bursts of both kinds at once, stalled, to separate halves of the memory."""
    bench = SlaveBench(dut)
    await bench.start()
    reading: list[tuple[int, list[tuple[bytes, int]], Event]] = []

    async def read() -> None:
        for _ in range(15):
            at, beats = random_burst(bench, False)
            at %= SPAN // 2
            reading.append((at, *await bench.request(at, len(beats), bench.rng.randrange(4))))

    async def write() -> None:
        waiting = []
        for _ in range(15):
            at, beats = random_burst(bench, True)
            waiting.append(await bench.post(SPAN // 2 + at % (SPAN // 2), beats, bench.rng.randrange(4)))
        for done in waiting:
            await bench.within(done, 2000)

    before = bytes(bench.host)
    for busy in (0.0, 0.2, 0.6):
        bench.stall(busy)
        reading.clear()
        await Combine(cocotb.start_soon(read()), cocotb.start_soon(write()))
        for at, got, done in reading:
            await bench.within(done, 2000)
            data = bench.good(got)
            assert data == before[at : at + len(data)]
