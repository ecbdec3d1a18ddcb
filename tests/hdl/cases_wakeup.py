"""Interrupts that are held back: nobody sleeps (need_wakeup), or more events are to be waited for (moderation)."""

from __future__ import annotations

import os
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from tests.hdl.hdl_bench import Bench
from tests.hdl.hdl_model import MASK
from tests.hdl.hdl_traffic import LINE, hold
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

STALLED = os.environ.get("VNETCARD_STALL") == "stalled"
"""Then two events meet in one cycle by luck only; the calm run sees to it."""

NEED_WAKEUP = L.CONS_LINE.offset("need_wakeup")


async def publish(bench: Bench, side: int) -> int:
    """One line through the direction of ``side``; its prod."""
    way = bench.directions[side]
    prod = (way.target + LINE) & MASK
    way.put(way.target, bench.rng.randbytes(LINE))
    await bench.ring_prod(side, prod)
    await bench.wait_until(lambda: way.published == prod, "published")
    return prod


async def move(bench: Bench, side: int, wait: bool = True) -> None:
    """One line through the direction of ``side``, published, freed, and the cons seen."""
    way = bench.directions[side]
    prod = await publish(bench, side)
    await bench.ring_cons(1 - side, prod)
    await bench.wait_until(lambda: way.source.core.load32(way.cons_line) == prod, "cons returned")
    if wait:
        mover = bench.dut.i_engine.g_side[side].i_mover
        await bench.wait_until(lambda: bool(mover.quiet.value), "the looks are over")
        await ClockCycles(bench.dut.clk_i, 10)


async def want_looks(bench: Bench) -> None:
    for page in bench.pages:
        await page.write("control", sum(R.CONTROL_BITS.values()))


@cocotb.test()
async def nobody_who_is_awake_is_interrupted(dut: Any) -> None:
    """NEED_WAKEUP: the word of the receiver, in the receiver's memory, decides; without the bit it does not."""
    bench = Bench(dut)
    await bench.start()
    for side, way in enumerate(bench.directions):
        producer, consumer = bench.pages[side], bench.pages[1 - side]
        asleep = ((way.source, way.prod_line), (way.sink, way.cons_line))
        # The words of the wrong memory, and of the wrong line, say the opposite all the time.
        for looks, producer_sleeps, consumer_sleeps in (
            (True, 0, 0), (True, 1, 0), (True, 0, 1 << 31), (True, 1, 1), (False, 0, 0),
        ):  # fmt: skip
            for page in bench.pages:
                await page.write("control", R.CONTROL_BITS["ENABLE"] | looks * R.CONTROL_BITS["NEED_WAKEUP"])
            for (memory, line), sleeps in zip(asleep, (producer_sleeps, consumer_sleeps), strict=True):
                memory.core.store32(line + NEED_WAKEUP, sleeps)
                other = bench.memories[memory is bench.memories[0]]
                other.core.store32(line + NEED_WAKEUP, int(not sleeps))
            before = await producer.read("tx_suppressed")
            await move(bench, side)
            rung = [await page.read("irq_status") for page in (producer, consumer)]
            assert rung[0] == (R.IRQ_BITS["TX_CONS"] if producer_sleeps or not looks else 0)
            assert rung[1] == (R.IRQ_BITS["RX_PROD"] if consumer_sleeps or not looks else 0)
            suppressed = await producer.read("tx_suppressed") - before
            assert suppressed == (looks and not consumer_sleeps)
            assert await consumer.read("rx_suppressed") == before + suppressed
            for page in bench.pages:
                await page.write("irq_status", MASK)
    await bench.finish()


@cocotb.test()
async def a_receiver_that_goes_to_sleep_is_woken(dut: Any) -> None:
    """It stores need_wakeup, looks again, and sleeps at any cycle around a publication: it is told, or has seen it."""
    bench = Bench(dut)
    await bench.start()
    await want_looks(bench)
    for n in range(40):
        side = n % 2
        way, page = bench.directions[side], bench.pages[1 - side]
        prod = (way.target + LINE) & MASK
        way.put(way.target, bench.rng.randbytes(LINE))
        await bench.ring_prod(side, prod)
        await ClockCycles(dut.clk_i, bench.rng.randrange(110))
        way.sink.core.store32(way.cons_line + NEED_WAKEUP, 1)
        if way.sink.core.load32(way.prod_line) != prod:
            await bench.wait_until(lambda page=page: bool(page.irq.value), "the interrupt of one who sleeps", 4000)
        await bench.wait_until(lambda way=way, prod=prod: way.published == prod, "published")
        way.sink.core.store32(way.cons_line + NEED_WAKEUP, 0)
        await bench.ring_cons(1 - side, prod)
        await ClockCycles(dut.clk_i, 100)
        await page.write("irq_status", MASK)
        await ClockCycles(dut.clk_i, 10)
    await bench.finish()


