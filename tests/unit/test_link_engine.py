"""The link through an engine: the order of what the peer sees, what ends a wait, and what follows a halt."""

from __future__ import annotations

import re

import pytest

from tests.unit.link_harness import BASES, MTU, LinkHarness, Side
from vnetcard.codes.link import LinkReason
from vnetcard.link.brake import BackOff
from vnetcard.link.types import LinkState, Offer
from vnetcard.ring import layout as L

CSUM = L.FEATURES["CSUM"]
pytestmark = pytest.mark.usefixtures("memory_kind")
BOTH = pytest.mark.parametrize("n", [L.HOST, L.CARD], ids=L.SIDES)


@pytest.fixture
def harness() -> LinkHarness:
    """A link that runs and has moved a packet in each direction."""
    harness = LinkHarness(Offer(CSUM, MTU), Offer(CSUM, MTU), engine=True)
    harness.start()
    for side in harness.sides:
        assert side.send()
    harness.drain()
    return harness


def word(side: Side, of: int, name: str) -> int:
    """A word of the block of side ``of``, as it stands in the memory of ``side``."""
    return side.memory.load32(L.side_offset(of) + L.SIDE_CONTROL.offset(name))


def index(side: Side, line: str) -> int:
    return side.memory.load32(L.queue_offset(0) + L.QUEUE_LINES[line])


def log(side: Side) -> str:
    return "\n".join(side.journal.lines)


def restart_itself(side: Side) -> None:
    """A new epoch without a new process, as when a kernel refuses an offload."""
    side.alive.withdraw(CSUM, "the test wants it")


# --- the order of what the peer sees -----------------------------------------------------------------------


@BOTH
def test_new_epoch_is_visible_to_the_peer_before_any_index_is_reset(harness: LinkHarness, n: int) -> None:
    side, peer = harness.sides[n], harness.sides[1 - n]
    assert harness.engine is not None
    direction, back = L.DIRECTIONS[n], L.DIRECTIONS[1 - n]
    lines = (f"{direction}_prod", f"{back}_cons")
    before = side.alive.epoch
    assert all(index(peer, line) > 0 for line in lines)

    def work_and_check() -> None:
        assert harness.engine is not None
        harness.engine.step()
        if word(peer, n, "epoch") == before:
            assert all(index(peer, line) > 0 for line in lines), "an index went back under the old epoch"

    side.meanwhile = work_and_check
    restart_itself(side)
    assert word(peer, n, "epoch") == side.alive.epoch != before
    assert all(index(peer, line) == 0 for line in lines)


@BOTH
def test_answer_reaches_the_peers_memory_after_both_directions_were_reset(harness: LinkHarness, n: int) -> None:
    side, peer = harness.sides[n], harness.sides[1 - n]
    assert harness.engine is not None
    peer.crash()
    peer.start()
    harness.carry()
    starts = [direction.figures.get("starts", 0) for direction in harness.engine.directions]
    side.tick()
    assert word(peer, n, "answered") == peer.alive.epoch, "published, and waited for"
    now = [direction.figures.get("starts", 0) for direction in harness.engine.directions]
    assert now == [count + 1 for count in starts]


@BOTH
def test_doorbell_of_an_old_pump_during_the_handshake_is_harmless(harness: LinkHarness, n: int) -> None:
    side, peer = harness.sides[n], harness.sides[1 - n]
    assert harness.engine is not None
    for _ in range(5):
        for _ in range(100):  # further than one ring: what is rung later is impossible for an engine that starts at 0
            assert side.send()
            harness.drain()
        peer.crash()
        peer.start()
        while side.send():  # it has not noticed yet, and goes on sending
            harness.carry()
        assert harness.engine.directions[n].state == "halt"
        peer.tick()
        harness.go_on(1.5)  # the carrier rises twice a second at most
        assert side.running and peer.running
        harness.drain()
        assert side.send() and peer.send()
        harness.drain()
    for counters in (side.counters(), peer.counters()):
        assert (counters["engine_halt"], counters["own_restart"], counters["viol_side_block"]) == (0, 0, 0)
    harness.check_ledgers()


