"""Bridges that answer a write before it is visible: which order each mode of the engine needs, and which it checks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from tests.hdl.link_bench import LinkBench
from tests.hdl.model import MASK
from tests.hdl.posted_bench import RULES, PostedBench
from tests.hdl.traffic import LINE
from vnetcard.engine import registers as R
from vnetcard.engine.dma import Wakeups
from vnetcard.link.types import LinkState
from vnetcard.ring import layout as L

NEED_WAKEUP = L.CONS_LINE.offset("need_wakeup")


def rows(*, reads_wait: bool) -> Iterator[frozenset[str]]:
    """Yield every set of what waits for earlier writes, with or without the reads."""
    others = [rule for rule in RULES if rule != "reads"]
    for count in range(len(others) + 1):
        for chosen in itertools.combinations(others, count):
            yield frozenset((*chosen, *(("reads",) if reads_wait else ())))


async def begin(bench: PostedBench, waits: frozenset[str], *, need_wakeup: bool, start: int) -> None:
    """Restart at ``start`` behind bridges that keep ``waits``; RUN must mean that the start words are visible."""
    await bench.settle()
    bench.wait_for(waits)
    for page in bench.pages:
        await page.write("irq_enable", 0x3F)
    await bench.restart(start)  # compares the index words when TX_RUN is read
    for page in bench.pages:
        await page.write("irq_enable", 0x3F)
        await page.write("control", R.CONTROL_BITS["ENABLE"] | need_wakeup * R.CONTROL_BITS["NEED_WAKEUP"])


async def blocks_cross(bench: PostedBench, version: int) -> None:
    """side_done, and the interrupt SIDE at the peer, mean that the peer can see the block."""
    for side, peer in ((0, 1), (1, 0)):
        own, at = bench.memories[side].bytes, L.side_offset(side)
        own[at : at + LINE] = bytes([version, side, 7, 0]) * (LINE // 4)
        block = own[at : at + LINE]
        await bench.pages[peer].write("irq_status", MASK)

        def seen(block: bytes = block, at: int = at, peer: int = peer) -> bool:
            return bench.memories[peer].bytes[at : at + LINE] == block

        await bench.pages[side].write("side_doorbell", version)
        if side == 0:
            await bench.wait_awoken(peer, seen, "the peer's block changed")
        for _ in range(200):
            if await bench.pages[side].read("side_done") == version:
                break
        assert seen(), "side_done confirms a block that the peer cannot see"


async def sleeper_is_woken(bench: PostedBench, side: int, *, asleep: bool) -> None:
    """The consumer of one publication reads prod only upon an interrupt, or once after it has set need_wakeup."""
    direction, consumer = bench.directions[side], bench.pages[1 - side]
    line = direction.cons_line + NEED_WAKEUP
    direction.sink.core.store32(line, int(asleep))
    await consumer.write("irq_status", MASK)
    await ClockCycles(bench.dut.clk_i, 10)
    prod = (direction.target + LINE) & MASK
    direction.put(direction.target, bench.rng.randbytes(LINE))
    await bench.ring_prod(side, prod)
    if not asleep:
        await ClockCycles(bench.dut.clk_i, bench.rng.randrange(600))
        direction.sink.core.store32(line, 1)

    def seen() -> bool:
        return direction.sink.core.load32(direction.prod_line) == prod

    if not seen():
        await bench.wait_awoken(1 - side, seen, "an index became visible")
    await bench.ring_cons(1 - side, prod)
    await bench.wait_returned(direction, prod)


async def all_of_it(bench: PostedBench, waits: frozenset[str], *, need_wakeup: bool, n: int) -> None:
    cocotb.log.info("waits for earlier writes: %s; NEED_WAKEUP %d", sorted(waits) or "nothing", need_wakeup)
    await begin(bench, waits, need_wakeup=need_wakeup, start=LINE * (5 + n))
    await blocks_cross(bench, 16 + n)
    for k in range(6):
        await sleeper_is_woken(bench, k % 2, asleep=k < 2)


@cocotb.test()
async def one_rule_is_enough(dut: Any) -> None:
    """A read stays behind earlier writes: then interrupts and register reads may overtake them, in both modes."""
    bench = PostedBench(dut)
    await bench.start()
    matrix = itertools.product(rows(reads_wait=True), (True, False))
    for n, (waits, need_wakeup) in enumerate(matrix):
        await all_of_it(bench, waits, need_wakeup=need_wakeup, n=n)
        for page in bench.pages:
            assert not await page.read("status") & R.STATUS_BITS["OVERTAKEN"]
    await bench.finish()


@cocotb.test()
async def without_need_wakeup_no_rule_is_needed(dut: Any) -> None:
    """Even where reads overtake writes, RUN, side_done and interrupts mean that memory holds what they announce."""
    bench = PostedBench(dut)
    await bench.start()
    for n, waits in enumerate(rows(reads_wait=False)):
        await all_of_it(bench, waits, need_wakeup=False, n=n)
        for page in bench.pages:
            assert await page.read("status") & R.STATUS_BITS["OVERTAKEN"]
    await bench.finish()


@cocotb.test()
async def overtaking_read_is_shown_to_the_side_of_its_memory(dut: Any) -> None:
    """OVERTAKEN is that of the own bridge, and lasts until both sides are off."""
    bench = PostedBench(dut)
    await bench.start()
    for n, wrong in enumerate((0, 1, 0)):
        await bench.settle()
        for side, posted in enumerate(bench.posted):
            posted.waits = frozenset(() if side == wrong else ("reads",))
        await bench.restart(LINE * (n + 3))
        found = [await page.read("status") & R.STATUS_BITS["OVERTAKEN"] for page in bench.pages]
        assert [bool(bit) for bit in found] == [side == wrong for side in (0, 1)]
        for page in bench.pages:
            await page.write("control", 0)
        await bench.wait_off()
        assert [await page.read("status") for page in bench.pages] == [0, 0]
    await bench.finish()


@cocotb.test()
async def driver_names_the_bridge_that_breaks_the_rule(dut: Any) -> None:
    """With NEED_WAKEUP the link stays down and says why and what to do; with wakeup=off it comes up."""
    bench = PostedBench(dut)
    await bench.reset()
    bench.posted[1].late = 0  # only the host's bridge is slow
    bench.wait_for({"completions", "interrupts"})
    async with LinkBench(bench) as links:
        host, card = links.sides
        for side in links.sides:
            await links.order(side, side.start)
        await links.wait_state(host, LinkState.HALTED)
        assert "a read overtook an earlier write" in host.alive.reason, host.alive.reason
        assert "wakeup=off" in host.alive.reason and host.alive.fault_code == "READ_ORDER"
        await links.until(lambda: card.alive.state is not LinkState.RUN, "the card sees that the host has left")
        await links.order(host, host.crash)
        host.wakeups = Wakeups.ALWAYS
        await links.bring_up()
        await links.exchange(20)
        await links.rest()
    await bench.finish()


@cocotb.test()
async def agents_bring_their_link_up_behind_early_bridges(dut: Any) -> None:
    """The agents' Link and driver where only reads wait; each side restarts, and every packet is accounted for."""
    bench = PostedBench(dut)
    await bench.reset()
    bench.wait_for({"reads"})
    async with LinkBench(bench) as links:
        await links.bring_up()
        await links.exchange(20)
        for side in links.sides:
            await links.order(side, side.crash)
            await links.bring_up()
            await links.exchange(10)
            await links.rest()
        links.assert_no_violation()
    await bench.finish()
