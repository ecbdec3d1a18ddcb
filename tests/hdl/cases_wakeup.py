"""Interrupts that are suppressed because the receiver is awake (need_wakeup), or delayed (moderation)."""

from __future__ import annotations

import os
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hdl.bench import Bench
from tests.hdl.memory import at_offset, never
from tests.hdl.model import MASK
from tests.hdl.traffic import LINE, hold
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

STALLED = os.environ.get("VNETCARD_STALL") == "stalled"
"""In stalled runs two events coincide only by chance; the calm run ensures it."""

NEED_WAKEUP = L.CONS_LINE.offset("need_wakeup")


async def publish(bench: Bench, side: int) -> int:
    """Publish one line of the direction of ``side`` and return its prod."""
    direction = bench.directions[side]
    prod = (direction.target + LINE) & MASK
    direction.put(direction.target, bench.rng.randbytes(LINE))
    await bench.ring_prod(side, prod)
    await bench.wait_until(lambda: direction.published == prod, "published")
    return prod


async def move(bench: Bench, side: int, wait: bool = True) -> None:
    """Publish and free one line of the direction of ``side``, and wait for the returned cons."""
    direction = bench.directions[side]
    prod = await publish(bench, side)
    await bench.ring_cons(1 - side, prod)
    await bench.wait_until(lambda: direction.source.core.load32(direction.cons_line) == prod, "cons returned")
    if wait:
        mover = bench.dut.i_engine.g_side[side].i_mover
        await bench.wait_until(lambda: bool(mover.quiet.value), "need_wakeup was read")
        await ClockCycles(bench.dut.clk_i, 10)


async def enable_need_wakeup(bench: Bench) -> None:
    for page in bench.pages:
        await page.write("control", sum(R.CONTROL_BITS.values()))


@cocotb.test()
async def awake_receiver_is_not_interrupted(dut: Any) -> None:
    """With NEED_WAKEUP the receiver's word in the receiver's memory decides; without it every index interrupts."""
    bench = Bench(dut)
    await bench.start()
    for side, direction in enumerate(bench.directions):
        producer, consumer = bench.pages[side], bench.pages[1 - side]
        asleep = ((direction.source, direction.prod_line), (direction.sink, direction.cons_line))
        # The words in the other memory, and in the other line, hold the opposite value.
        for checks, producer_sleeps, consumer_sleeps in (
            (True, 0, 0), (True, 1, 0), (True, 0, 1 << 31), (True, 1, 1), (False, 0, 0),
        ):  # fmt: skip
            for page in bench.pages:
                await page.write("control", R.CONTROL_BITS["ENABLE"] | checks * R.CONTROL_BITS["NEED_WAKEUP"])
            for (memory, line), sleeps in zip(asleep, (producer_sleeps, consumer_sleeps), strict=True):
                memory.core.store32(line + NEED_WAKEUP, sleeps)
                other = bench.memories[memory is bench.memories[0]]
                other.core.store32(line + NEED_WAKEUP, int(not sleeps))
            before = await producer.read("tx_suppressed")
            await move(bench, side)
            rung = [await page.read("irq_status") for page in (producer, consumer)]
            assert rung[0] == (R.IRQ_BITS["TX_CONS"] if producer_sleeps or not checks else 0)
            assert rung[1] == (R.IRQ_BITS["RX_PROD"] if consumer_sleeps or not checks else 0)
            suppressed = await producer.read("tx_suppressed") - before
            assert suppressed == (checks and not consumer_sleeps)
            assert await consumer.read("rx_suppressed") == before + suppressed
            for page in bench.pages:
                await page.write("irq_status", MASK)
    await bench.finish()


@cocotb.test()
async def receiver_that_goes_to_sleep_is_woken(dut: Any) -> None:
    """A receiver that sets need_wakeup at any cycle around a publication is interrupted, or sees the new index."""
    bench = Bench(dut)
    await bench.start()
    await enable_need_wakeup(bench)
    for n in range(40):
        side = n % 2
        direction, page = bench.directions[side], bench.pages[1 - side]
        prod = (direction.target + LINE) & MASK
        direction.put(direction.target, bench.rng.randbytes(LINE))
        await bench.ring_prod(side, prod)
        await ClockCycles(dut.clk_i, bench.rng.randrange(110))
        direction.sink.core.store32(direction.cons_line + NEED_WAKEUP, 1)
        if direction.sink.core.load32(direction.prod_line) != prod:
            await bench.wait_signal(page.irq, "the sleeping receiver is interrupted", 4000)
        await bench.wait_published(direction, prod)
        direction.sink.core.store32(direction.cons_line + NEED_WAKEUP, 0)
        await bench.ring_cons(1 - side, prod)
        await ClockCycles(dut.clk_i, 100)
        await page.write("irq_status", MASK)
        await ClockCycles(dut.clk_i, 10)
    await bench.finish()