@BOTH
def test_stop_is_seen_at_once_and_nothing_touches_the_memory_afterwards(harness: LinkHarness, n: int) -> None:
    side, peer = harness.sides[n], harness.sides[1 - n]
    assert harness.engine is not None
    side.stop()
    assert word(peer, n, "epoch") == 0
    peer.tick()
    assert peer.alive.state is LinkState.WAITING
    before = side.memory.read(0, side.memory.size)
    peer.alive.own.store("heartbeat", 0x1234)
    peer.tick()
    harness.go_on(1.0)
    assert side.memory.read(0, side.memory.size) == before


def test_heartbeat_reaches_the_peer(harness: LinkHarness) -> None:
    harness.go_on(5.0)
    assert all(side.running for side in harness.sides)
    harness.card.stalled = True
    harness.go_on(1.5)
    assert harness.host.alive.state is LinkState.PEER_DEAD
    harness.card.stalled = False
    harness.go_on(0.5)
    assert harness.host.running and harness.host.counters()["peer_back"] == 1


# --- halts -------------------------------------------------------------------------------------------------


def break_h2c(harness: LinkHarness) -> None:
    """Every read of the host's ring fails from now on."""
    assert harness.engine is not None
    ring = L.rings_offset(1)
    harness.engine.broken = lambda what, side, at: (what, side) == ("read", L.HOST) and ring <= at < ring + 4096


def test_halt_is_reported_counted_and_recovered_on_both_sides(harness: LinkHarness) -> None:
    assert harness.engine is not None
    break_h2c(harness)
    assert harness.host.send()
    until = harness.clock.now + 0.15
    while harness.host.alive.state is not LinkState.HALTED:
        harness.go_on(0.01)
    assert (harness.host.alive.reason_code, harness.host.alive.fault_code) == (LinkReason.ENGINE_HALTED, "READ")
    harness.go_on(until - harness.clock.now)
    for side in harness.sides:
        assert "link halted: h2c halted: READ, a read failed at bus address 0x1000" in log(side)
        assert LinkReason.ENGINE_HALTED in side.journal.codes
        assert side.counters()["engine_halt"] == 1 and not side.journal.up
    harness.engine.broken = lambda *_: False
    harness.go_on(1.0)
    assert all(side.running and side.journal.up for side in harness.sides)
    assert harness.host.send()
    harness.drain()
    harness.check_ledgers()
    assert harness.host.ledger.lost == 1


@BOTH
@pytest.mark.parametrize("cause", ["BAD_PROD", "BAD_CONS"])
def test_halt_that_comes_with_a_new_epoch_of_the_peer_is_a_restart(harness: LinkHarness, n: int, cause: str) -> None:
    """The engine may read an index of the new generation, impossible in the old one, before this side ticks."""
    side, peer = harness.sides[n], harness.sides[1 - n]
    assert harness.engine is not None
    peer.crash()
    peer.start()
    harness.carry()
    assert word(side, 1 - n, "epoch") == peer.alive.epoch
    for direction in harness.engine.directions:
        harness.engine._halt(direction, cause, 0)
    harness.clock.now += 0.2  # the next tick reads the engine's state
    harness.go_on()
    assert side.running and peer.running
    assert LinkReason.ENGINE_HALTED not in side.journal.codes and LinkReason.PEER_RESTARTED in side.journal.codes
    assert side.counters()["engine_halt"] == 0
    assert side.send() and peer.send()
    harness.drain()
    harness.check_ledgers()


def test_permanent_halt_is_not_retried_in_a_busy_loop(harness: LinkHarness) -> None:
    break_h2c(harness)
    for _ in range(6000):
        harness.go_on(0.01)
        if harness.host.running:
            harness.host.send()
    assert 8 <= harness.host.counters()["engine_halt"] <= 25, "a minute of tries, 0.1 to 5 s apart"


def test_rings_of_two_sizes_do_not_run(harness: LinkHarness) -> None:
    assert harness.engine is not None
    harness.card.crash()
    harness.engine.pages[L.CARD].words["control"] = 0
    harness.engine.step()
    harness.card.start()
    harness.engine.pages[L.CARD].words["h2c_ring_log2"] = 14
    harness.engine.directions[L.HOST].state = "drain"
    harness.go_on(0.2)
    for side in harness.sides:  # a ring that does not fit stops both directions
        words = "link halted: (h2c and c2h|c2h and h2c) halted: CONFIG, the two sides' rings differ in size"
        assert re.search(words, log(side))
    harness.go_on(1.0)  # each has configured its side again
    assert all(side.running for side in harness.sides)


