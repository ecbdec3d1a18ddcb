"""Records of every size: what a consumer finds is what the producer wrote, header, payload and place."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Combine

from tests.hdl.hdl_bench import Bench
from tests.hdl.hdl_model import MASK
from vnetcard.ring import layout as L

LINE = L.LINE
ALL = range(2113)
"""Payloads of ordinary frames; 0 is a record that is nothing but its header."""

EDGES = (0, 1, 47, 48, 49, 111, 112, 113, 1500, 1514, 2047, 2048, 2112)
HEADER = struct.Struct("<IHHII")


def record(size: int, sequence: int, payload: bytes) -> bytes:
    """A record as it lies in the ring, padded to whole lines."""
    head = HEADER.pack(size, 0, 0, sequence, 0)
    assert len(head) == L.RECORD_HEADER
    raw = head + payload
    return raw + bytes(-len(raw) % LINE)


async def send(bench: Bench, side: int, sizes: Iterable[int], sent: list[bytes]) -> None:
    """One doorbell for each record or for a few of them, never more than the ring holds."""
    way, rng = bench.directions[side], bench.rng
    prod = way.target
    rung = True
    for sequence, size in enumerate(sizes):
        raw = record(size, sequence, rng.randbytes(size))
        while way.size - ((prod - way.source.core.load32(way.cons_line)) & MASK) < len(raw):
            if not rung:
                await bench.ring_prod(side, prod)
                rung = True
            await ClockCycles(bench.dut.clk_i, 20)
        sent.append(raw)
        way.put(prod, raw)
        prod = (prod + len(raw)) & MASK
        rung = rng.random() < 0.7
        if rung:
            await bench.ring_prod(side, prod)
    if not rung:
        await bench.ring_prod(side, prod)


async def receive(bench: Bench, side: int, count: int, sent: list[bytes]) -> None:
    """Walk the records by their own lengths, as a consumer does."""
    way = bench.directions[side]
    cons = way.published
    for sequence in range(count):
        idle = 0
        while way.sink.core.load32(way.prod_line) == cons:
            assert not bench.wrong, bench.wrong[:3]
            idle += 1
            assert idle < 4000, f"{way.name}: record {sequence} of {count} does not come"
            await ClockCycles(bench.dut.clk_i, 10)
        size, _, _, number, _ = HEADER.unpack(way.get(cons, (cons + HEADER.size) & MASK))
        whole = -(-(HEADER.size + size) // LINE) * LINE
        assert number == sequence
        assert way.get(cons, (cons + whole) & MASK) == sent[sequence], f"{way.name}: record {sequence} is another"
        cons = (cons + whole) & MASK
        await bench.ring_cons(1 - side, cons)


async def cross(bench: Bench, sizes: list[int]) -> None:
    """Records of these sizes both ways at once, in an order of its own each."""
    tasks = []
    for side in (0, 1):
        mine = bench.rng.sample(sizes, len(sizes))
        sent: list[bytes] = []
        tasks += [cocotb.start_soon(send(bench, side, mine, sent))]
        tasks += [cocotb.start_soon(receive(bench, side, len(mine), sent))]
    await Combine(*tasks)


def chosen(dut: Any, rng: Any) -> list[int]:
    """Every size where beats are wide or time is not short; else the edges and some."""
    if len(dut.m_axi_host_rdata) == 512 or os.environ.get("VNETCARD_SWEEP"):
        return list(ALL)
    return [*EDGES, *rng.sample(ALL, 60)]


@cocotb.test()
async def record_of_every_size_arrives(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    sizes = chosen(dut, bench.rng)
    await cross(bench, sizes)
    await bench.finish()


@cocotb.test()
async def large_records_wrap_where_they_must(dut: Any) -> None:
    """9000 and 65536 bytes, each starting where it straddles the ring's end, and once at index 2 ** 32."""
    ring = 131_072
    bench = Bench(dut, ring=ring, window=524_288)
    await bench.start()
    for size in (9000, 65536):
        whole = -(-(HEADER.size + size) // LINE) * LINE
        for start in (ring - LINE, (1 << 32) - whole + LINE):
            await bench.restart(start)
            await cross(bench, [size])
    await bench.finish()
