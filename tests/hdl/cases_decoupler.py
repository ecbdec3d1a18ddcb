"""A bus between two clocks of which either side is reset or stops in any cycle (``decoupler_bench.sv``)."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge, with_timeout

from tests.hdl.decoupler_harness import RATIOS, SIDES, TRIALS, DecouplerBench


@cocotb.test()
async def nothing_is_lost_or_reordered_at_any_clock_ratio(dut: Any) -> None:
    bench = DecouplerBench(dut)
    for trial in range(max(TRIALS, len(RATIOS))):
        await bench.start(RATIOS[trial % len(RATIOS)])
        dut.traffic_i.value = 1
        await bench.progress("good", 250)
        await bench.drained(*SIDES)
        assert bench.count("failed") == 0


@cocotb.test()
async def reset_of_either_side_in_any_cycle(dut: Any) -> None:
    """The other side sees whole transactions only, and works again after the reset, however short it was."""
    bench = DecouplerBench(dut)
    for trial in range(2 * TRIALS):
        await bench.start(bench.rng.choice(RATIOS))
        dut.traffic_i.value = 1
        await bench.progress("good")
        for _ in range(3):
            side = SIDES[trial % 2]
            lost = bench.domains[side]
            await lost.cycles(bench.rng.random() * 60)
            lost.reset.value = 0
            await lost.cycles(bench.rng.choice((1, 2, 3, 10)) + bench.rng.random() / 2)
            if long := bench.rng.random() < 0.5:
                if bench.rng.random() < 0.5:
                    lost.stop()
                if side == "m":
                    await bench.progress("failed")
                else:
                    await bench.wait_until(lambda: bool(bench.domains["m"].idle.value), "the slave's bursts end")
                if lost.running is None:
                    lost.start(lost.period)
                    await lost.cycles(3)
            lost.reset.value = 1
            if long or bench.rng.random() < 0.5:
                await bench.progress("good")
        await bench.settled()


@cocotb.test()
async def stopped_clock_of_either_side_in_any_cycle(dut: Any) -> None:
    """A side whose clock stops without a reset is missed; when the clock is back the bursts it left behind end."""
    bench = DecouplerBench(dut)
    for trial in range(TRIALS):
        await bench.start(bench.rng.choice(RATIOS))
        dut.traffic_i.value = 1
        await bench.progress("good")
        side = SIDES[trial % 2]
        stopped = bench.domains[side]
        await stopped.cycles(bench.rng.random() * 60)
        stopped.stop()
        if side == "m":
            await bench.progress("failed")
        else:
            await bench.wait_until(lambda: bool(bench.domains["m"].idle.value), "the slave's bursts end")
        stopped.start(stopped.period)
        await bench.settled()


@cocotb.test()
async def short_stop_of_a_clock_is_not_noticed(dut: Any) -> None:
    """A clock that pauses for less than StallCycles loses nothing."""
    bench = DecouplerBench(dut)
    for trial in range(TRIALS):
        await bench.start(1.3)
        dut.traffic_i.value = 1
        await bench.progress("good")
        stopped = bench.domains[SIDES[trial % 2]]
        await stopped.cycles(bench.rng.random() * 60)
        stopped.stop()
        await stopped.cycles(400)
        stopped.start(stopped.period)
        await bench.progress("good", 100)
        await bench.drained(*SIDES)
        assert bench.count("failed") == 0


@cocotb.test()
async def both_sides_are_reset_in_any_order(dut: Any) -> None:
    """Resets of random length overlap or follow each other, with a random clock stopped in some."""
    bench = DecouplerBench(dut)
    for _ in range(TRIALS):
        await bench.start(bench.rng.choice(RATIOS))
        dut.traffic_i.value = 1
        for _ in range(12):
            domain = bench.domains[bench.rng.choice(SIDES)]
            await domain.cycles(bench.rng.random() * 30)
            domain.reset.value = int(domain.reset.value) ^ 1
        for domain in bench.domains.values():
            domain.reset.value = 1
        await bench.settled()


@cocotb.test()
async def isolation_fails_nothing_that_had_begun(dut: Any) -> None:
    """isolate_i: what is outstanding ends well, then everything is answered with an error, and nothing arrives."""
    bench = DecouplerBench(dut)
    for _ in range(TRIALS):
        await bench.start(bench.rng.choice(RATIOS))
        dut.traffic_i.value = 1
        await bench.progress("good")
        await bench.domains["s"].cycles(bench.rng.random() * 60)
        dut.isolate_i.value = 1
        failed = bench.count("failed")
        await with_timeout(RisingEdge(dut.isolated_o), 1, "ms")
        assert bench.count("failed") == failed
        await bench.slow_cycles(6)
        assert bench.domains["m"].idle.value
        await bench.progress("failed")
        good = bench.count("good")
        await bench.progress("failed")
        assert bench.count("good") == good
        dut.isolate_i.value = 0
        await bench.settled()
