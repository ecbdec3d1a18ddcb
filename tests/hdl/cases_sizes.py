"""Records of every size: the consumer finds header, payload and offset as the producer wrote them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Combine

from tests.hdl.bench import Bench
from tests.hdl.model import MASK
from vnetcard.ring import layout as L

LINE = L.LINE
ALL = range(2113)
"""Payload sizes of ordinary frames; a record of size 0 is only a header."""

EDGES = (0, 1, 47, 48, 49, 111, 112, 113, 1500, 1514, 2047, 2048, 2112)
HEADER = struct.Struct("<IHHII")


def record(size: int, sequence: int, payload: bytes) -> bytes:
    """Return a record as it is stored in the ring, padded to whole lines."""
    head = HEADER.pack(size, 0, 0, sequence, 0)
    assert len(head) == L.RECORD_HEADER
    raw = head + payload
    return raw + bytes(-len(raw) % LINE)


async def send(bench: Bench, side: int, sizes: Iterable[int], sent: list[bytes]) -> None:
    """Produce records of these sizes, with one doorbell per record or per few records."""
    direction, rng = bench.directions[side], bench.rng
    prod = direction.target
    rung = True
    for sequence, size in enumerate(sizes):
        raw = record(size, sequence, rng.randbytes(size))
        while direction.size - ((prod - direction.source.core.load32(direction.cons_line)) & MASK) < len(raw):
            if not rung:
                await bench.ring_prod(side, prod)
                rung = True
            await ClockCycles(bench.dut.clk_i, 20)
        sent.append(raw)
        direction.put(prod, raw)
        prod = (prod + len(raw)) & MASK
        rung = rng.random() < 0.7
        if rung:
            await bench.ring_prod(side, prod)
    if not rung:
        await bench.ring_prod(side, prod)


async def receive(bench: Bench, side: int, count: int, sent: list[bytes]) -> None:
    """Consume ``count`` records by their own lengths and compare each with ``sent``."""
    direction = bench.directions[side]
    cons = direction.published
    for sequence in range(count):
        idle = 0
        while direction.sink.core.load32(direction.prod_line) == cons:
            assert not bench.violations, bench.violations[:3]
            idle += 1
            assert idle < 4000, f"{direction.name}: record {sequence} of {count} does not arrive"
            await ClockCycles(bench.dut.clk_i, 10)
        size, _, _, number, _ = HEADER.unpack(direction.get(cons, (cons + HEADER.size) & MASK))
        whole = -(-(HEADER.size + size) // LINE) * LINE
        assert number == sequence
        assert direction.get(cons, (cons + whole) & MASK) == sent[sequence], (
            f"{direction.name}: record {sequence} differs"
        )
        cons = (cons + whole) & MASK
        await bench.ring_cons(1 - side, cons)


async def cross(bench: Bench, sizes: list[int]) -> None:
    """Send records of these sizes in both directions at once, each in its own random order."""
    tasks = []
    for side in (0, 1):
        mine = bench.rng.sample(sizes, len(sizes))
        sent: list[bytes] = []
        tasks += [cocotb.start_soon(send(bench, side, mine, sent))]
        tasks += [cocotb.start_soon(receive(bench, side, len(mine), sent))]
    await Combine(*tasks)


def chosen(rng: Any) -> list[int]:
    """Return every size in sweeps; otherwise the edge cases and a random choice: the engine moves whole lines."""
    if os.environ.get("VNETCARD_SWEEP"):
        return list(ALL)
    return [*EDGES, *rng.sample(ALL, 60)]


@cocotb.test()
async def record_of_every_size_arrives(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    sizes = chosen(bench.rng)
    await cross(bench, sizes)
    await bench.finish()


@cocotb.test()
async def large_records_wrap_at_ring_end_and_index_end(dut: Any) -> None:
    """Records of 9000 and 65536 bytes that straddle the end of the ring, and the index 2 ** 32."""
    ring = 131_072
    bench = Bench(dut, ring=ring, window=524_288)
    await bench.start()
    for size in (9000, 65536):
        whole = -(-(HEADER.size + size) // LINE) * LINE
        for start in (ring - LINE, (1 << 32) - whole + LINE):
            await bench.restart(start)
            await cross(bench, [size])
    await bench.finish()
