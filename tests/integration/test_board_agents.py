"""Real agents that drive an engine by mapped registers, each with memory of its own; a mock is the board."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakeboard import FakeBoard
from ledger import assert_books_balance
from restarts import OUTAGE, ping, ping_suite
from sim_kills import KEEP, start_both
from softboard import ADDRESSES, SoftBoard, soft_board

from vnetcard import layout as L
from vnetcard.control import ask
from vnetcard.lab import Lab

pytestmark = pytest.mark.root


class BoardLab(Lab):
    """A ``Lab`` whose sides name two windows."""

    def start(self, side: int, *options: str) -> None:
        super().start(side, "--window", SoftBoard.url(side), *options)

    def status(self, side: int) -> dict[str, Any]:
        return ask(SoftBoard.url(side), side, "status")


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftBoard]:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    with soft_board(FakeBoard(tmp_path)) as board:
        yield board


@pytest.fixture
def lab(board: SoftBoard) -> Iterator[Lab]:
    with BoardLab("board", window=SoftBoard.url(L.HOST), log=sys.stderr) as lab:
        yield lab


def test_every_size_crosses_both_ways_and_the_books_balance(lab: Lab, board: SoftBoard) -> None:
    start_both(lab)
    ping_suite(lab)
    for side, view in enumerate(assert_books_balance(lab)):
        assert f"window of 1 MiB at {ADDRESSES[side]:#x}" in view["engine"]["engine"]
        assert view["engine"]["tx"]["bytes"] > 0 and view["engine"]["fault"] is None
    host, card = board.memories
    ring = L.rings_offset(1)
    assert host.read(ring, L.LINE) == card.read(ring, L.LINE) != bytes(L.LINE), "the engine carried it"


def test_killed_agents_take_the_engine_over_where_it_stands(lab: Lab) -> None:
    start_both(lab, *KEEP)
    for side in (L.HOST, L.CARD):
        ping(lab, side)
        lab.stop(side, signal.SIGKILL)
        lab.start(side, *KEEP)
        lab.wait_up()
        ping(lab, 1 - side)
    assert_books_balance(lab, allow=OUTAGE)


def test_halt_is_told_and_mended(lab: Lab, board: SoftBoard) -> None:
    start_both(lab)
    board.engine.broken = lambda what, side, at: (what, side) == ("read", L.HOST) and at >= L.rings_offset(1)
    with pytest.raises(AssertionError):
        ping(lab, L.HOST, count=1, limit=1, tries=1)
    view = lab.wait_for(L.HOST, "halted")
    assert f"READ, a read failed at bus address {ADDRESSES[L.HOST] + L.rings_offset(1):#x}" in view["link"]["reason"]
    board.engine.broken = lambda *_: False
    lab.wait_up()
    ping(lab, L.CARD)
