"""A hostile register page reaches no memory but its own side's."""

from __future__ import annotations

from typing import Any

import cocotb

from tests.hdl.bench import Bench
from tests.hdl.model import MASK
from tests.hdl.traffic import LINE, both_directions
from vnetcard.engine import registers as R


@cocotb.test()
async def hostile_register_writes_stay_inside_the_window(dut: Any) -> None:
    """One side writes random values to all its registers: of the other side's memory only the window is accessed.

    Accesses to the hostile side's own memory are checked against the base and size on its page in that cycle.
    """
    bench = Bench(dut)
    await bench.start()
    rng = bench.rng
    names = [register.name for register in R.REGISTERS if register.access != "RO"]
    for hostile in (0, 1):
        honest = 1 - hostile
        memory, page = bench.memories[hostile], bench.pages[hostile]
        regs = dut.i_engine.g_side[hostile].i_regs
        for direction in bench.directions:
            direction.hostile = True
        outside: list[str] = []

        async def read(address: int, count: int, regs: Any = regs, outside: list[str] = outside) -> bytes:
            base, size = int(regs.window_base_o.value), 1 << int(regs.window_log2_o.value)
            if not base <= address <= address + count <= base + size <= 1 << 64:
                outside.append(f"read at {address:#x}, window {base:#x} + {size:#x}")
            return bytes(count)

        def write(address: int, data: bytes, regs: Any = regs, outside: list[str] = outside) -> bool:
            base, size = int(regs.window_base_o.value), 1 << int(regs.window_log2_o.value)
            if not base <= address <= address + len(data) <= base + size <= 1 << 64:
                outside.append(f"write at {address:#x}, window {base:#x} + {size:#x}")
            return True

        was = memory.read, memory.write
        memory.read, memory.write = read, write  # type: ignore[method-assign]
        before = bench.memories[honest].accesses

        def caused(honest: int = honest, before: int = before) -> int:
            return bench.memories[honest].accesses - before

        def value(name: str) -> int:
            plain = rng.choice((0, MASK, rng.getrandbits(32), LINE * rng.randrange(128)))
            if name.endswith("log2"):
                fits = 12 if "ring" in name else rng.choice((14, 20, 30))
                return rng.choice((fits, fits, fits, fits, fits, rng.randrange(34), plain))
            if name == "control":
                return rng.choice((0, 1, 1, 1, plain))
            if name == "window_base_hi":
                return rng.choice((0, 0x7FFF, MASK, plain))
            return plain

        n = 0
        while n < 700 or caused() < 300:
            n += 1
            assert n < 8000, "the hostile side caused too few accesses: nothing is tested"
            name = rng.choice(names)
            await page.write(name, value(name))
            if n % 10 == 0:
                # A valid configuration, so that the hostile doorbells take effect.
                await page.write("control", 0)
                for _ in range(40):
                    if not await page.read("status") & R.STATUS_BITS["LOCKED"]:
                        break
                await page.write("timeout", 0)
                for log2 in (name for name in names if name.endswith("log2")):
                    await page.write(log2, 14 if log2 == "window_log2" else 12)
                await page.write("window_base_hi", rng.choice((0, 0x7FFF)))
                # Half of the time random ring offsets, most of them outside the window, which end at its check.
                places = rng.sample((4096, 8192, 12288), 2)
                for ring, place in zip(("h2c_ring_offset", "c2h_ring_offset"), places, strict=True):
                    await page.write(ring, rng.choice((place, place, place, rng.getrandbits(30), MASK)))
                await page.write("control", 1)
                start = await page.read("tx_start")
                for _ in range(100):
                    if await page.read("status") & (R.STATUS_BITS["TX_RUN"] | R.STATUS_BITS["TX_HALT"]):
                        break
                await page.write("tx_prod", start + LINE * rng.randint(1, 64))
            if rng.random() < 0.2:
                await bench.pages[honest].write(rng.choice(("tx_prod", "rx_cons")), LINE * rng.randrange(64))
            if rng.random() < 0.1:
                await bench.pages[honest].write("tx_prod", LINE * rng.randint(1, 64))

        # With a valid configuration again, both directions work.
        for side in (hostile, honest):
            await bench.pages[side].write("control", 0)
        await bench.wait_off()
        assert not outside, outside[:3]
        memory.read, memory.write = was  # type: ignore[method-assign]
        for direction in bench.directions:
            direction.hostile = False
        await bench.configure()
        await both_directions(bench, 4000)
    await bench.finish()
