"""Counters in a window that another program overwrites: noticed and written again, or begun again with a mark."""

from __future__ import annotations

import contextlib
import random
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from tests.unit.c_build import seed
from tests.unit.memories import KINDS
from tests.unit.pump_harness import LEDGERS, Host
from vnetcard._core import Memory
from vnetcard.ring import layout as L
from vnetcard.ring.counters import read_end
from vnetcard.ring.link_counters import checksum, read_link_counters
from vnetcard.ring.sideblock import SideBlock

SLOT, ENDS = L.LEDGER_SLOT_BYTES, (("h2c", True), ("c2h", False))
Scribble = Callable[[Memory, int, random.Random], None]
"""Overwrites the ledger at an offset."""


def settled(memory: Memory) -> bool:
    tx, rx = (read_end(memory, direction, tx=tx) for direction, tx in ENDS)
    counted = tx.ledger["tx_sent"] == 5 and rx.ledger["rx_delivered"] == 4
    return counted and bool(tx.stats["publications"] and rx.stats["publications"])


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    host = Host(kind=request.param)
    host.begin(1, 2)
    host.take(5)
    host.deliver(4)
    deadline = time.monotonic() + 20
    while not settled(host.peer):  # a packet arrives before it is counted
        assert time.monotonic() < deadline
        time.sleep(0.001)
    yield host
    host.close()


def fill(memory: Memory, at: int, words: list[int]) -> None:
    for n, word in enumerate(words):
        memory.store64(at + 8 * n, word)


def zeros(memory: Memory, at: int, _: random.Random) -> None:
    fill(memory, at, [0] * 32)


def ones(memory: Memory, at: int, _: random.Random) -> None:
    fill(memory, at, [2**64 - 1] * 32)


def noise(memory: Memory, at: int, dice: random.Random) -> None:
    fill(memory, at, [dice.getrandbits(64) for _ in range(32)])


def text(memory: Memory, at: int, _: random.Random) -> None:
    fill(memory, at, list(struct.unpack("<32Q", b"What a stray DMA may carry here.".ljust(256, b"."))))


def one_word_of_both(memory: Memory, at: int, dice: random.Random) -> None:
    word = dice.randrange(4, 14)
    for slot in (0, SLOT):
        memory.store64(at + slot + 8 * word, memory.load64(at + slot + 8 * word) + 1)


def stamps(memory: Memory, at: int, _: random.Random) -> None:
    fill(memory, at, [77])
    fill(memory, at + SLOT, [76])


def swapped_words(memory: Memory, at: int, _: random.Random) -> None:
    for slot in (at, at + SLOT):
        one, other = memory.load64(slot + 32), memory.load64(slot + 40)
        memory.store64(slot + 32, other)
        memory.store64(slot + 40, one)


SCRIBBLES = (zeros, ones, noise, text, one_word_of_both, stamps, swapped_words)


def counted(memory: Memory) -> list[dict[str, int]]:
    return [read_end(memory, direction, tx=tx).ledger for direction, tx in ENDS]


def restored(host: Host) -> tuple[int, int]:
    """Ask until the pumps have gone over it: in checked memory stores arrive late."""
    deadline = time.monotonic() + 20
    while not (found := host.endpoints.check_counters())[0]:
        assert time.monotonic() < deadline
    return found


@pytest.mark.parametrize("scribble", SCRIBBLES)
def test_running_pumps_restore_counters_that_were_overwritten(host: Host, scribble: Scribble) -> None:
    before, dice = counted(host.memory), random.Random(seed())
    assert host.endpoints.check_counters() == (0, 0)
    for at in LEDGERS:
        scribble(host.peer, at, dice)
    host.peer.load32(0)
    assert restored(host)[1] == 0
    assert counted(host.memory) == before
    assert [ledger["tx_taken" if tx else "rx_received"] for ledger, (_, tx) in zip(before, ENDS, strict=True)] == [5, 4]
    while host.endpoints.check_counters() != (0, 0):  # in checked memory the second end's may come later
        pass
    host.take(2)
    assert counted(host.memory)[0]["tx_taken"] == 7


def test_statistics_and_batches_are_restored(host: Host) -> None:
    before = [read_end(host.memory, direction, tx=tx) for direction, tx in ENDS]
    ones(host.peer, LEDGERS[0] + 2 * SLOT - 128, random.Random(1))  # the second slot, and the statistics after it
    host.peer.store64(L.queue_offset(0) + L.QUEUE_BATCHES["h2c_tx"], 2**63)
    restored(host)
    after = [read_end(host.memory, direction, tx=tx) for direction, tx in ENDS]
    assert [end.ledger for end in after] == [end.ledger for end in before]
    assert max([*after[0].stats.values(), *after[0].batches.values()]) < 2**62


@contextlib.contextmanager
def successor(host: Host, scribble: Scribble) -> Iterator[Host]:
    """Another host over a copy of the window with overwritten ledgers, as after a kill; its pumps are closed."""
    host.endpoints.hold()
    copy, dice = Host(kind="coherent"), random.Random(seed())
    copy.endpoints.close()
    copy.memory.write(0, host.memory.read(0, 0x1000))
    for at in LEDGERS:
        scribble(copy.memory, at, dice)
    yield copy
    copy.close()


