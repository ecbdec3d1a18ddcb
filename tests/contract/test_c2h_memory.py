"""``?c2h=``: the rings of c2h in a second memory, which both sides must name, and which must be the same for both."""

from __future__ import annotations

import contextlib

import pytest

from tests.contract.device_place import ADDRESS, SIZE
from tests.harness.fake_board import FakeBoard
from vnetcard.errors import ConfigError, LayoutMismatch, VnetcardError, WindowNotReady, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo
from vnetcard.ring.window_dump import view_window
from vnetcard.window import open_window, read_window

URL = "pci:auto?c2h=udmabuf:c2h"


@pytest.fixture
def there(board: FakeBoard) -> FakeBoard:
    """A card's BAR and two buffers of the host; the second is another one than the host's agent uses."""
    board.ivshmem(size=SIZE)
    board.udmabuf("c2h", size=SIZE, address=ADDRESS)
    board.udmabuf("other", size=SIZE, address=ADDRESS + SIZE)
    board.udmabuf("small", size=SIZE // 2, address=ADDRESS + 2 * SIZE)
    return board


def test_records_of_c2h_are_in_the_second_memory_and_those_of_h2c_in_the_bar(there: FakeBoard) -> None:
    bar, beside = there.root / "sys/bus/pci/devices/0000:00:02.0/resource2", there.root / "dev/c2h"
    with (
        contextlib.closing(open_window(URL, side=L.HOST)) as host,
        contextlib.closing(open_window(URL, side=L.CARD)) as card,
    ):
        assert host.geometry == card.geometry and host.geometry.c2h_beside
        assert host.geometry.ring_bytes == SIZE // 2, "each ring has a memory of its own"
        for direction, ends in (("h2c", (host, card)), ("c2h", (card, host))):
            with (
                contextlib.closing(Fifo(ends[0].memory, host.geometry, direction, role="producer")) as sender,
                contextlib.closing(Fifo(ends[1].memory, host.geometry, direction, role="consumer")) as receiver,
            ):
                payload = f"a record of {direction}".encode() * 20
                sender.reset()
                receiver.reset()
                assert sender.try_push(payload)
                for file, here in ((bar, direction == "h2c"), (beside, direction == "c2h")):
                    assert (payload in file.read_bytes()) == here, f"{direction} in {file}"
                assert receiver.try_pop() == payload
    assert view_window(URL, read_window(URL))["problems"] == []


def test_card_waits_while_its_second_memory_is_not_the_hosts(there: FakeBoard) -> None:
    with contextlib.closing(open_window(URL, side=L.HOST)):
        with pytest.raises(WindowNotReady, match="does the bridge's outbound window lead to that memory"):
            open_window("pci:auto?c2h=udmabuf:other", side=L.CARD)
        with contextlib.closing(open_window(URL, side=L.CARD)) as card:
            assert card.vanished() is None
            (there.root / "dev/c2h").write_bytes(bytes(SIZE))
            assert "does not show what the host writes" in (card.vanished() or "")


def test_host_writes_its_mark_again(there: FakeBoard) -> None:
    with contextlib.closing(open_window(URL, side=L.HOST)) as host:
        (there.root / "dev/c2h").write_bytes(bytes(SIZE))
        assert host.vanished() is None
        open_window(URL, side=L.CARD).close()


def test_window_that_is_read_without_it_is_a_problem_in_words(there: FakeBoard) -> None:
    open_window(URL, side=L.HOST).close()
    problems = view_window("pci:auto", read_window("pci:auto"))["problems"]
    assert problems == ["the window's c2h rings are in a memory beside it: name that by the option ?c2h="]


def test_both_sides_must_name_it(there: FakeBoard) -> None:
    with (
        contextlib.closing(open_window(URL, side=L.HOST)),
        pytest.raises(WindowNotReady, match=r"name that by.*\?c2h="),
    ):
        open_window("pci:auto", side=L.CARD)
    with contextlib.closing(open_window("pci:auto", side=L.HOST)) as host:
        assert "are in a memory beside it" in host.notes[0], "it is laid out again, and says why"
        with pytest.raises(WindowNotReady, match=r"in the window itself, not in another memory \(\?c2h=\)"):
            open_window(URL, side=L.CARD)


def test_second_memory_has_one_host(there: FakeBoard) -> None:
    there.function("0000:00:05.0", ids=(0x1AF4, 0x1110), bars={2: (SIZE, 0x14220C)})
    with contextlib.closing(open_window("pci:00:02.0?c2h=udmabuf:c2h", side=L.HOST)):
        with pytest.raises(WindowUnavailable, match=r"the host side of udmabuf:c2h"):
            open_window("pci:00:05.0?c2h=udmabuf:c2h", side=L.HOST)
        open_window("pci:00:05.0?c2h=udmabuf:other", side=L.HOST).close()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("auto?c2h", "no option 'c2h'"),
        ("auto?c2h=", "invalid c2h=: write c2h=KIND:PLACE, KIND one of mem, udmabuf, uio"),
        ("auto?c2h=shm:x", "invalid c2h=shm:x"),
        ("auto?c2h=udmabuf:none", "no u-dma-buf 'none'"),
        ("auto?c2h=mem:0x30000800", "not the start of a page"),
        (
            "auto?c2h=udmabuf:small",
            "u-dma-buf small has 32 KiB; for the c2h rings it needs as much as the window, 64 KiB",
        ),
        ("auto?c2h=uio:77", "uio"),
    ],
)
def test_wrong_second_memory_is_refused(there: FakeBoard, place: str, words: str) -> None:
    there.physical(start=ADDRESS, size=SIZE)
    with pytest.raises(VnetcardError) as caught:
        open_window(f"pci:{place}", side=L.HOST)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert isinstance(caught.value, (ConfigError, WindowUnavailable, LayoutMismatch))
