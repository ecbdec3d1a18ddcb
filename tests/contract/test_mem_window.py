"""``mem:``: how physical memory is found, and how a wrong place is refused."""

from __future__ import annotations

import contextlib

import pytest

from tests.contract.device_place import ADDRESS, SIZE, Place
from tests.harness.fake_board import FakeBoard
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import VnetcardError
from vnetcard.ring import layout as L
from vnetcard.window import open_window


def test_physical_memory_is_found_by_its_address(board: FakeBoard) -> None:
    file = board.physical(start=ADDRESS, size=SIZE)
    with contextlib.closing(open_window(f"mem:{ADDRESS:#x}+64K", side=L.HOST)) as window:
        assert window.url == f"mem:{ADDRESS:#x}"
    assert Place("", file, ADDRESS).content[:8] == b"VNETCRD1"


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ("0x30000000", ErrorCode.BAD_URL, r"mem:0x30000000\+SIZE"),
        ("0x30000800+64K", ErrorCode.BAD_URL, "not the start of a page"),
        ("0xfff0000+64K", ErrorCode.WINDOW_BUSY, r"System RAM \(00001000-0fffffff\).*reserve"),
        ("0x30000000+48K", ErrorCode.WINDOW_SIZE, "a power of two"),
        ("cma", ErrorCode.WINDOW_UNMAPPABLE, "no property no-map"),
        ("odd", ErrorCode.DEVICE_BROKEN, "reg of .* is too short"),
        ("nothing", ErrorCode.WINDOW_MISSING, "'nothing'.*found: cma, odd"),
    ],
)
def test_wrong_physical_memory_is_refused(board: FakeBoard, place: str, code: ErrorCode, message: str) -> None:
    board.physical(start=ADDRESS, size=SIZE)
    board.reserved("cma", start=ADDRESS, size=SIZE, no_map=False)
    (board.reserved("odd", start=ADDRESS, size=SIZE) / "reg").write_bytes(b"short")
    with pytest.raises(VnetcardError, match=message) as caught:
        open_window(f"mem:{place}", side=L.HOST)
    assert caught.value.code is code


def test_two_places_of_physical_memory_are_two_windows(board: FakeBoard) -> None:
    board.physical(start=ADDRESS, size=2 * SIZE)
    urls = [f"mem:{ADDRESS:#x}+64K", f"mem:{ADDRESS + SIZE:#x}+64K"]
    with contextlib.closing(open_window(urls[0], side=L.HOST)), contextlib.closing(open_window(urls[1], side=L.HOST)):
        pass