def test_link_is_never_up_over_a_direction_that_cannot_start() -> None:
    harness = LinkHarness(engine=True)
    assert harness.engine is not None
    prod = L.queue_offset(0) + L.QUEUE_LINES["h2c_prod"]
    harness.engine.broken = lambda *what: what == ("write", L.CARD, prod)
    for side in harness.sides:
        side.start()
    harness.go_on(10.0)
    for side in harness.sides:
        assert "link halted: h2c halted: PROD_WRITE, the write of prod failed at bus address 0x200000800" in log(side)
        assert side.counters()["link_up"] == 0
    harness.engine.broken = lambda *_: False
    harness.go_on(10.0)
    assert all(side.running for side in harness.sides)


@BOTH
def test_link_waits_for_a_direction_that_drains_slowly(harness: LinkHarness, n: int) -> None:
    """A memory delays outstanding accesses: neither side runs before the reset is complete, and no index is lost."""
    side, peer = harness.sides[n], harness.sides[1 - n]
    assert harness.engine is not None
    harness.engine.stuck = {L.HOST, L.CARD}
    restart_itself(side)
    harness.go_on(3.0)
    for each in harness.sides:
        assert each.alive.state is LinkState.HANDSHAKE, "up over a direction that will be reset"
        assert each.alive.reason_code is LinkReason.ENGINE_STARTING
    harness.engine.stuck = set()
    harness.go_on()
    assert side.running and peer.running
    assert side.counters()["engine_halt"] == peer.counters()["engine_halt"] == 0
    assert side.send() and peer.send()
    harness.drain()
    harness.check_ledgers()


def test_side_block_that_cannot_be_written_is_reported_even_without_a_link() -> None:
    harness = LinkHarness(engine=True)
    assert harness.engine is not None
    harness.engine.broken = lambda what, side, at: (what, side) == ("write", L.CARD) and at < L.QUEUE_OFFSET
    for side in harness.sides:
        side.start()
    harness.go_on(3.0)
    assert f"the host's block halted: WRITE, a write failed at bus address {BASES[1] + 0x408:#x}" in log(harness.host)
    assert harness.card.alive.state is LinkState.WAITING, "and the card waits without an error"
    harness.engine.broken = lambda *_: False
    harness.go_on(10.0)
    assert all(side.running for side in harness.sides)


# --- surprise removal ----------------------------------------------------------------------------------------


def test_removed_device_is_reported_and_found_again(harness: LinkHarness) -> None:
    assert harness.engine is not None
    harness.engine.removed = True
    harness.go_on(3.0)
    for side in harness.sides:
        assert side.alive.state is LinkState.GONE and side.alive.reason_code is LinkReason.DEVICE_GONE
        assert not side.journal.up and not side.send()
        assert log(side).count("link gone") == 1, "it must be reported once"
    harness.engine.power_up()
    harness.engine.removed = False
    harness.go_on(10.0)
    assert all(side.running for side in harness.sides)
    for side in harness.sides:
        assert side.send()
    harness.drain()
    harness.check_ledgers()


def test_engine_that_another_program_reset_is_configured_again(harness: LinkHarness) -> None:
    assert harness.engine is not None
    harness.engine.power_up()
    harness.go_on(3.0)
    assert "no longer enabled: it was reset" in log(harness.host) + log(harness.card)
    assert all(side.running for side in harness.sides)


def test_stop_without_a_device_is_quiet(harness: LinkHarness) -> None:
    assert harness.engine is not None
    harness.engine.removed = True
    for side in harness.sides:
        side.stop()


def test_back_off_doubles_to_a_limit_and_forgets_after_a_quiet_time() -> None:
    back_off, now, waits = BackOff(), 1000.0, []
    for _ in range(8):
        waits.append(back_off.next(now))
        now += waits[-1]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert back_off.next(now + 9) == 5.0
    assert back_off.next(now + 60) == 0.1