@pytest.mark.parametrize("scribble", SCRIBBLES)
def test_successor_begins_again_with_a_mark_instead_of_garbage(host: Host, scribble: Scribble) -> None:
    with successor(host, scribble) as again:
        assert [again.memory.ledger_ruined(at) or scribble is zeros for at in LEDGERS] == [True, True]
        again.reopen()
        assert again.endpoints.check_counters() == (0, 2)
        assert [max(ledger.values()) for ledger in counted(again.memory)] == [0, 0]
        again.begin(3, 4)
        again.take(3)
        assert counted(again.memory)[0]["tx_taken"] == 3
        assert not any(again.memory.ledger_ruined(at) for at in LEDGERS)


def test_successor_goes_on_one_update_earlier_where_only_the_last_one_is_ruined(host: Host) -> None:
    def newer(memory: Memory, at: int, dice: random.Random) -> None:
        slot = at if memory.load64(at) > memory.load64(at + SLOT) else at + SLOT
        fill(memory, slot, [2**63 + dice.getrandbits(62) for _ in range(16)])

    with successor(host, newer) as again:
        again.reopen()
        assert again.endpoints.check_counters() == (2, 0)
        assert [next(iter(ledger.values())) for ledger in counted(again.memory)] == [4, 3]


def test_ledger_of_older_software_is_taken_over_as_it_is(host: Host) -> None:
    """Older software carries the last word along as it finds it, or leaves it 0."""

    def older(memory: Memory, at: int, dice: random.Random) -> None:
        word = dice.choice([0, 2**63 + 5])
        newest = at if memory.load64(at) > memory.load64(at + SLOT) else at + SLOT
        memory.store64(newest + 8 * 4, memory.load64(newest + 8 * 4) + 90)
        for slot in (at, at + SLOT):
            memory.store64(slot + 8 * L.LEDGER_CHECKSUM, word)

    with successor(host, older) as again:
        assert not any(again.memory.ledger_ruined(at) for at in LEDGERS)
        again.reopen()
        assert again.endpoints.check_counters() == (0, 0)
        assert [next(iter(ledger.values())) for ledger in counted(again.memory)] == [95, 94]


# --- the side block --------------------------------------------------------------------------------------


def words_at(memory: Memory) -> int:
    return L.side_offset(L.HOST) + L.LINK_COUNTERS_OFFSET


def test_side_block_is_written_again_word_by_word(host: Host) -> None:
    block = SideBlock(host.memory, L.HOST)
    block.write_identity()
    block.store("mtu", 1500)
    block.store("features", 3)
    block.store64("final_records", 9)
    block.count("link_up")
    assert block.restore() == ()
    host.peer.write(L.side_offset(L.HOST), bytes(L.SIDE_BYTES))
    host.peer.load32(0)
    assert set(block.restore()) == {"mtu", "features", "identity", "link counters", "final_records"}
    assert block.restore() == ()
    assert (block.load("mtu"), block.counters()["link_up"], block.identity().pid > 0) == (1500, 1, True)
    assert host.memory.load64(L.side_offset(L.HOST) + L.SIDE_CONTROL.offset("final_records")) == 9


def test_ruined_link_counters_begin_again_with_a_mark(host: Host) -> None:
    memory = host.memory
    SideBlock(memory, L.HOST).count("link_up", 7)
    fill(memory, words_at(memory), [2**63 + 7 * n for n in range(48)])
    assert read_link_counters(memory, L.HOST)[1]
    again = SideBlock(memory, L.HOST)
    again.count("link_up")
    assert (again.counters()["link_up"], again.counters()["ledger_restarted"]) == (1, 1)
    assert not read_link_counters(memory, L.HOST)[1]


@pytest.mark.parametrize("stores", range(4))
def test_killed_owner_leaves_whole_link_counters(host: Host, stores: int) -> None:
    memory = host.memory
    SideBlock(memory, L.HOST).count("link_up", 7)
    before = memory.words(words_at(memory), 48)
    SideBlock(memory, L.HOST).count("link_up")
    after = memory.words(words_at(memory), 48)
    order = [24, 47, 0, 23][:stores]  # the stores of one count
    fill(memory, words_at(memory), [after[n] if n in order else word for n, word in enumerate(before)])
    counters, ruined = read_link_counters(memory, L.HOST)
    assert (counters["link_up"] in (7, 8), ruined) == (True, False)


def test_link_counters_of_older_software_are_taken_over(host: Host) -> None:
    memory = host.memory
    fill(memory, words_at(memory), [5, 4, *[0] * 46])
    again = SideBlock(memory, L.HOST)
    again.count("link_up")
    assert (again.counters()["link_up"], again.counters()["ledger_restarted"]) == (6, 0)
    memory.store64(words_at(memory), 100)  # older software counts on in the first copy alone
    again = SideBlock(memory, L.HOST)
    again.count("link_up")
    assert (again.counters()["link_up"], again.counters()["ledger_restarted"]) == (101, 0)
    words = memory.words(words_at(memory), L.LINK_SLOT_WORDS)
    assert words[-1] == checksum(words)
