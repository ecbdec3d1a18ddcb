"""``uio:``: how a map is found, and how a wrong one is refused."""

from __future__ import annotations

import contextlib

import pytest

from tests.contract.device_place import SIZE
from tests.harness.fake_board import FakeBoard
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import VnetcardError
from vnetcard.ring import layout as L
from vnetcard.window import open_window


@pytest.mark.parametrize("place", ["0", "uio0", "shared", "shared/0"])
def test_uio_map_is_found_by_every_name_of_it(board: FakeBoard, place: str) -> None:
    file = board.uio(0, "shared", size=SIZE)
    open_window(f"uio:{place}", side=L.HOST).close()
    assert file.read_bytes()[:8] == b"VNETCRD1"


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ("5", ErrorCode.WINDOW_MISSING, r"'5' \(found: uio0 \(shared\)"),
        ("shared/1", ErrorCode.WINDOW_MISSING, r"no map 1; it has 0 \(64 KiB\)"),
        ("shared/x", ErrorCode.BAD_URL, "write uio:shared/0"),
        ("twin", ErrorCode.AMBIGUOUS_DEVICE, "uio1, uio2"),
        ("uio3", ErrorCode.WINDOW_UNMAPPABLE, "map 0 of uio3"),
    ],
)
def test_wrong_uio_map_is_refused(board: FakeBoard, place: str, code: ErrorCode, message: str) -> None:
    board.uio(0, "shared", size=SIZE)
    board.uio(1, "twin", size=SIZE)
    board.uio(2, "twin", size=SIZE)
    board.uio(3, "crooked", size=SIZE, offset=64)
    with pytest.raises(VnetcardError, match=message) as caught:
        open_window(f"uio:{place}", side=L.HOST)
    assert caught.value.code is code


def test_uio_device_that_went_is_noticed(board: FakeBoard) -> None:
    board.uio(0, "shared", size=SIZE)
    with contextlib.closing(open_window("uio:shared", side=L.HOST)) as window:
        (board.root / "sys/class/uio/uio0").rename(board.root / "gone")
        assert window.vanished() == "UIO device uio0 is gone"
