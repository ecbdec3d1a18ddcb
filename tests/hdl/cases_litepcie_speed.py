"""Throughput and latency of the engine behind LitePCIe, for ``benchmarks/litepcie_throughput.py``.

VNETCARD_FIGURES names the file for the figures, VNETCARD_STOCK=1 says that LitePCIe's own AXI slave is in the bench,
VNETCARD_LATENCY is the time in ns after which the root complex answers a read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import Combine
from cocotb.utils import get_sim_time

from tests.hdl.litepcie_bench import LOW, LitepcieBench
from tests.hdl.model import MASK
from tests.hdl.traffic import LINE

RING = 65536


async def transfer(bench: LitepcieBench, side: int, count: int) -> float:
    """Move ``count`` bytes with one doorbell and return the ns until their index is visible; then free them."""
    direction = bench.directions[side]
    prod = (direction.target + count) & MASK
    direction.put(direction.target, bench.rng.randbytes(count))
    began = get_sim_time("ns")
    await bench.ring_prod(side, prod)
    await bench.wait_until(lambda: direction.published == prod, f"{direction.name} published", 200_000)
    took = get_sim_time("ns") - began
    await bench.ring_cons(1 - side, prod)
    await bench.wait_returned(direction, prod)
    return took


@cocotb.test()
async def figures(dut: Any) -> None:
    bench = LitepcieBench(dut, base=LOW, stock=os.environ.get("VNETCARD_STOCK") == "1", ring=RING, window=4 * RING)
    bench.root.latency = int(os.environ["VNETCARD_LATENCY"])
    await bench.start()
    found: dict[str, float] = {}
    for side, direction in enumerate(bench.directions):
        found[f"{direction.name}_gbit_s"] = RING * 8 / await transfer(bench, side, RING)
        found[f"{direction.name}_record_ns"] = await transfer(bench, side, LINE)
    both = [cocotb.start_soon(transfer(bench, side, RING)) for side in (0, 1)]
    await Combine(*both)
    for task, direction in zip(both, bench.directions, strict=True):
        found[f"both_{direction.name}_gbit_s"] = RING * 8 / task.result()
    await bench.finish()
    Path(os.environ["VNETCARD_FIGURES"]).write_text(json.dumps(found))