@cocotb.test()
async def failed_need_wakeup_read_halts_the_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    await enable_need_wakeup(bench)
    await fail_reads(bench, own=False)


@cocotb.test()
async def failed_read_of_an_index_halts_the_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    await fail_reads(bench, own=True)


async def fail_reads(bench: Bench, *, own: bool) -> None:
    """The read after each kind of index fails: of the index itself with ``own``, else of need_wakeup."""
    for side, direction in enumerate(bench.directions):
        lines = (direction.cons_line, direction.prod_line)
        for memory, line, interrupted in (
            (direction.sink, lines[own], 1 - side),
            (direction.source, lines[not own], side),
        ):
            for page in bench.pages:
                await page.write("irq_status", MASK)
            memory.bad_read = at_offset(line)
            prod = (direction.target + LINE) & MASK
            direction.put(direction.target, bench.rng.randbytes(LINE))
            await bench.ring_prod(side, prod)
            await bench.wait_published(direction, prod)
            if memory is direction.source:
                await bench.ring_cons(1 - side, prod)
            await bench.wait_status(side, "TX_HALT")
            assert await bench.pages[side].read("tx_cause") == R.CAUSES["WAKEUP_READ"]
            assert await bench.pages[side].read64("tx_error_addr") == memory.base + line
            bit = R.IRQ_BITS["TX_CONS" if memory is direction.source else "RX_PROD"]
            assert await bench.pages[interrupted].read("irq_status") & bit, (
                "a spurious interrupt is preferred to a lost one"
            )
            memory.bad_read = never
            direction.start_at(LINE * bench.rng.randrange(1 << 26))
            await bench.pages[side].write("tx_start", direction.start)
            await bench.pages[side].write("reset", R.RESET_BITS["TX"])
            await bench.wait_status(side, "TX_RUN")
            direction.restart()
            await move(bench, side)
    await bench.finish()


