"""The agents' own Link and FifoEndpoints, around the RTL; run by test_link.py."""

from __future__ import annotations

import os
from typing import Any

import cocotb

from tests.hdl.hdl_bench import Bench
from tests.hdl.link_bench import LinkWorld, RtlSide
from vnetcard.link.types import LinkState
from vnetcard.ring import layout as L

ROUNDS = 20 if os.environ.get("VNETCARD_STALL") == "stalled" else 160
"""Mishaps in a run; the calm run is the campaign's."""


@cocotb.test()
async def link_comes_up_and_carries_packets_both_ways(dut: Any) -> None:
    """Through side blocks that only the engine carries; in each order of start, and again after a clean stop."""
    bench = Bench(dut)
    bench.surround()
    await bench.reset()
    async with LinkWorld(bench) as world:
        for first in (0, 1):
            one, other = world.sides[first], world.sides[1 - first]
            await world.order(one, one.start)
            await world.pass_by(1500)
            # Of a peer that stopped after this side, it may have an old epoch, which nobody answers.
            assert one.alive.state in (LinkState.WAITING, LinkState.HANDSHAKE), one.alive.reason
            await world.come_up()
            await world.exchange(40)
            await world.rest()
            world.nobody_accused()
            await world.order(other, other.stop)
            await world.until(lambda one=one: one.alive.state is LinkState.WAITING, "the stop noticed")
            await world.order(one, one.stop)
        assert [await page.read("status") for page in bench.pages] == [0, 0], "the engine is not off"
        # What an agent has left is its own memory: nothing touches it any more.
        seen = [memory.accesses for memory in bench.memories]
        await world.pass_by(1000)
        assert [memory.accesses for memory in bench.memories] == seen
    await bench.finish()


async def crash(world: LinkWorld, side: RtlSide, peer: RtlSide) -> None:
    """The peer goes on sending to nobody for a while."""
    await world.order(side, side.crash)
    await world.pass_by(side.rng.randrange(2000))


async def both_crash(world: LinkWorld, side: RtlSide, peer: RtlSide) -> None:
    await world.order(side, side.crash)
    await world.order(peer, peer.crash)
    await world.order(side, side.start)
    await world.pass_by(side.rng.randrange(400))


async def death_inside_a_step(world: LinkWorld, side: RtlSide, peer: RtlSide) -> None:
    """Before any store, or any write of a register, of a tick, a stop, or the first tick after a start."""
    what = side.rng.choice(("tick", "stop", "start"))

    def die() -> None:
        if what == "start":
            side.crash()
        side.dies_in(side.rng.randrange(24), what)
        if side.link is not None:
            side.crash()

    await world.order(side, die)


async def clean_stop(world: LinkWorld, side: RtlSide, peer: RtlSide) -> None:
    await world.order(side, side.stop)
    await world.pass_by(side.rng.randrange(600))


async def crash_twice(world: LinkWorld, side: RtlSide, peer: RtlSide) -> None:
    """Again before the peer has answered, or just after."""
    for _ in (0, 1):
        await world.order(side, side.crash)
        await world.order(side, side.start)
        await world.pass_by(side.rng.randrange(300))


async def standstill(world: LinkWorld, side: RtlSide, peer: RtlSide) -> None:
    """A stopped process that goes on: nothing is lost, nobody restarts."""
    side.stalled = True
    await world.until(lambda: peer.alive.state is LinkState.PEER_DEAD, "the silence noticed")


async def new_epoch(world: LinkWorld, side: RtlSide, peer: RtlSide) -> None:
    """An agent begins anew and lives on, as when its kernel refuses an offload: the engine stays enabled."""
    await world.order(side, lambda: side.alive.withdraw(L.FEATURES["CSUM"], "refused"))
    side.offer.features = L.FEATURES["CSUM"]  # for the next time


MISHAPS = (
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
    """Agents die in mid-traffic, between any two stores and register writes, alone and together, and come back."""
    bench = Bench(dut)
    bench.surround()
    await bench.reset()
    async with LinkWorld(bench) as world:
        await world.come_up()
        for n in range(ROUNDS):
            await world.exchange(bench.rng.randrange(1, 12))
            side, peer = bench.rng.sample(world.sides, 2)
            await MISHAPS[n % len(MISHAPS)](world, side, peer)
            await world.come_up()
            await world.exchange(3)
            await world.rest()
            world.nobody_accused()
        sent, lost = ([getattr(side.books, name) for side in world.sides] for name in ("total_sent", "lost"))
        print(f"{ROUNDS} mishaps: sent {sent}, lost in flight and counted {lost}")
        assert all(lost), "nothing was in flight at any restart: nothing was tested"
    await bench.finish()


def said(world: LinkWorld, why: str) -> bool:
    return any("link halted: " in line and why in line for side in world.sides for line in side.journal.lines)


@cocotb.test()
async def bus_error_is_named_and_the_link_returns(dut: Any) -> None:
    """A memory fails under a packet, an index, a side block: both links leave, say why, and come back by themselves."""
    bench = Bench(dut)
    bench.surround()
    await bench.reset()
    host, card = bench.memories
    h2c = bench.directions[0]
    trials = (
        (host, "bad_read", lambda at: 0 <= at - h2c.source_ring < h2c.size, "h2c halted: READ"),
        (card, "bad_write", lambda at: 0 <= at - h2c.sink_ring < h2c.size, "h2c halted: WRITE"),
        (card, "bad_write", lambda at: at == h2c.prod_line, "h2c halted: PROD_WRITE"),
        (host, "bad_write", lambda at: at == h2c.cons_line, "h2c halted: CONS_WRITE"),
        (host, "bad_read", lambda at: 0 <= at - L.side_offset(0) < L.LINE, "the host's block halted: READ"),
        (host, "bad_write", lambda at: 0 <= at - L.side_offset(1) < L.LINE, "the card's block halted: WRITE"),
    )
    async with LinkWorld(bench) as world:
        for memory, what, where, why in trials:
            await world.come_up()
            await world.exchange(5)
            for side in world.sides:
                side.journal.lines.clear()
            setattr(memory, what, where)
            await world.until(lambda why=why: said(world, why), f"somebody is told that {why}")
            line = next(line for side in world.sides for line in side.journal.lines if why in line)
            address = int(line.split(why)[1].split("address ")[1].split(";")[0], 16)
            assert where(address - memory.base), line
            setattr(memory, what, lambda at: False)
            await world.come_up()
            await world.exchange(5)
            await world.rest()
    await bench.finish()
