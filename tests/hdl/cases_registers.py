"""The register page: what is written reads back in the bits that exist, and nothing else changes."""

from __future__ import annotations

from typing import Any

import cocotb
from hdl_bench import MASK, Bench

from vnetcard import registers as R

PAGE = 1 << 12
LOG2 = 0x1F
OFFSET = 0x3FFF_F000

BITS = {
    "control": R.CONTROL_BITS["ENABLE"],
    "irq_enable": 0xF,
    "window_base_lo": MASK & -PAGE,
    "window_base_hi": MASK,
    "window_log2": LOG2,
    "h2c_ring_offset": OFFSET,
    "h2c_ring_log2": LOG2,
    "c2h_ring_offset": OFFSET,
    "c2h_ring_log2": LOG2,
    "tx_prod": MASK,
    "rx_cons": MASK,
    "tx_start": MASK & -64,
}
"""The bits of each register that keep what is written."""


def kept(name: str, value: int) -> int:
    """What ``name`` reads after ``value``: a size beyond its bits is kept as 0, which is no size."""
    if name.endswith("log2") and value > LOG2:
        return 0
    return value & BITS[name]


@cocotb.test()
async def registers_keep_the_bits_that_exist(dut: Any) -> None:
    bench = Bench(dut)
    bench.surround()
    await bench.reset()
    rng = bench.rng
    for page in bench.pages:
        # ENABLE last: it locks the others.
        for name in (*(name for name in BITS if name != "control"), "control"):
            for value in (MASK, 0, rng.getrandbits(32), rng.randrange(LOG2 + 1), LOG2 + 1):
                await page.write(name, value)
                assert await page.read(name) == kept(name, value), f"{name} after {value:#x}"


@cocotb.test()
async def only_whole_writes_to_real_registers_count(dut: Any) -> None:
    """Half a register, one that does not exist, one that is read-only: nothing on the page changes."""
    bench = Bench(dut)
    await bench.start()
    rng = bench.rng
    real = {register.offset for register in R.REGISTERS}
    moving = {R.offset("cycles_lo"), R.offset("cycles_hi")}
    quiet = sorted(real - moving)
    holes = [at for at in range(0, PAGE, 4) if at not in real]
    readonly = [register.offset for register in R.REGISTERS if register.access == "RO"]
    writable = [register.offset for register in R.REGISTERS if register.access != "RO"]
    for page in bench.pages:
        before = [await page.master.read_dword(at) for at in quiet]
        for at in (*rng.sample(holes, 40), *readonly):
            await page.master.write_dword(at, rng.getrandbits(32))
        for at in writable:
            width = rng.choice((1, 2, 3))
            await page.master.write(at + rng.randrange(4 - width + 1), rng.randbytes(width))
        for at in rng.sample(holes, 40):
            assert await page.master.read_dword(at) == 0, f"{at:#x} reads something"
        assert [await page.master.read_dword(at) for at in quiet] == before
    await bench.finish()
