"""``uio:``: how a map is found, and what is said of a wrong one."""

from __future__ import annotations

import contextlib

import pytest

from tests.contract.device_place import SIZE
from tests.harness.fake_board import FakeBoard
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.window import open_window


@pytest.mark.parametrize("place", ["0", "uio0", "shared", "shared/0"])
def test_uio_map_is_found_by_every_name_of_it(board: FakeBoard, place: str) -> None:
    file = board.uio(0, "shared", size=SIZE)
    open_window(f"uio:{place}", side=L.HOST).close()
    assert file.read_bytes()[:8] == b"VNETCRD1"


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("5", WindowUnavailable, r"no UIO device '5'; there is uio0 \(shared\)"),
        ("shared/1", WindowUnavailable, r"no map 1; it has 0 \(64 KiB\)"),
        ("shared/x", ConfigError, "a map is a number"),
        ("twin", ConfigError, "uio1, uio2 have that name"),
        ("uio3", WindowUnavailable, "does not start at a page"),
    ],
)
def test_wrong_uio_map_is_said(board: FakeBoard, place: str, error: type[Exception], message: str) -> None:
    board.uio(0, "shared", size=SIZE)
    board.uio(1, "twin", size=SIZE)
    board.uio(2, "twin", size=SIZE)
    board.uio(3, "crooked", size=SIZE, offset=64)
    with pytest.raises(error, match=message):
        open_window(f"uio:{place}", side=L.HOST)


def test_uio_device_that_went_is_noticed(board: FakeBoard) -> None:
    board.uio(0, "shared", size=SIZE)
    with contextlib.closing(open_window("uio:shared", side=L.HOST)) as window:
        (board.root / "sys/class/uio/uio0").rename(board.root / "gone")
        assert window.vanished() == "UIO device uio0 is gone"
