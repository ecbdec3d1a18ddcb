"""The register page: implemented bits read back, configuration is locked while in use, and is validated."""

from __future__ import annotations

import os
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hdl.bench import Bench
from tests.hdl.model import MASK
from tests.hdl.traffic import LINE, both_directions, hold
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
"""The implemented bits of each writable register."""


def kept(name: str, value: int) -> int:
    """Return what ``name`` reads after writing ``value``: a size that does not fit is stored as 0, an invalid size."""
    if name.endswith("log2") and value > LOG2:
        return 0
    return value & BITS[name]


@cocotb.test()
async def registers_keep_only_implemented_bits(dut: Any) -> None:
    bench = Bench(dut)
    bench.apply_stalls()
    await bench.reset()
    rng = bench.rng
    for page in bench.pages:
        # ENABLE last, because it locks the others.
        for name in (*(name for name in BITS if name != "control"), "control"):
            for value in (MASK, 0, rng.getrandbits(32), rng.randrange(LOG2 + 1), LOG2 + 1):
                await page.write(name, value)
                assert await page.read(name) == kept(name, value), f"{name} after {value:#x}"


@cocotb.test()
async def only_full_writes_to_existing_registers_take_effect(dut: Any) -> None:
    """A partial write, or one to a nonexistent or read-only register, changes nothing on the page."""
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
            assert await page.master.read_dword(at) == 0, f"{at:#x} does not read 0"
        assert [await page.master.read_dword(at) for at in quiet] == before
    await bench.finish()


async def settled(bench: Bench) -> int:
    """Wait until there are no more accesses to rings and index words; return their number."""
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
    await host.master.write(R.offset("tx_start"), b"\xff\xff")  # a partial write
    assert await host.read("tx_start") == 0

    # Each of these configurations is reported as invalid; after its correction the direction runs.
    for page, name, value in (
        (host, "h2c_ring_log2", 13),
        (card, "c2h_ring_log2", 11),
        (host, "window_log2", 13),
        (card, "window_log2", 31),
        (card, "window_log2", 12 + 32),
        (host, "window_base_hi", MASK),
        (host, "h2c_ring_offset", 0),  # on the superblock
        (card, "c2h_ring_offset", 0),
        (host, "h2c_ring_offset", 16384),  # the first page behind the window
        (card, "h2c_ring_offset", (1 << 30) - 4096),
        (card, "c2h_ring_offset", 4096),  # on the other ring
    ):
        low = await page.read("window_base_lo")
        await page.write("control", 0)
        await bench.wait_off()
        good = await page.read(name)
        if name == "window_base_hi":
            await page.write("window_base_lo", MASK)
        await page.write(name, value)
        for direction in bench.directions:
            direction.start_at(0)
        await page.write("control", 1)
        side = 1 if name.startswith("c2h") else 0
        await bench.wait_status(side, "TX_HALT")
        assert await bench.pages[side].read("tx_cause") == R.CAUSES["CONFIG"], name
        seen = await settled(bench)  # the other direction may start as well
        await bench.pages[side].write("tx_prod", LINE)
        assert await settled(bench) == seen
        await page.write("control", 0)
        await bench.wait_off()
        await page.write(name, good)
        await page.write("window_base_lo", low)
        for direction in bench.directions:
            direction.start_at(0)
        await page.write("control", 1)
        await bench.running()
        await both_directions(bench, 1000)
    await bench.finish()


@cocotb.test()
async def configuration_is_stable_while_the_engine_starts(dut: Any) -> None:
    """ENABLE set and cleared and the base rewritten in consecutive cycles: each copy uses one configuration."""
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
            assert off or now == before, "a base changed during a copy"
            before = now

    for side, page in enumerate(bench.pages):
        for channel in page.channels():  # no idle cycles between the writes
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
        for direction in bench.directions:
            direction.start_at(0)
        await page.write("control", 1)
        await bench.running()
    assert begun >= 2, "no copy began: nothing is tested"
    await bench.finish()


@cocotb.test()
async def caps_names_the_longest_burst(dut: Any) -> None:
    """caps is what the engine does: bursts of BurstBeats, or of 4 KiB where that is less."""
    bench = Bench(dut, ring=16384, window=65536)
    await bench.start()
    beat = len(dut.m_axi_card_wdata) // 8
    longest = min(int(os.environ.get("VNETCARD_BURSTBEATS", "64")), 4096 // beat)
    for page in bench.pages:
        caps = await page.read("caps")
        assert (caps & 0xFFFF, (caps >> 16 & 0xFF) + 1) == (8 * beat, longest)
    seen = 0

    async def watch() -> None:
        nonlocal seen
        while True:
            await RisingEdge(dut.clk_i)
            if int(dut.m_axi_card_awvalid.value):
                seen = max(seen, int(dut.m_axi_card_awlen.value) + 1)

    watching = cocotb.start_soon(watch())
    h2c = bench.directions[0]
    h2c.put(0, bench.rng.randbytes(h2c.size))
    await bench.ring_prod(0, h2c.size)
    await bench.wait_published(h2c, h2c.size)
    watching.cancel()
    assert seen == longest
    await bench.finish()
