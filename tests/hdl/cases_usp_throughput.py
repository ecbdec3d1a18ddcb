"""One measurement of benchmarks/usp_throughput.py, which sets VNETCARD_USP_RUN and reads VNETCARD_USP_FIGURES."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, Timer
from cocotb.utils import get_sim_time
from cocotbext.pcie.core.tlp import Tlp

from tests.hdl.usp_engine_bench import EngineBench

RING = 65536
CYCLE_NS = 4


class Meter:
    """Bytes and the times, in ns, of the first and the last of them; the first portion does not count."""

    def __init__(self) -> None:
        self.first = self.last = 0.0
        self.bytes = 0

    def add(self, count: int) -> None:
        now = float(get_sim_time("ns"))
        if not self.first:
            self.first = now
        else:
            self.bytes += count
        self.last = now

    @property
    def bytes_per_cycle(self) -> float:
        return self.bytes / (self.last - self.first) * CYCLE_NS


@cocotb.test()
async def throughput(dut: Any) -> None:
    """Move one full ring per selected direction and measure how fast its bytes arrive."""
    run = json.loads(os.environ["VNETCARD_USP_RUN"])
    bench = await EngineBench.make(
        dut,
        ring=RING,
        window=4 * RING,
        payload=run["payload"].bit_length() - 8,
        request=run["request"].bit_length() - 8,
    )
    block, root = bench.block, bench.block.root

    async def later(tlp: Tlp) -> None:
        await Timer(run["latency_ns"], "ns")
        await root.handle_mem_read_tlp(tlp)

    async def handle(tlp: Tlp) -> None:
        cocotb.start_soon(later(tlp))

    if run["latency_ns"]:
        block.on_read(handle)
    meters = [Meter(), Meter()]  # h2c: beats written to the card; c2h: TLPs written to the host
    check = bench.memories[0].check_write

    def arrived(at: int, data: bytes) -> None:
        check(at, data)
        if len(data) >= 64 and at >= bench.directions[1].sink_ring:
            meters[1].add(len(data))

    bench.memories[0].check_write = arrived

    async def watch() -> None:
        beat = block.width // 8
        while True:
            await RisingEdge(dut.clk_i)
            await ReadOnly()
            full = dut.m_axi_card_wvalid.value and dut.m_axi_card_wready.value
            if full and int(dut.m_axi_card_wstrb.value) == (1 << beat) - 1:
                meters[0].add(beat)

    cocotb.start_soon(watch())
    sent = {}
    for side, name in enumerate(("h2c", "c2h")):
        if name in run["directions"]:
            sent[side] = bench.rng.randbytes(RING)
            bench.directions[side].put(0, sent[side])
    for side in sent:
        await bench.ring_prod(side, RING)
    for side in sent:
        await bench.wait_published(bench.directions[side], RING)
    await ClockCycles(dut.clk_i, 20)
    for side, data in sent.items():
        assert bench.directions[side].get(0, RING) == data
    figures = {bench.directions[side].name: meters[side].bytes_per_cycle for side in sent}
    Path(os.environ["VNETCARD_USP_FIGURES"]).write_text(json.dumps(figures))
    await bench.finish()