@cocotb.test()
async def reset_withdraws_a_waiting_need_wakeup_read(dut: Any) -> None:
    """The consumer's memory accepts no reads: h2c, whose read of need_wakeup was not taken, can be reset."""
    bench = Bench(dut)
    await bench.start()
    await enable_need_wakeup(bench)
    h2c, c2h = bench.directions
    channel = bench.reads[1].ar_channel
    hold(channel, True)
    c2h.put(0, bench.rng.randbytes(c2h.size))
    for n in range(1, 9):  # one burst each at any width: more than the port accepts
        await bench.ring_prod(1, n * c2h.size // 8)
        await ClockCycles(dut.clk_i, 20)
    word = dut.i_engine.g_side[0].i_mover.i_prod_word
    await ClockCycles(dut.clk_i, 200)
    h2c.put(0, bench.rng.randbytes(LINE))
    await bench.ring_prod(0, LINE)
    await bench.wait_until(lambda: h2c.published == LINE, "published")
    await ClockCycles(dut.clk_i, 200)
    assert int(word.check_valid_o.value), "the read of need_wakeup does not wait"
    assert not await bench.pages[1].read("irq_status")
    h2c.start_at(LINE * 5)
    await bench.pages[0].write("tx_start", LINE * 5)
    await bench.pages[0].write("reset", R.RESET_BITS["TX"])
    await bench.wait_until(lambda: bool(word.first_q.value), "h2c left Off again")
    assert await bench.pages[1].read("irq_status") == R.IRQ_BITS["RX_PROD"], (
        "need_wakeup was not read: a spurious interrupt is preferred"
    )
    assert not await bench.pages[0].read("status") & R.STATUS_BITS["TX_RUN"], "the start word was not read back"
    hold(channel, False)
    await bench.wait_status(0, "TX_RUN")
    h2c.restart()
    await move(bench, 0)
    await bench.wait_until(lambda: c2h.published == c2h.size, "c2h published")
    await bench.finish()


@cocotb.test()
async def interrupt_is_raised_after_irq_count_events(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    card = bench.pages[1]
    for count in (0, 1, 2, 5):
        await card.write("irq_count", count)
        await card.write("irq_status", MASK)
        for n in range(1, max(count, 1) + 1):
            assert not await card.read("irq_status") & R.IRQ_BITS["RX_PROD"], f"after {n - 1} of {count}"
            await move(bench, 0)
        assert await card.read("irq_status") & R.IRQ_BITS["RX_PROD"]
    # A delayed interrupt is raised at once when moderation is switched off.
    await card.write("irq_status", MASK)
    await move(bench, 0)
    assert not await card.read("irq_status")
    await card.write("irq_count", 0)
    await ClockCycles(dut.clk_i, 5)
    assert await card.read("irq_status") == R.IRQ_BITS["RX_PROD"]
    await bench.finish()


@cocotb.test()
async def no_event_is_lost_while_another_interrupts(dut: Any) -> None:
    """Events of both kinds at any distance are held in the next cycle, and both are set in irq_status at the end."""
    bench = Bench(dut)
    await bench.start()
    irq = dut.i_engine.g_side[1].i_regs.i_irq
    met = 0

    async def watch() -> None:
        nonlocal met
        events = 0
        while True:
            await RisingEdge(dut.clk_i)
            assert int(irq.held_q.value) & events == events, "an event was lost"
            events = int(irq.events_q.value) & 0b11
            met += bool(events and int(irq.fire.value))

    watching = cocotb.start_soon(watch())
    h2c, c2h = bench.directions
    for n in range(60):  # a cons and a prod towards the card, at every distance in cycles
        freed = await publish(bench, 1)
        prod = (h2c.target + LINE) & MASK
        h2c.put(h2c.target, bench.rng.randbytes(LINE))
        await bench.ring_prod(0, prod)
        await ClockCycles(dut.clk_i, 1 + n)
        await bench.ring_cons(0, freed)
        await bench.wait_published(h2c, prod)
        await bench.wait_returned(c2h, freed)
        await bench.ring_cons(1, prod)
        await bench.wait_returned(h2c, prod)
    assert met or STALLED, "no event coincided with an interrupt of another"
    watching.cancel()
    both = R.IRQ_BITS["RX_PROD"] | R.IRQ_BITS["TX_CONS"]
    await ClockCycles(dut.clk_i, 20)
    assert await bench.pages[1].read("irq_status") & both == both
    await bench.finish()


@cocotb.test()
async def interrupt_is_raised_after_irq_time_cycles(dut: Any) -> None:
    """irq_time counts from the first event, whatever follows; a halt interrupts at once."""
    bench = Bench(dut)
    await bench.start()
    direction, (host, card) = bench.directions[0], bench.pages
    await card.write("irq_count", 1000)
    await card.write("irq_time", 3000)
    wake = dut.i_engine.g_side[1].i_regs.i_irq
    for _ in range(2):
        prod = direction.target + LINE
        direction.put(direction.target, bench.rng.randbytes(LINE))
        await bench.ring_prod(0, prod)
        for _ in range(2000):
            if int(wake.held_q.value):
                break
            await ClockCycles(dut.clk_i, 1)
        await ClockCycles(dut.clk_i, 2500)
        assert not int(card.irq.value)
        await move(bench, 0, wait=False)  # may take some hundred cycles
        await ClockCycles(dut.clk_i, 1500)  # less than irq_time after it
        assert int(card.irq.value)
        await card.write("irq_status", MASK)
    await host.write("tx_prod", direction.target + 1)
    await bench.wait_status(0, "TX_HALT")
    assert await card.read("irq_status") == R.IRQ_BITS["RX_HALT"]
    await bench.finish()


@cocotb.test()
async def latency_is_counted_from_doorbell_to_acknowledgement(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    mover = dut.i_engine.g_side[0].i_mover
    rung = done = now = 0

    async def watch() -> None:
        nonlocal rung, done, now
        while True:
            await ClockCycles(dut.clk_i, 1)
            now += 1
            rung = now if int(mover.prod_valid_i.value) else rung
            done = now if int(mover.published_event.value) else done

    watching = cocotb.start_soon(watch())
    longest = 0
    for n in range(6):
        bench.writes[1].slow = 300 if n == 2 else 0
        await move(bench, 0)
        longest = max(longest, done - rung)
        for page, prefix in zip(bench.pages, ("tx", "rx"), strict=True):
            assert await page.read(f"{prefix}_latency") == done - rung
            assert await page.read(f"{prefix}_latency_max") == longest
    watching.cancel()
    await bench.finish()
