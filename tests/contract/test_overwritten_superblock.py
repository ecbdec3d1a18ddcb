"""The superblock of an open window is overwritten: it heals, and no side loses its window."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator

import pytest

from tests.contract.device_place import Place
from tests.contract.test_device_window_contract import KINDS
from tests.harness.fake_board import FakeBoard
from tests.unit.c_build import seed
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry
from vnetcard.ring.sideblock import SideBlock
from vnetcard.window import Window, open_window, superblock
from vnetcard.window.superblock import PAUSE_MAX, Superblock

LIMIT = 30.0
ANOTHER = Geometry.plan(64 << 10, queue_bytes=4096, queues=2, instance=99, removable=True).encode()
DAMAGES = {
    "zeros": bytes(64),
    "everything": bytes(0x1000),
    "noise": random.Random(seed()).randbytes(128),
    "ones": b"\xff" * 64,
    "magic": b"VNETCRD2",
    "another version": ANOTHER[:8] + bytes([9, 0, 0, 0, 9, 0, 0, 0]) + ANOTHER[16:64],
    "another layout": ANOTHER,
}


@pytest.fixture(params=["shm", "memfd", "file", "check"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Window, Window]]:
    name = f"vnetcard-superblock-{os.getpid()}"
    url = f"file:{tmp_path_factory.mktemp('w')}/w" if request.param == "file" else f"{request.param}:{name}"
    with (
        contextlib.closing(open_window(f"{url}+64K", side=L.HOST)) as host,
        contextlib.closing(open_window(url, side=L.CARD)) as card,
    ):
        yield host, card


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred seconds pass in one, for the superblock alone."""
    monkeypatch.setattr(superblock, "monotonic", lambda: 100 * time.monotonic())


def header(window: Window) -> bytes:
    return window.memory.read(0, HEADER_BYTES)[:128]


def until_restored(windows: tuple[Window, ...], good: bytes) -> None:
    deadline = time.monotonic() + LIMIT
    while header(windows[0]) != good:
        assert time.monotonic() < deadline, header(windows[0])[:64].hex()
        assert [window.vanished() for window in windows] == [None] * len(windows)
        time.sleep(0.02)
    assert any("overwrote the superblock" in window.restored() for window in windows)  # type: ignore[attr-defined]


def test_superblock_is_restored_and_no_window_is_lost(pair: tuple[Window, Window]) -> None:
    good = header(pair[0])
    for damage in DAMAGES.values():
        pair[1].memory.write(0, damage)
        pair[1].memory.load32(0)
        until_restored(pair, good)


@pytest.mark.parametrize("survivor", [L.HOST, L.CARD])
def test_agent_that_starts_waits_until_the_other_one_has_restored_the_superblock(survivor: int) -> None:
    url = f"shm:vnetcard-superblock-{os.getpid()}"
    with contextlib.closing(open_window(f"{url}+64K", side=survivor)) as window:
        good, seen = header(window), []
        SideBlock(window.memory, survivor).store("epoch", 5)
        window.memory.write(0, bytes(128))

        def pulse() -> None:  # the survivor's agent, meanwhile
            seen.append(window.vanished())

        with contextlib.closing(open_window(url, side=1 - survivor, pulse=pulse)) as late:
            assert header(late) == good
            assert late.geometry == window.geometry
        assert seen and set(seen) == {None}


class Scribbler:
    """The superblock in plain memory, and a clock, under a program that overwrites it all the time."""

    def __init__(self, window: Window, side: int, damage: Callable[[], bytes]) -> None:
        self.now, self.window, self.damage = 1000.0, window, damage
        self.superblock = Superblock(window.memory, side, window.geometry)
        self.restored = 0

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.window.memory.write(0, self.damage())
            assert self.superblock.check()
            self.restored += bool(self.superblock.restored())
            self.now += 0.1


@pytest.mark.parametrize("side", [L.HOST, L.CARD])
def test_endless_scribbles_are_restored_less_and_less_often(
    pair: tuple[Window, Window], side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, good = random.Random(seed()), header(pair[side])
    scribbler = Scribbler(pair[side], side, lambda: dice.randbytes(64))
    monkeypatch.setattr(superblock, "monotonic", lambda: scribbler.now)
    scribbler.run(60)
    assert 60 / (PAUSE_MAX + 2) <= scribbler.restored <= 16
    scribbler.now += PAUSE_MAX
    while header(pair[side]) != good:
        assert scribbler.superblock.check()
        scribbler.now += 0.1


def test_side_whose_layout_was_replaced_by_a_running_peer_opens_the_window_again(pair: tuple[Window, Window]) -> None:
    host, card = pair
    other = Geometry.decode(ANOTHER.ljust(HEADER_BYTES, b"\0"), 64 << 10)
    card.memory.write(0, ANOTHER)
    SideBlock(card.memory, L.CARD).store("layout", other.checksum)
    assert "laid out again" in str(host.vanished())
    assert host.restored() == ""  # type: ignore[attr-defined]


# --- device memory ---------------------------------------------------------------------------------------


@pytest.fixture
def device_place(board: FakeBoard) -> Place:
    return KINDS["mem"](board)


def test_superblock_of_device_memory_is_restored(device_place: Place) -> None:
    with contextlib.closing(device_place.open(L.HOST)) as host, contextlib.closing(device_place.open(L.CARD)) as card:
        good = header(host)
        for damage in (words for name, words in DAMAGES.items() if name != "ones"):  # that is a device that is gone
            card.memory.write(0, damage)
            until_restored((host, card), good)


def test_card_restores_it_while_no_host_runs(device_place: Place) -> None:
    device_place.open(L.HOST).close()
    with contextlib.closing(device_place.open(L.CARD)) as card:
        good = header(card)
        card.memory.write(0, DAMAGES["noise"])
        until_restored((card,), good)
        with contextlib.closing(device_place.open(L.HOST)) as host:
            assert host.geometry == card.geometry
