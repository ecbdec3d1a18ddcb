"""Windows in device memory keep the promises of any window; the host lays them out, and the card attaches.

The devices are files (``fake_board``, a mock); a new kind is one line in KINDS.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.contract.device_place import ADDRESS, SIZE, Place
from tests.harness.fake_board import FakeBoard
from vnetcard._core import Memory
from vnetcard.errors import ConfigError, LayoutMismatch, WindowNotReady, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry
from vnetcard.testing import WINDOW_CHECKS, OpenWindow
from vnetcard.window import Window, read_window
from vnetcard.window.device import format_window


def _pci(board: FakeBoard) -> Place:
    return Place("pci:auto", board.ivshmem(size=SIZE) / "resource2")


def _mem(board: FakeBoard) -> Place:
    board.reserved(f"vnetcard@{ADDRESS:x}", start=ADDRESS, size=SIZE)
    return Place("mem:vnetcard", board.physical(start=ADDRESS, size=SIZE), ADDRESS)


def _uio(board: FakeBoard) -> Place:
    return Place("uio:shared-memory", board.uio(0, "shared-memory", size=SIZE))


def _udmabuf(board: FakeBoard) -> Place:
    return Place("udmabuf:shared-memory", board.udmabuf("shared-memory", size=SIZE, address=ADDRESS))


def _pci_and_c2h(board: FakeBoard) -> Place:
    board.udmabuf("c2h", size=SIZE, address=ADDRESS)
    return Place("pci:auto?c2h=udmabuf:c2h", board.ivshmem(size=SIZE) / "resource2")


KINDS: dict[str, Callable[[FakeBoard], Place]] = {
    "mem": _mem,
    "pci": _pci,
    "pci and c2h": _pci_and_c2h,
    "udmabuf": _udmabuf,
    "uio": _uio,
}


@pytest.fixture(params=sorted(KINDS))
def place(request: pytest.FixtureRequest, board: FakeBoard) -> Place:
    return KINDS[request.param](board)


@pytest.mark.parametrize("check", WINDOW_CHECKS, ids=lambda check: check.__name__)
def test_window_keeps_its_promise(place: Place, check: Callable[[OpenWindow], None]) -> None:
    place.open(L.HOST).close()  # the card can only attach to a window that is there
    check(place.open)


def test_card_waits_until_the_host_has_laid_the_window_out(place: Place) -> None:
    with pytest.raises(WindowNotReady, match=r"no vnetcard window.*waiting for the host"):
        place.open(L.CARD)
    with contextlib.closing(place.open(L.HOST)) as host, contextlib.closing(place.open(L.CARD)) as card:
        assert card.geometry == host.geometry
        assert host.geometry.window_bytes == SIZE


def test_card_never_writes_where_there_is_no_window(place: Place) -> None:
    content = os.urandom(SIZE)
    place.fill(content)
    with pytest.raises(WindowNotReady):
        place.open(L.CARD)
    assert place.content == content


def test_window_stays_when_all_have_gone_and_is_used_again(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST)) as host:
        first = host.geometry
    with contextlib.closing(place.open(L.HOST)) as host:
        assert host.geometry == first
        assert not host.notes


class Watched:
    """A memory that calls ``after`` after each of its stores."""

    def __init__(self, memory: Memory, after: Callable[[], None]) -> None:
        self._memory, self._after = memory, after

    def store64(self, offset: int, value: int) -> None:
        self._memory.store64(offset, value)
        self._after()

    def write(self, offset: int, data: bytes) -> None:
        for at in range(0, len(data), 8):
            self._memory.write(offset + at, data[at : at + 8])
            self._after()


def test_half_laid_out_window_is_none(place: Place) -> None:
    """Between any two stores a reader sees no window; at the end it sees the new one."""
    with contextlib.closing(place.open(L.HOST)) as host:
        old = host.geometry
        new = Geometry.plan(SIZE, queue_bytes=4096, instance=old.instance ^ 1, removable=False)
        seen: list[Geometry | None] = []

        def read() -> None:
            try:
                seen.append(Geometry.decode(place.content, SIZE))
            except LayoutMismatch:
                seen.append(None)

        format_window(Watched(host.memory, read), new)  # type: ignore[arg-type]
    assert seen[-1] == new
    assert set(seen[:-1]) == {None}


def test_host_killed_while_it_laid_out_is_no_obstacle(place: Place) -> None:
    place.open(L.HOST).close()
    place.fill(bytes(8))  # all is there but the magic
    with contextlib.closing(place.open(L.HOST)):
        place.open(L.CARD).close()


def test_memory_that_only_begins_with_zeros_is_foreign(place: Place) -> None:
    content = bytes(64) + os.urandom(SIZE - 64)
    place.fill(content)
    with pytest.raises(LayoutMismatch, match=r"\?format"):
        place.open(L.HOST)
    assert place.content == content


def test_stores_to_device_memory_wake_no_sleeper(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST)) as host:
        assert host.futex_wake is False


def test_foreign_contents_are_refused_and_unchanged_without_format(place: Place) -> None:
    content = os.urandom(SIZE)
    place.fill(content)
    with pytest.raises(LayoutMismatch, match=r"no vnetcard window here.*\?format"):
        place.open(L.HOST)
    assert place.content == content
    with contextlib.closing(place.open(L.HOST, "?format")) as host:
        assert any("laid out again" in note for note in host.notes)
        place.open(L.CARD).close()


def test_damaged_window_is_laid_out_again_and_reported(place: Place) -> None:
    place.open(L.HOST).close()
    place.fill(b"\xaa\xaa", L.SUPERBLOCK.offset("instance"))
    with contextlib.closing(place.open(L.HOST)) as host:
        assert any("damaged" in note for note in host.notes)


def test_window_that_a_card_uses_is_not_laid_out_again(place: Place) -> None:
    place.open(L.HOST, queue_bytes=4096).close()
    with contextlib.closing(place.open(L.CARD)) as card, _beating(card):
        with pytest.raises(LayoutMismatch, match=r"queues of 8 KiB.*the card's agent is using it"):
            place.open(L.HOST, queue_bytes=8192)
        assert card.vanished() is None


def test_host_lays_out_the_requested_queue_pairs_and_the_card_finds_them(place: Place) -> None:
    for queues in (2, None, 1):  # without a request it keeps the number that is there
        with (
            contextlib.closing(place.open(L.HOST, queues=queues)) as host,
            contextlib.closing(place.open(L.CARD)) as card,
        ):
            assert len(host.geometry.rings) == len(card.geometry.rings) == (1 if queues == 1 else 2)
    with contextlib.closing(place.open(L.CARD, queues=4)) as card:
        assert len(card.geometry.rings) == 1, "four at most"


def test_card_notices_that_the_window_was_laid_out_again(place: Place) -> None:
    place.open(L.HOST, queue_bytes=4096).close()
    with contextlib.closing(place.open(L.CARD)) as card, contextlib.closing(place.open(L.HOST, queue_bytes=8192)):
        assert "laid the window out again" in (card.vanished() or "")


def test_device_that_is_gone_is_reported(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST)) as host:
        place.fill(b"\xff" * SIZE)
        assert "all ones" in (host.vanished() or "")
    with pytest.raises(WindowUnavailable, match="all ones"):
        place.open(L.HOST)


def test_reading_disturbs_no_agent(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST)) as host:
        before = place.content
        copy = read_window(place.url)
        assert copy[:SIZE] == before
        assert Geometry.decode(copy[:HEADER_BYTES], len(copy), c2h_beside=None) == host.geometry
        assert read_window(place.url, 100) == before[:100]


def test_part_of_the_memory_can_be_asked_for(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST, "+32K")) as host:
        assert host.geometry.window_bytes == 32 << 10
        assert host.url == place.url


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("+128K", "asked for 128 KiB.*has 64 KiB"),
        ("+48K", "a power of two"),
        ("+8K", "16 KiB or more"),
        ("?fast", "no option 'fast'; known are"),
    ],
)
def test_impossible_request_is_bad_input(place: Place, options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        place.open(L.HOST, options)
    assert place.content == bytes(SIZE)


@contextlib.contextmanager
def _beating(card: Window) -> Iterator[None]:
    """A heartbeat, as the agent of ``card`` would show it."""
    over = threading.Event()
    at = L.side_offset(L.CARD) + L.SIDE_CONTROL.offset("heartbeat")

    def beat() -> None:
        while not over.wait(0.02):
            card.memory.store32(at, card.memory.load32(at) + 1)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