@cocotb.test()
async def failed_look_halts_the_direction(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    await want_looks(bench)
    for side, way in enumerate(bench.directions):
        for memory, line, interrupted in ((way.sink, way.cons_line, 1 - side), (way.source, way.prod_line, side)):
            for page in bench.pages:
                await page.write("irq_status", MASK)
            memory.bad_read = lambda at, line=line: at == line
            prod = (way.target + LINE) & MASK
            way.put(way.target, bench.rng.randbytes(LINE))
            await bench.ring_prod(side, prod)
            await bench.wait_until(lambda way=way, prod=prod: way.published == prod, "published")
            if memory is way.source:
                await bench.ring_cons(1 - side, prod)
            await bench.wait_status(side, "TX_HALT")
            assert await bench.pages[side].read("tx_cause") == R.CAUSES["WAKEUP_READ"]
            assert await bench.pages[side].read64("tx_error_addr") == memory.base + line
            bit = R.IRQ_BITS["TX_CONS" if memory is way.source else "RX_PROD"]
            assert await bench.pages[interrupted].read("irq_status") & bit, "better once too often"
            memory.bad_read = lambda at: False
            way.start_at(LINE * bench.rng.randrange(1 << 26))
            await bench.pages[side].write("tx_start", way.start)
            await bench.pages[side].write("reset", R.RESET_BITS["TX"])
            await bench.wait_status(side, "TX_RUN")
            way.restart()
            await move(bench, side)
    await bench.finish()


@cocotb.test()
async def reset_takes_back_a_look_that_waits(dut: Any) -> None:
    """The consumer's memory takes no more reads: h2c, which only waits for its turn there, can be reset."""
    bench = Bench(dut)
    await bench.start()
    await want_looks(bench)
    h2c, c2h = bench.directions
    channel = bench.reads[1].ar_channel
    hold(channel, True)
    c2h.put(0, bench.rng.randbytes(c2h.size))
    for n in range(1, 9):  # a burst each, whatever the width: more than the port takes on
        await bench.ring_prod(1, n * c2h.size // 8)
        await ClockCycles(dut.clk_i, 20)
    word = dut.i_engine.g_side[0].i_mover.i_prod_word
    await ClockCycles(dut.clk_i, 200)
    h2c.put(0, bench.rng.randbytes(LINE))
    await bench.ring_prod(0, LINE)
    await bench.wait_until(lambda: h2c.published == LINE, "published")
    await ClockCycles(dut.clk_i, 200)
    assert int(word.look_valid_o.value), "the look does not wait"
    assert not await bench.pages[1].read("irq_status")
    h2c.start_at(LINE * 5)
    await bench.pages[0].write("tx_start", LINE * 5)
    await bench.pages[0].write("reset", R.RESET_BITS["TX"])
    await bench.wait_status(0, "TX_RUN")
    h2c.restart()
    assert await bench.pages[1].read("irq_status") == R.IRQ_BITS["RX_PROD"], "nobody looked: better once too often"
    hold(channel, False)
    await move(bench, 0)
    await bench.wait_until(lambda: c2h.published == c2h.size, "c2h published")
    await bench.finish()


@cocotb.test()
async def interrupts_come_after_so_many_events(dut: Any) -> None:
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
    # What is held back comes at once when it is no longer to be.
    await card.write("irq_status", MASK)
    await move(bench, 0)
    assert not await card.read("irq_status")
    await card.write("irq_count", 0)
    await ClockCycles(dut.clk_i, 5)
    assert await card.read("irq_status") == R.IRQ_BITS["RX_PROD"]
    await bench.finish()


@cocotb.test()
async def no_event_is_lost_while_others_fire(dut: Any) -> None:
    """Both kinds of one side, in any cycle: each is held in the next one, and both show when it is over."""
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
    for n in range(60):  # a cons and a prod towards the card, at every distance in time
        freed = await publish(bench, 1)
        prod = (h2c.target + LINE) & MASK
        h2c.put(h2c.target, bench.rng.randbytes(LINE))
        await bench.ring_prod(0, prod)
        await ClockCycles(dut.clk_i, 1 + n)
        await bench.ring_cons(0, freed)
        await bench.wait_until(lambda prod=prod: h2c.published == prod, "published")
        await bench.wait_until(lambda freed=freed: c2h.source.core.load32(c2h.cons_line) == freed, "cons returned")
        await bench.ring_cons(1, prod)
        await bench.wait_until(lambda prod=prod: h2c.source.core.load32(h2c.cons_line) == prod, "cons returned")
    assert met or STALLED, "no event met another that fired"
    watching.cancel()
    both = R.IRQ_BITS["RX_PROD"] | R.IRQ_BITS["TX_CONS"]
    await ClockCycles(dut.clk_i, 20)
    assert await bench.pages[1].read("irq_status") & both == both
    await bench.finish()


@cocotb.test()
async def interrupts_come_after_so_long(dut: Any) -> None:
    """Counted from the first event, whatever follows it; a halt is told at once."""
    bench = Bench(dut)
    await bench.start()
    way, (host, card) = bench.directions[0], bench.pages
    await card.write("irq_count", 1000)
    await card.write("irq_time", 3000)
    wake = dut.i_engine.g_side[1].i_regs.i_irq
    for _ in range(2):
        prod = way.target + LINE
        way.put(way.target, bench.rng.randbytes(LINE))
        await bench.ring_prod(0, prod)
        for _ in range(2000):
            if int(wake.held_q.value):
                break
            await ClockCycles(dut.clk_i, 1)
        await ClockCycles(dut.clk_i, 2500)
        assert not int(card.irq.value)
        await move(bench, 0, wait=False)  # which may take some hundred cycles
        await ClockCycles(dut.clk_i, 1500)  # less than irq_time after it
        assert int(card.irq.value)
        await card.write("irq_status", MASK)
    await host.write("tx_prod", way.target + 1)
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
