"""The register page: what is written reads back in the bits that exist, is locked in use, and must make sense."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hdl.hdl_bench import Bench
from tests.hdl.hdl_model import MASK
from tests.hdl.hdl_traffic import LINE, both_ways, hold
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

PAGE = 1 << 12
LOG2 = 0x1F
OFFSET = 0x3FFF_F000

BITS = {
    "control": sum(R.CONTROL_BITS.values()),
    "irq_enable": 0x3F,
    "irq_count": MASK,
    "irq_time": MASK,
    "timeout": MASK,
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
    "side_doorbell": MASK,
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


async def settled(bench: Bench) -> int:
    """Accesses to rings and index words so far, once no more come."""
    before, now = -1, 0
    while before != now:
        await ClockCycles(bench.dut.clk_i, 400)
        before, now = now, sum(memory.accesses for memory in bench.memories)
    return now


@cocotb.test()
async def configuration_is_checked_and_locked(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    host, card = bench.pages
    assert await host.read("id") == R.ENGINE_ID
    assert await host.read("version") == R.ENGINE_VERSION | L.VERSION << 16
    width = len(dut.m_axi_host_rdata)
    assert [await page.read("caps") for page in (host, card)] == [width | 63 << 16, width | 63 << 16 | 1 << 24]

    locked = [register.name for register in R.REGISTERS if register.meaning.endswith("; locked")]
    assert len(locked) == 7
    assert await host.read("status") == sum(R.STATUS_BITS[name] for name in ("TX_RUN", "RX_RUN", "LOCKED", "SIDE_RUN"))
    for name in locked:
        before = await host.read(name)
        await host.write(name, before ^ 0x0000_F00F)
        assert await host.read(name) == before, f"{name} changed while in use"
    await host.master.write(R.offset("tx_start"), b"\xff\xff")  # half a register
    assert await host.read("tx_start") == 0

    # Each of these cannot run, and says so; put right, it runs.
    for page, name, value in (
        (host, "h2c_ring_log2", 13),
        (card, "c2h_ring_log2", 11),
        (host, "window_log2", 13),
        (card, "window_log2", 31),
        (card, "window_log2", 12 + 32),
        (host, "window_base_hi", MASK),
    ):
        low = await page.read("window_base_lo")
        await page.write("control", 0)
        await bench.wait_off()
        good = await page.read(name)
        if name == "window_base_hi":
            await page.write("window_base_lo", MASK)
        await page.write(name, value)
        for way in bench.directions:
            way.start_at(0)
        await page.write("control", 1)
        side = 1 if name.startswith("c2h") else 0
        await bench.wait_status(side, "TX_HALT")
        assert await bench.pages[side].read("tx_cause") == R.CAUSES["CONFIG"], name
        seen = await settled(bench)  # the other direction may start
        await bench.pages[side].write("tx_prod", LINE)
        assert await settled(bench) == seen
        await page.write("control", 0)
        await bench.wait_off()
        await page.write(name, good)
        await page.write("window_base_lo", low)
        for way in bench.directions:
            way.start_at(0)
        await page.write("control", 1)
        await bench.running()
        await both_ways(bench, 1000)
    await bench.finish()


@cocotb.test()
async def configuration_stands_still_while_the_engine_comes_up(dut: Any) -> None:
    """ENABLE set and cleared, the base rewritten, in cycles in a row: a copy that begins is of one configuration."""
    bench = Bench(dut)
    await bench.start()
    regs = [dut.i_engine.g_side[side].i_regs for side in (0, 1)]
    movers = [dut.i_engine.g_side[side].i_side for side in (0, 1)]
    begun = 0

    async def watch() -> None:
        nonlocal begun
        before, off = [int(page.window_base_o.value) for page in regs], True
        while True:
            await RisingEdge(dut.clk_i)
            was_off, off = off, not any(int(mover.state_q.value) for mover in movers)
            begun += was_off and not off
            now = [int(page.window_base_o.value) for page in regs]
            assert off or now == before, "a base changed under a copy"
            before = now

    for side, page in enumerate(bench.pages):
        for channel in page.channels():  # nothing between the writes
            hold(channel, False)
        await page.write("control", 0)
        await bench.wait_off()
        watching = cocotb.start_soon(watch())
        base = bench.memories[side].base
        for between in range(6):
            row = [("control", 1), *(between + 1) * [("control", 0)], ("window_base_lo", (base ^ PAGE) & MASK)]
            writes = [page.master.init_write(R.offset(name), value.to_bytes(4, "little")) for name, value in row]
            await writes[-1].wait()
            while await page.read("status") & R.STATUS_BITS["LOCKED"]:
                pass
            await page.write("window_base_lo", base)
            assert await page.read("window_base_lo") == base & MASK
        watching.cancel()
        for way in bench.directions:
            way.start_at(0)
        await page.write("control", 1)
        await bench.running()
    assert begun >= 2, "no copy ever began: nothing is tested"
    await bench.finish()
