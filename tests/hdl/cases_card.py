"""``vnc_card_top``: the host disappears under load in any cycle, and the card goes on.

Everything that the engine does on one clock is checked on three by the cases of the other modules (``test_card.py``).
"""

from __future__ import annotations

import functools
import os
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, Timer

from tests.hdl.bench import PERIODS, Bench, domain
from tests.hdl.traffic import LINE, both_directions, recover, two_doorbells
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

TRIALS = int(os.environ.get("VNETCARD_TRIALS", "6"))
"""Disturbances per case."""

ALL_ONES = 0xFFFF_FFFF
HOST, CARD = range(2)
ERRORS = {R.CAUSES[name] for name in ("READ", "WRITE", "PROD_WRITE", "CONS_WRITE", "WAKEUP_READ")}


def is_quiet(page: Any) -> bool:
    """The page raises no interrupt."""
    return not page.irq.value


async def answers(bench: Bench) -> None:
    """Read the card's page without a pause: it must answer in a bounded time."""
    reads = 0
    while True:
        assert await bench.pages[CARD].read("id") == R.ENGINE_ID
        reads += 1
        bench.dut._log.debug("%d reads", reads)


def set_reset(bench: Bench, side: int, value: int) -> None:
    for bus in ("s_axil", "m_axi"):
        domain(bench.dut, f"{bus}_{L.SIDES[side]}")[1].value = value


async def halts(bench: Bench) -> None:
    """Wait until both directions have halted by a bus error, as the card's page says.

    What has no transaction outstanding gets one from the card: a doorbell.
    """
    card, c2h, h2c = bench.pages[CARD], bench.directions[CARD], bench.directions[HOST]
    for _ in range(200):
        status = await card.read("status")
        tx, rx = status & R.STATUS_BITS["TX_HALT"], status & R.STATUS_BITS["RX_HALT"]
        if tx and rx:
            break
        if not tx and c2h.published == c2h.target:
            c2h.put(c2h.target, bytes(LINE))
            await bench.ring_prod(CARD, c2h.target + LINE)
        if not rx and await card.read("rx_returned") != (published := await card.read("rx_published")):
            h2c.cons_doorbells.add(published)
            await card.write("rx_cons", published)
        await ClockCycles(bench.dut.clk_i, 100)
    else:
        raise AssertionError(f"no halt: status {status:#x}")
    assert await card.read("tx_cause") in ERRORS
    assert await card.read("rx_cause") in ERRORS
    status = await card.read("irq_status")
    assert status & R.IRQ_BITS["TX_HALT"] and status & R.IRQ_BITS["RX_HALT"]


async def under_load(bench: Bench) -> None:
    """Both directions move for a random time."""
    for side in (HOST, CARD):
        await two_doorbells(bench, side, LINE * bench.rng.randint(1, 20), LINE * bench.rng.randint(1, 40))
    await Timer(bench.rng.randrange(1, 3_000_000), unit="ps")


async def restart(bench: Bench) -> None:
    """The host is back: software resets both directions, which carry data as before."""
    for page in bench.pages:
        assert await page.read("id") == R.ENGINE_ID
    for side in (HOST, CARD):
        await recover(bench, side, LINE * bench.rng.randrange(1 << 26))
    await both_directions(bench, 1500)
    assert not bench.violations, bench.violations


@cocotb.test()
async def surprise_reset_of_the_host_under_load(dut: Any) -> None:
    """Both directions halt with a bus error while the card's page answers; then they restart with the host's clock."""
    bench = Bench(dut)
    await bench.start()
    for _ in range(TRIALS):
        await under_load(bench)
        answering = cocotb.start_soon(answers(bench))
        set_reset(bench, HOST, 0)
        if stopped := bench.rng.random() < 0.5:
            await Timer(bench.rng.randrange(1, 100_000), unit="ps")
            for clock in bench.clocks["host"]:
                clock.stop()
        await halts(bench)
        if stopped:
            bench.start_clock("host", bench.rng.choice(PERIODS))
        await ClockCycles(dut.clk_i, 20)
        set_reset(bench, HOST, 1)
        await ClockCycles(dut.clk_i, 60)
        answering.cancel()
        await restart(bench)
    await bench.finish()


