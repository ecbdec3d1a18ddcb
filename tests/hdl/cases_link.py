"""The agents' own Link and FifoEndpoints around the RTL; run by test_link.py."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import cocotb

from tests.hdl.bench import Bench
from tests.hdl.link_bench import LinkBench, RtlSide
from tests.hdl.memory import Memory, never
from vnetcard.link.types import LinkState
from vnetcard.ring import layout as L

ROUNDS = 10 if os.environ.get("VNETCARD_STALL") == "stalled" else 160
"""Disturbances per run; the calm run belongs to the campaign."""


@cocotb.test()
async def link_comes_up_and_carries_packets_in_both_directions(dut: Any) -> None:
    """The engine copies the side blocks; the link comes up in each order of start, and again after a clean stop."""
    bench = Bench(dut)
    bench.apply_stalls()
    await bench.reset()
    async with LinkBench(bench) as links:
        for first in (0, 1):
            one, other = links.sides[first], links.sides[1 - first]
            await links.order(one, one.start)
            await links.run_for(1500)
            # The window may still hold the old epoch of a peer that stopped after this side; no peer answers it.
            assert one.alive.state in (LinkState.WAITING, LinkState.HANDSHAKE), one.alive.reason
            await links.bring_up()
            await links.exchange(40)
            await links.rest()
            links.assert_no_violation()
            await links.order(other, other.stop)
            await links.wait_state(one, LinkState.WAITING)
            await links.order(one, one.stop)
        assert [await page.read("status") for page in bench.pages] == [0, 0], "the engine is not off"
        # After both agents have stopped, the engine does not access their memories.
        seen = [memory.accesses for memory in bench.memories]
        await links.run_for(1000)
        assert [memory.accesses for memory in bench.memories] == seen
    await bench.finish()


async def crash(links: LinkBench, side: RtlSide, peer: RtlSide) -> None:
    """One side crashes; the peer keeps sending for a while."""
    await links.order(side, side.crash)
    await links.run_for(side.rng.randrange(2000))


async def both_crash(links: LinkBench, side: RtlSide, peer: RtlSide) -> None:
    await links.order(side, side.crash)
    await links.order(peer, peer.crash)
    await links.order(side, side.start)
    await links.run_for(side.rng.randrange(400))


async def death_inside_a_step(links: LinkBench, side: RtlSide, peer: RtlSide) -> None:
    """One side dies before a random store or register write of a tick, a stop, or the first tick after a start."""
    what = side.rng.choice(("tick", "stop", "start"))

    def die() -> None:
        if what == "start":
            side.crash()
        side.dies_in(side.rng.randrange(24), what)
        if side.link is not None:
            side.crash()

    await links.order(side, die)


async def clean_stop(links: LinkBench, side: RtlSide, peer: RtlSide) -> None:
    await links.order(side, side.stop)
    await links.run_for(side.rng.randrange(600))


async def crash_twice(links: LinkBench, side: RtlSide, peer: RtlSide) -> None:
    """One side crashes twice, the second time before the peer has answered or just after."""
    for _ in (0, 1):
        await links.order(side, side.crash)
        await links.order(side, side.start)
        await links.run_for(side.rng.randrange(300))


async def standstill(links: LinkBench, side: RtlSide, peer: RtlSide) -> None:
    """A stopped process continues later: nothing is lost, and neither side restarts."""
    side.stalled = True
    await links.until(lambda: peer.alive.state is LinkState.PEER_DEAD, "the missing heartbeat is detected")


async def new_epoch(links: LinkBench, side: RtlSide, peer: RtlSide) -> None:
    """An agent takes a new epoch without a restart, as when its kernel refuses an offload; the engine stays enabled."""
    await links.order(side, lambda: side.alive.withdraw(L.FEATURES["CSUM"], "refused"))
    side.offer.features = L.FEATURES["CSUM"]  # for the next repetition


DISTURBANCES = (
    crash,
    new_epoch,
    both_crash,
    death_inside_a_step,
    crash,
    crash_twice,
    new_epoch,
    death_inside_a_step,
    clean_stop,
    standstill,
)


@cocotb.test()
async def restarts_in_any_order_lose_nothing_unaccounted(dut: Any) -> None:
    """Agents die during traffic, between any two stores or register writes, alone or together, and restart."""
    bench = Bench(dut)
    bench.apply_stalls()
    await bench.reset()
    async with LinkBench(bench) as links:
        await links.bring_up()
        for n in range(ROUNDS):
            await links.exchange(bench.rng.randrange(1, 12))
            side, peer = bench.rng.sample(links.sides, 2)
            await DISTURBANCES[n % len(DISTURBANCES)](links, side, peer)
            await links.bring_up()
            await links.exchange(3)
            await links.rest()
            links.assert_no_violation()
        sent, lost = ([getattr(side.ledger, name) for side in links.sides] for name in ("total_sent", "lost"))
        print(f"{ROUNDS} disturbances: sent {sent}, lost in flight and counted {lost}")
        assert all(lost), "no packet was in flight at any restart: nothing was tested"
    await bench.finish()


def reported(links: LinkBench, why: str) -> bool:
    return any("link halted: " in line and why in line for side in links.sides for line in side.journal.lines)


@cocotb.test()
async def bus_error_is_reported_and_the_link_recovers(dut: Any) -> None:
    """A bus error on a packet, an index or a side block: the links go down, report the cause, and come up again."""
    bench = Bench(dut)
    bench.apply_stalls()
    await bench.reset()
    host, card = bench.memories
    h2c = bench.directions[0]
    trials: tuple[tuple[Memory, str, Callable[[int], bool], str], ...] = (
        (host, "bad_read", lambda at: 0 <= at - h2c.source_ring < h2c.size, "h2c halted: READ"),
        (card, "bad_write", lambda at: 0 <= at - h2c.sink_ring < h2c.size, "h2c halted: WRITE"),
        (card, "bad_write", lambda at: at == h2c.prod_line, "h2c halted: PROD_WRITE"),
        (host, "bad_write", lambda at: at == h2c.cons_line, "h2c halted: CONS_WRITE"),
        (host, "bad_read", lambda at: 0 <= at - L.side_offset(0) < L.LINE, "the host's block halted: READ"),
        (host, "bad_write", lambda at: 0 <= at - L.side_offset(1) < L.LINE, "the card's block halted: WRITE"),
    )
    async with LinkBench(bench) as links:
        for memory, what, where, why in trials:
            await links.bring_up()
            await links.exchange(5)
            for side in links.sides:
                side.journal.lines.clear()
            setattr(memory, what, where)
            await links.until(partial(reported, links, why), f"a side reports that {why}")
            line = next(line for side in links.sides for line in side.journal.lines if why in line)
            address = int(line.split(why)[1].split("address ")[1].split(";")[0], 16)
            assert where(address - memory.base), line
            setattr(memory, what, never)
            await links.bring_up()
            await links.exchange(5)
            await links.rest()
    await bench.finish()
