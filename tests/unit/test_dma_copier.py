"""The copier in software: the order of its copies, its checks of the card's values, and failed transfers."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable

import pytest

from tests.unit.copier_harness import BASE, LINE, RINGS, CopierHarness, used_link
from tests.unit.link_harness import GEOMETRY, MTU, WINDOW, Side
from vnetcard.codes.link import LinkReason
from vnetcard.errors import WindowUnavailable
from vnetcard.link.types import LinkState, Offer
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry
from vnetcard.x86_side.xdma.dma_copier import CONS_AFTER

CSUM = L.FEATURES["CSUM"]
HOST_BLOCK, CARD_BLOCK = L.side_offset(L.HOST), L.side_offset(L.CARD)


@pytest.fixture
def harness() -> CopierHarness:
    return used_link()


def log(side: Side) -> str:
    return "\n".join(side.journal.lines)


def in_ring(direction: str, at: int) -> bool:
    ring = RINGS[direction]
    return ring.offset <= at < ring.offset + ring.size


def raises(number: int) -> int:
    raise OSError(number, os.strerror(number))


# --- the order of what crosses -----------------------------------------------------------------------------


def test_records_are_copied_before_their_index_in_two_spans_at_most(harness: CopierHarness) -> None:
    while RINGS["h2c"].size - harness.host.copier.stats.tx.moved % RINGS["h2c"].size > 1024:
        assert harness.host.send()
        harness.drain()
    harness.transfers.log.clear()
    assert all(harness.host.send() for _ in range(30)), "30 records of 64 bytes, around the end of the ring"
    harness.carry()
    writes = [at for what, at, _ in harness.transfers.log if what == "write"]
    first, second, index = writes[:3]
    ring = RINGS["h2c"]
    assert ring.offset < first and second == ring.offset and index == LINE["h2c_prod"]
    assert sum(count for what, at, count in harness.transfers.log if what == "write" and in_ring("h2c", at)) == 30 * 64


def test_both_rings_wrap_many_times(harness: CopierHarness) -> None:
    for _ in range(3 * RINGS["h2c"].size // (20 * 64)):
        for side in harness.sides:
            assert all(side.send() for _ in range(20))
        harness.drain()
    harness.check_ledgers()
    harness.go_on(2 * CONS_AFTER, step=CONS_AFTER)
    for direction in (harness.host.copier.stats.tx, harness.host.copier.stats.rx):
        assert direction.bytes > 2 * RINGS["h2c"].size and direction.moved == direction.freed


def test_side_block_is_copied_in_two_writes_its_epochs_with_the_second(harness: CopierHarness) -> None:
    seen: list[tuple[bytes, bytes]] = []
    before = bytes(harness.card_map[HOST_BLOCK : HOST_BLOCK + L.LINE])

    def check() -> None:
        now = bytes(harness.card_map[HOST_BLOCK : HOST_BLOCK + L.LINE])
        if not seen or seen[-1] != (now[:8], now[8:]):
            seen.append((now[:8], now[8:]))

    harness.transfers.before = check
    harness.host.alive.withdraw(CSUM, "the test wants it")
    check()
    assert seen[0][0] == before[:8] and seen[-1][0][:4] == harness.host.alive.epoch.to_bytes(4, "little")
    changes = [(one, next_one) for one, next_one in itertools.pairwise(seen) if one[0] != next_one[0]]
    assert len(changes) >= 2, "answered = 0, and then the new epoch"
    for (_, rest), (_, next_rest) in changes:
        assert rest == next_rest, "the other words must arrive before the epochs that cover them"


def test_indices_in_the_card_are_reset_before_the_answer_is_visible(harness: CopierHarness) -> None:
    harness.card.crash()
    harness.card.start()
    answered = HOST_BLOCK + 4

    def check() -> None:
        if int.from_bytes(harness.card_map[answered : answered + 4], "little") == harness.card.alive.epoch:
            for line in ("h2c_prod", "c2h_cons"):
                assert not any(harness.card_map[LINE[line] : LINE[line] + 4])

    harness.transfers.before = check
    harness.go_on()
    assert harness.host.running and harness.card.running


def test_card_that_restarts_between_two_transfers_is_always_noticed() -> None:
    """Whatever the transfer before which it happens; likewise for a side that only begins a new epoch."""

    def restart_after_crash(harness: CopierHarness) -> None:
        harness.card.crash()
        harness.card.start()

    def restart_after_stop(harness: CopierHarness) -> None:
        harness.card.stop()
        harness.card.start()

    kinds: dict[str, Callable[[CopierHarness], object]] = {
        "card restarts": restart_after_crash,
        "card restarts the link": lambda harness: harness.card.alive.withdraw(CSUM, "the test wants it"),
        "card stops": restart_after_stop,
    }
    for kind, happens in kinds.items():
        for when in range(40):
            harness = CopierHarness(Offer(CSUM, MTU), Offer(CSUM, MTU))
            harness.start()
            assert all(harness.card.send() for _ in range(20)) and all(harness.host.send() for _ in range(20))
            harness.drain()
            assert all(harness.card.send() for _ in range(9)) and all(harness.host.send() for _ in range(9))
            left = [when]

            def strike(
                harness: CopierHarness = harness, left: list[int] = left, happens: Callable[..., object] = happens
            ) -> None:
                left[0] -= 1
                if left[0] == -1:
                    happens(harness)

            harness.transfers.before = strike
            harness.go_on(0.5)
            assert left[0] < 0, "there were not that many transfers"
            harness.go_on(1.0)
            assert harness.host.running and harness.card.running, f"{kind} ahead of transfer {when}"
            harness.drain()
            harness.check_ledgers()
            for side in harness.sides:
                count = side.counters()
                harm = {name: count[name] for name in count if name.startswith("viol_") or name == "engine_halt"}
                assert not any(harm.values()), f"{kind} ahead of transfer {when}: {harm}"
            assert harness.host.copier.stats.halts == 0, f"{kind} ahead of transfer {when}"


def test_restarted_host_forgets_the_cards_indices(harness: CopierHarness) -> None:
    assert all(harness.card.send() for _ in range(5))
    harness.drain()
    harness.host.alive.withdraw(CSUM, "the test wants it")
    assert harness.host.memory.load32(LINE["c2h_prod"]) == harness.host.memory.load32(LINE["h2c_cons"]) == 0
    harness.go_on()
    harness.drain()
    assert all(side.running for side in harness.sides)


# --- coming up and going -----------------------------------------------------------------------------------


def test_host_lays_out_blank_memory_and_the_card_finds_that_window() -> None:
    harness = CopierHarness(blank=True)
    magics: list[int] = []
    harness.transfers.before = lambda: magics.append(int.from_bytes(harness.card_map[:8], "little"))
    harness.host.start()
    harness.go_on(0.1)
    found = Geometry.decode(bytes(harness.card_map[:HEADER_BYTES]), WINDOW)
    assert found.rings == GEOMETRY.rings and not found.removable
    first = magics.index(L.MAGIC)
    assert harness.transfers.log[first - 1] == ("write", 0, L.LINE), "the magic comes last"
    harness.card.start()
    harness.go_on()
    assert harness.host.running and harness.card.running


def test_window_of_the_wanted_geometry_is_reused(harness: CopierHarness) -> None:
    before = bytes(harness.card_map[: 2 * L.LINE])
    harness.host.crash()
    harness.host.start()
    harness.go_on()
    assert harness.host.running and bytes(harness.card_map[: 2 * L.LINE]) == before


def test_card_that_loses_its_memory_gets_a_new_window(harness: CopierHarness) -> None:
    harness.card.crash()
    harness.card_map[:] = bytes(WINDOW)
    harness.go_on(0.1)
    assert harness.host.alive.state is LinkState.WAITING
    harness.card.start()
    harness.go_on()
    assert harness.host.running and harness.card.running


FOREIGN = b"data of another program".ljust(128, b".")
DAMAGED = GEOMETRY.encode()[:70] + b"\1" + GEOMETRY.encode()[71:]


def test_foreign_memory_is_refused_and_left_alone() -> None:
    harness = CopierHarness(blank=True)
    harness.card_map[: len(FOREIGN)] = FOREIGN
    before = bytes(harness.card_map)
    harness.host.start()
    harness.go_on(3.0)
    assert "CONFIG, in the card's memory at 0x80000000: no vnetcard window here" in log(harness.host)
    assert "?format" in log(harness.host)
    assert bytes(harness.card_map) == before


@pytest.mark.parametrize("format_any", [False, True])
@pytest.mark.parametrize("contents", [DAMAGED, FOREIGN, b"\xff" * 1024], ids=["damaged", "foreign", "all ones"])
def test_unused_window_is_laid_out_again_and_foreign_contents_on_demand_only(contents: bytes, format_any: bool) -> None:
    harness = CopierHarness(blank=True)
    harness.card_map[: len(contents)] = contents
    harness.host.format_any = format_any
    with contextlib.suppress(WindowUnavailable):
        harness.host.start()
    harness.go_on(3.0)
    laid_out_again = bytes(harness.card_map[:8]) == L.MAGIC.to_bytes(8, "little")
    assert laid_out_again == (format_any or contents is DAMAGED)


def test_damaged_window_of_a_running_card_is_left_alone() -> None:
    harness = CopierHarness(blank=True)
    harness.card_map[: len(DAMAGED)] = DAMAGED
    harness.card.start()
    harness.host.start()
    harness.go_on(3.0)
    assert "damaged" in log(harness.host) and "the card's agent uses it" in log(harness.host)
    assert bytes(harness.card_map[: len(DAMAGED)]) == DAMAGED


def test_stop_is_seen_by_the_card_at_once_and_nothing_moves_afterwards(harness: CopierHarness) -> None:
    harness.host.stop()
    harness.card.tick()
    assert harness.card.alive.state is LinkState.WAITING
    before = bytes(harness.card_map)
    assert not harness.host.copier.step()
    assert bytes(harness.card_map) == before


def test_ledgers_of_both_sides_are_in_both_memories(harness: CopierHarness) -> None:
    harness.go_on(1.0)
    for side in (L.HOST, L.CARD):
        at, counters = L.side_offset(side) + L.LINE, L.SIDE_BYTES - L.LINE
        here, there = (each.memory.read(at, counters) for each in harness.sides)
        assert here == there and any(here)


# --- values that are refused -------------------------------------------------------------------------------


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
    harness: CopierHarness, line: str, value: int, words: str
) -> None:
    before = harness.host.memory.load32(LINE[line])
    harness.transfers.log.clear()
    harness.card_map[LINE[line] : LINE[line] + 4] = value.to_bytes(4, "little")
    harness.carry()
    assert harness.host.memory.load32(LINE[line]) == before, "the index reached the pump"
    harness.host.copier.publish()
    assert "write" not in {what for what, _, _ in harness.transfers.log}, "after a halt something crossed"
    harness.go_on(0.15)
    assert f"link halted: the DMA copier halted: {words}" in log(harness.host)
    harness.go_on(2.0)
    assert all(side.running for side in harness.sides) and harness.host.counters()["engine_halt"] == 1


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
    harness: CopierHarness, what: str, where: Callable[[int], bool], words: str
) -> None:
    harness.transfers.answer = lambda kind, address, count: (
        raises(errno.EIO) if kind == what and where(address - BASE) else count
    )
    for side in harness.sides:
        side.send()
    harness.go_on(0.25)
    assert "the DMA copier halted: " in log(harness.host) and words in log(harness.host)
    harness.go_on(2.0)
    assert not harness.host.running or harness.host.counters()["engine_halt"] > 0
    harness.transfers.answer = lambda kind, address, count: count
    harness.go_on(8.0)
    assert all(side.running for side in harness.sides)
    for side in harness.sides:
        assert side.send()
    harness.drain()
    harness.check_ledgers()


def test_short_and_busy_channels_only_cost_time(harness: CopierHarness) -> None:
    moves = [0]

    def answer(what: str, address: int, count: int) -> int:
        moves[0] += 1
        return raises(errno.EAGAIN) if moves[0] % 3 == 0 else max(64, count // 2 // 64 * 64)

    harness.transfers.answer = answer
    for _ in range(20):
        for side in harness.sides:
            assert side.send()
    harness.drain()
    harness.go_on(1.0)
    harness.check_ledgers()
    assert all(side.running for side in harness.sides)
    assert harness.host.copier.stats.retries > 10 and harness.host.copier.stats.halts == 0


def test_removed_device_is_reported_and_not_accessed_again(harness: CopierHarness) -> None:
    harness.transfers.answer = lambda what, address, count: raises(errno.ENODEV)
    harness.go_on(0.5)
    assert harness.host.alive.state is LinkState.GONE
    assert "is gone (No such device): was the card removed" in harness.host.alive.reason
    asked = len(harness.transfers.log)
    harness.go_on(0.5)
    assert len(harness.transfers.log) == asked
    with pytest.raises(WindowUnavailable):
        harness.host.copier.publish()


def test_memory_that_reads_as_all_ones_is_a_card_that_is_gone(harness: CopierHarness) -> None:
    harness.card_map[:] = b"\xff" * WINDOW
    harness.go_on(0.5)
    assert harness.host.alive.state is LinkState.GONE and harness.host.alive.reason_code is LinkReason.DEVICE_GONE
    assert "all ones" in harness.host.alive.reason