@cocotb.test()
async def stopped_clock_of_the_host_under_load(dut: Any) -> None:
    """A clock that stops without a reset is the same to the card; bursts left behind end when it runs again."""
    bench = Bench(dut)
    await bench.start()
    for write in bench.writes:
        write.cut_off = True
    for _ in range(TRIALS):
        await under_load(bench)
        answering = cocotb.start_soon(answers(bench))
        for clock in bench.clocks["host"]:
            clock.stop()
        await halts(bench)
        bench.start_clock("host", bench.rng.choice(PERIODS))
        await ClockCycles(dut.clk_i, 1500)  # the host's memory ends its bursts
        answering.cancel()
        await restart(bench)
    await bench.finish()


@cocotb.test()
async def isolation_of_the_host_under_load(dut: Any) -> None:
    """isolate_host_i: bursts that have begun end without an error, and all else fails until it is cleared."""
    bench = Bench(dut)
    await bench.start()
    for _ in range(TRIALS):
        await under_load(bench)
        answering = cocotb.start_soon(answers(bench))
        dut.isolate_host_i.value = 1
        await bench.wait_signal(dut.isolated_host_o, "isolated")
        seen = bench.memories[HOST].accesses
        await halts(bench)
        assert bench.memories[HOST].accesses == seen, "an isolated host was accessed"
        assert await bench.pages[HOST].read("id") == R.ENGINE_ID
        dut.isolate_host_i.value = 0
        answering.cancel()
        await restart(bench)
    await bench.finish()


@cocotb.test()
async def reset_of_the_engine_under_load(dut: Any) -> None:
    """The memories, which are not reset, see their bursts end; then nothing, until the engine is configured again."""
    bench = Bench(dut)
    await bench.start()
    for write in bench.writes:
        write.cut_off = True
    for _ in range(TRIALS):
        await under_load(bench)
        dut.rst_ni.value = 0
        await ClockCycles(dut.clk_i, bench.rng.choice((1, 2, 5, 60)))
        dut.rst_ni.value = 1
        await ClockCycles(dut.clk_i, 2500)  # the memories answer what they have
        seen = [memory.accesses for memory in bench.memories]
        await ClockCycles(dut.clk_i, 200)
        assert [memory.accesses for memory in bench.memories] == seen, "a reset engine touches memory"
        for page in bench.pages:
            assert await page.read("status") == 0
        for direction in bench.directions:
            direction.moved = direction.publications = 0
        await bench.configure()
        await both_directions(bench, 1500)
    await bench.finish()


@cocotb.test()
async def page_of_an_engine_in_reset_reads_all_ones(dut: Any) -> None:
    """Both pages answer while the engine is in reset, or has no clock, and are those of a reset engine afterwards."""
    bench = Bench(dut)
    await bench.start()
    await both_directions(bench, 1000)
    for _ in range(TRIALS):
        dut.rst_ni.value = 0
        await ClockCycles(dut.clk_i, 60)
        for page in bench.pages:
            assert await page.read("id") == ALL_ONES
            await page.write("control", 1)
        dut.rst_ni.value = 1
        await ClockCycles(dut.clk_i, 60)
        for direction in bench.directions:
            direction.moved = direction.publications = 0
        for page in bench.pages:
            assert await page.read("control") == 0
        await bench.configure()
        await both_directions(bench, 1000)
    await bench.finish()


@cocotb.test()
async def interrupts_cross_to_the_clock_of_their_page(dut: Any) -> None:
    """Each side's interrupt rises with its own events only, and falls once it is cleared."""
    bench = Bench(dut)
    await bench.start()
    for n in range(TRIALS):
        side = n % 2
        direction, consumer, producer = bench.directions[side], bench.pages[1 - side], bench.pages[side]
        direction.put(direction.target, bench.rng.randbytes(LINE))
        await bench.ring_prod(side, direction.target + LINE)
        await bench.wait_signal(consumer.irq, "the consumer's interrupt")
        assert not producer.irq.value
        await consumer.write("irq_status", ALL_ONES)
        await bench.wait_until(functools.partial(is_quiet, consumer), "cleared", 400)
        await bench.ring_cons(1 - side, direction.target)
        await bench.wait_signal(producer.irq, "the producer's interrupt")
        assert not consumer.irq.value
        await producer.write("irq_status", ALL_ONES)
        await bench.wait_until(functools.partial(is_quiet, producer), "cleared", 400)
    await bench.finish()
