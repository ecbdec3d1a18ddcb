"""The mover in software: what crosses first, what is believed, and what happens when a transfer fails."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable

import pytest

from tests.unit.copier_harness import BASE, MoverWorld
from tests.unit.link_harness import GEOMETRY, MTU, WINDOW, Side
from vnetcard.codes.link import LinkReason
from vnetcard.errors import WindowUnavailable
from vnetcard.link.types import LinkState, Offer
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry

CSUM = L.FEATURES["CSUM"]
LINE = {name: L.queue_offset(0) + at for name, at in L.QUEUE_LINES.items()}
RINGS = {name: ring for name, ring in zip(L.DIRECTIONS, GEOMETRY.rings[0], strict=True)}
HOST_BLOCK, CARD_BLOCK = L.side_offset(L.HOST), L.side_offset(L.CARD)


@pytest.fixture
def world() -> MoverWorld:
    """A link that runs, and a packet has crossed each way."""
    world = MoverWorld(Offer(CSUM, MTU), Offer(CSUM, MTU))
    world.start()
    for side in world.sides:
        assert side.send()
    world.drain()
    world.transfers.log.clear()
    return world


def log(side: Side) -> str:
    return "\n".join(side.journal.lines)


def in_ring(direction: str, at: int) -> bool:
    ring = RINGS[direction]
    return ring.offset <= at < ring.offset + ring.size


def raises(number: int) -> int:
    raise OSError(number, os.strerror(number))


# --- the order of what crosses -----------------------------------------------------------------------------


def test_records_stand_in_the_card_before_their_index_and_in_two_spans_at_most(world: MoverWorld) -> None:
    while RINGS["h2c"].size - world.host.mover.figures.tx.moved % RINGS["h2c"].size > 1024:
        assert world.host.send()
        world.drain()
    world.transfers.log.clear()
    assert all(world.host.send() for _ in range(30)), "30 records of 64 bytes, around the end of the ring"
    world.carry()
    writes = [at for what, at, _ in world.transfers.log if what == "write"]
    first, second, index = writes[:3]
    ring = RINGS["h2c"]
    assert ring.offset < first and second == ring.offset and index == LINE["h2c_prod"]
    assert sum(count for what, at, count in world.transfers.log if what == "write" and in_ring("h2c", at)) == 30 * 64


def test_both_rings_go_round_many_times(world: MoverWorld) -> None:
    for _ in range(3 * RINGS["h2c"].size // (20 * 64)):
        for side in world.sides:
            assert all(side.send() for _ in range(20))
        world.drain()
    world.check_books()
    for way in (world.host.mover.figures.tx, world.host.mover.figures.rx):
        assert way.bytes > 2 * RINGS["h2c"].size and way.moved == way.freed


def test_block_crosses_in_two_writes_and_its_epochs_with_the_second(world: MoverWorld) -> None:
    seen: list[tuple[bytes, bytes]] = []
    before = bytes(world.card_map[HOST_BLOCK : HOST_BLOCK + L.LINE])

    def look() -> None:
        now = bytes(world.card_map[HOST_BLOCK : HOST_BLOCK + L.LINE])
        if not seen or seen[-1] != (now[:8], now[8:]):
            seen.append((now[:8], now[8:]))

    world.transfers.before = look
    world.host.alive.withdraw(CSUM, "the test wants it")
    look()
    assert seen[0][0] == before[:8] and seen[-1][0][:4] == world.host.alive.epoch.to_bytes(4, "little")
    changes = [(one, next_one) for one, next_one in itertools.pairwise(seen) if one[0] != next_one[0]]
    assert len(changes) >= 2, "answered = 0, and then the new epoch"
    for (_, rest), (_, next_rest) in changes:
        assert rest == next_rest, "what the epochs vouch for came with them, or later"


def test_indices_go_back_in_the_card_before_the_answer_is_seen(world: MoverWorld) -> None:
    world.card.crash()
    world.card.start()
    answered = HOST_BLOCK + 4

    def look() -> None:
        if int.from_bytes(world.card_map[answered : answered + 4], "little") == world.card.alive.epoch:
            for line in ("h2c_prod", "c2h_cons"):
                assert not any(world.card_map[LINE[line] : LINE[line] + 4])

    world.transfers.before = look
    world.go_on()
    assert world.host.running and world.card.running


def test_card_that_restarts_between_two_transfers_is_never_taken_for_its_predecessor() -> None:
    """Whatever the transfer before which it happens; likewise for a side that only begins a new epoch."""

    def restart_after_crash(world: MoverWorld) -> None:
        world.card.crash()
        world.card.start()

    def restart_after_stop(world: MoverWorld) -> None:
        world.card.stop()
        world.card.start()

    kinds: dict[str, Callable[[MoverWorld], object]] = {
        "card restarts": restart_after_crash,
        "card begins anew": lambda world: world.card.alive.withdraw(CSUM, "the test wants it"),
        "card stops": restart_after_stop,
    }
    for kind, happens in kinds.items():
        for when in range(40):
            world = MoverWorld(Offer(CSUM, MTU), Offer(CSUM, MTU))
            world.start()
            assert all(world.card.send() for _ in range(20)) and all(world.host.send() for _ in range(20))
            world.drain()
            assert all(world.card.send() for _ in range(9)) and all(world.host.send() for _ in range(9))
            left = [when]

            def strike(
                world: MoverWorld = world, left: list[int] = left, happens: Callable[..., object] = happens
            ) -> None:
                left[0] -= 1
                if left[0] == -1:
                    happens(world)

            world.transfers.before = strike
            world.go_on(0.5)
            assert left[0] < 0, "there were not that many transfers"
            world.go_on(1.0)
            assert world.host.running and world.card.running, f"{kind} ahead of transfer {when}"
            world.drain()
            world.check_books()
            for side in world.sides:
                count = side.counters()
                harm = {name: count[name] for name in count if name.startswith("viol_") or name == "engine_halt"}
                assert not any(harm.values()), f"{kind} ahead of transfer {when}: {harm}"
            assert world.host.mover.figures.halts == 0, f"{kind} ahead of transfer {when}"


def test_host_that_begins_anew_forgets_what_it_knew_of_the_cards_indices(world: MoverWorld) -> None:
    assert all(world.card.send() for _ in range(5))
    world.drain()
    world.host.alive.withdraw(CSUM, "the test wants it")
    assert world.host.memory.load32(LINE["c2h_prod"]) == world.host.memory.load32(LINE["h2c_cons"]) == 0
    world.go_on()
    world.drain()
    assert all(side.running for side in world.sides)


# --- coming up and going -----------------------------------------------------------------------------------


def test_host_lays_blank_memory_out_and_the_card_finds_a_window_of_its_shape() -> None:
    world = MoverWorld(blank=True)
    magics: list[int] = []
    world.transfers.before = lambda: magics.append(int.from_bytes(world.card_map[:8], "little"))
    world.host.start()
    world.go_on(0.1)
    found = Geometry.decode(bytes(world.card_map[:HEADER_BYTES]), WINDOW)
    assert found.rings == GEOMETRY.rings and not found.removable
    first = magics.index(L.MAGIC)
    assert world.transfers.log[first - 1] == ("write", 0, L.LINE), "the magic comes last"
    world.card.start()
    world.go_on()
    assert world.host.running and world.card.running


def test_window_that_is_as_wanted_is_used_again(world: MoverWorld) -> None:
    before = bytes(world.card_map[: 2 * L.LINE])
    world.host.crash()
    world.host.start()
    world.go_on()
    assert world.host.running and bytes(world.card_map[: 2 * L.LINE]) == before


def test_card_that_loses_its_memory_gets_a_new_window(world: MoverWorld) -> None:
    world.card.crash()
    world.card_map[:] = bytes(WINDOW)
    world.go_on(0.1)
    assert world.host.alive.state is LinkState.WAITING
    world.card.start()
    world.go_on()
    assert world.host.running and world.card.running


FOREIGN = b"something of somebody else's".ljust(128, b".")
DAMAGED = GEOMETRY.encode()[:70] + b"\1" + GEOMETRY.encode()[71:]


def test_foreign_memory_is_refused_in_words_and_left_alone() -> None:
    world = MoverWorld(blank=True)
    world.card_map[: len(FOREIGN)] = FOREIGN
    before = bytes(world.card_map)
    world.host.start()
    world.go_on(3.0)
    assert "CONFIG, in the card's memory at 0x80000000: no vnetcard window here" in log(world.host)
    assert "?format" in log(world.host)
    assert bytes(world.card_map) == before


@pytest.mark.parametrize("format_any", [False, True])
@pytest.mark.parametrize("contents", [DAMAGED, FOREIGN, b"\xff" * 1024], ids=["damaged", "foreign", "all ones"])
def test_what_nobody_uses_is_laid_out_anew_foreign_contents_on_demand_only(contents: bytes, format_any: bool) -> None:
    world = MoverWorld(blank=True)
    world.card_map[: len(contents)] = contents
    world.host.format_any = format_any
    with contextlib.suppress(WindowUnavailable):
        world.host.start()
    world.go_on(3.0)
    anew = bytes(world.card_map[:8]) == L.MAGIC.to_bytes(8, "little")
    assert anew == (format_any or contents is DAMAGED)


def test_damaged_window_of_a_card_that_lives_is_left_to_it() -> None:
    world = MoverWorld(blank=True)
    world.card_map[: len(DAMAGED)] = DAMAGED
    world.card.start()
    world.host.start()
    world.go_on(3.0)
    assert "damaged" in log(world.host) and "the card's agent is using it" in log(world.host)
    assert bytes(world.card_map[: len(DAMAGED)]) == DAMAGED


def test_goodbye_is_seen_by_the_card_at_once_and_nothing_moves_afterwards(world: MoverWorld) -> None:
    world.host.stop()
    world.card.tick()
    assert world.card.alive.state is LinkState.WAITING
    before = bytes(world.card_map)
    assert not world.host.mover.step()
    assert bytes(world.card_map) == before


def test_books_of_either_side_stand_in_both_memories(world: MoverWorld) -> None:
    world.go_on(1.0)
    for side in (L.HOST, L.CARD):
        at, counters = L.side_offset(side) + L.LINE, L.SIDE_BYTES - L.LINE
        here, there = (each.memory.read(at, counters) for each in world.sides)
        assert here == there and any(here)


# --- what is not believed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "value", "words"),
    [
        ("c2h_prod", 0x1234, "BAD_PROD, prod 0x1234 is impossible"),
        ("c2h_prod", 64 << 20, "BAD_PROD, prod 0x4000000 is impossible"),
        ("h2c_cons", 0x40000, "BAD_CONS, cons 0x40000 is impossible"),
        ("h2c_cons", 0x41, "BAD_CONS, cons 0x41 is impossible"),
    ],
)
def test_impossible_index_of_the_card_halts_by_name_and_the_link_returns(
    world: MoverWorld, line: str, value: int, words: str
) -> None:
    before = world.host.memory.load32(LINE[line])
    world.transfers.log.clear()
    world.card_map[LINE[line] : LINE[line] + 4] = value.to_bytes(4, "little")
    world.carry()
    assert world.host.memory.load32(LINE[line]) == before, "it was handed on to the pump"
    world.host.mover.publish()
    assert "write" not in {what for what, _, _ in world.transfers.log}, "after a halt something crossed"
    world.go_on(0.15)
    assert f"link halted: the software mover halted: {words}" in log(world.host)
    world.go_on(2.0)
    assert all(side.running for side in world.sides) and world.host.counters()["engine_halt"] == 1


# --- transfers that fail -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "where", "words"),
    [
        (
            "write",
            lambda at: in_ring("h2c", at),
            "WRITE, a write over /dev/xdma0_test_write failed (Input/output error)",
        ),
        ("write", lambda at: at == LINE["h2c_prod"], "at card address 0x80000800"),
        ("read", lambda at: in_ring("c2h", at), "READ, a read over /dev/xdma0_test_read failed (Input/output error)"),
        ("read", lambda at: at == CARD_BLOCK, f"at card address {BASE + CARD_BLOCK:#x}"),
        ("write", lambda at: at == HOST_BLOCK, f"at card address {BASE + HOST_BLOCK:#x}"),
    ],
    ids=["records", "index", "their records", "their block", "our block"],
)
def test_failed_transfer_halts_by_name_and_the_link_returns_once_it_works(
    world: MoverWorld, what: str, where: Callable[[int], bool], words: str
) -> None:
    world.transfers.answer = lambda kind, address, count: (
        raises(errno.EIO) if kind == what and where(address - BASE) else count
    )
    for side in world.sides:
        side.send()
    world.go_on(0.25)
    assert "the software mover halted: " in log(world.host) and words in log(world.host)
    world.go_on(2.0)
    assert not world.host.running or world.host.counters()["engine_halt"] > 0
    world.transfers.answer = lambda kind, address, count: count
    world.go_on(8.0)
    assert all(side.running for side in world.sides)
    for side in world.sides:
        assert side.send()
    world.drain()
    world.check_books()


def test_short_and_busy_channels_only_cost_time(world: MoverWorld) -> None:
    moves = [0]

    def answer(what: str, address: int, count: int) -> int:
        moves[0] += 1
        return raises(errno.EAGAIN) if moves[0] % 3 == 0 else max(64, count // 2 // 64 * 64)

    world.transfers.answer = answer
    for _ in range(20):
        for side in world.sides:
            assert side.send()
    world.drain()
    world.go_on(1.0)
    world.check_books()
    assert all(side.running for side in world.sides)
    assert world.host.mover.figures.retries > 10 and world.host.mover.figures.halts == 0


def test_device_that_goes_is_said_so_and_asked_no_more(world: MoverWorld) -> None:
    world.transfers.answer = lambda what, address, count: raises(errno.ENODEV)
    world.go_on(0.5)
    assert world.host.alive.state is LinkState.GONE
    assert "is gone (No such device): was the card removed" in world.host.alive.reason
    asked = len(world.transfers.log)
    world.go_on(0.5)
    assert len(world.transfers.log) == asked
    with pytest.raises(WindowUnavailable):
        world.host.mover.publish()


def test_memory_that_reads_as_all_ones_is_a_card_that_is_gone(world: MoverWorld) -> None:
    world.card_map[:] = b"\xff" * WINDOW
    world.go_on(0.5)
    assert world.host.alive.state is LinkState.GONE and world.host.alive.reason_code is LinkReason.DEVICE_GONE
    assert "all ones" in world.host.alive.reason
