"""Real agents that drive an engine by mapped registers, each with memory of its own; the board is a mock."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.engine_restarts import KEEP, start_both
from tests.harness.fake_board import FakeBoard
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, ping, ping_suite
from tests.harness.soft_board import ADDRESSES, SoftBoard, soft_board
from tests.harness.traffic import pinging
from vnetcard.agent.control import ask
from vnetcard.lab.lab import ADDRESSES as IP
from vnetcard.lab.lab import Lab
from vnetcard.ping.suite import Target, run_suite
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root


class BoardLab(Lab):
    """A ``Lab`` whose sides name two windows."""

    def __init__(self, board: SoftBoard) -> None:
        self.urls = board.urls
        super().__init__("board", window=board.urls[L.HOST], log=sys.stderr)

    def start(self, side: int, *options: str) -> None:
        super().start(side, "--window", self.urls[side], *options)

    def status(self, side: int) -> dict[str, Any]:
        return ask(self.urls[side], side, "status")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    return FakeBoard(tmp_path)


@pytest.fixture
def board(tree: FakeBoard) -> Iterator[SoftBoard]:
    with soft_board(tree) as board:
        yield board


@pytest.fixture
def lab(board: SoftBoard) -> Iterator[Lab]:
    with BoardLab(board) as lab:
        yield lab


def assert_all_crosses(lab: Lab, board: SoftBoard) -> None:
    ping_suite(lab)
    for side, view in enumerate(assert_ledgers_balance(lab)):
        assert f"window of 1 MiB at {ADDRESSES[side]:#x}" in view["engine"]["engine"]
        assert view["engine"]["tx"]["bytes"] > 0 and view["engine"]["fault"] is None
    host, card = board.memories
    ring = L.rings_offset(1)
    assert host.read(ring, L.LINE) == card.read(ring, L.LINE) != bytes(L.LINE), "the engine carried it"


def test_every_size_crosses_in_both_directions_and_the_ledgers_balance(lab: Lab, board: SoftBoard) -> None:
    start_both(lab)
    assert_all_crosses(lab, board)


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "by calls"])
def test_registers_behind_xdma_serve_as_well_and_its_events_end_the_pumps_sleep(tree: FakeBoard, mapped: bool) -> None:
    with soft_board(tree, host="xdma", mapped=mapped) as board, BoardLab(board) as lab:
        # In place of the device there is this process's memory, which only a process with all capabilities may open.
        start_both(lab, "--wait", "sleep", "--privileges", "keep")
        view = lab.status(L.HOST)
        assert view["window"]["futex_wake"], "the pumps sleep until an interrupt"
        mapping = Path(f"/proc/{lab.agent(L.HOST).pid}/maps").read_text()
        assert ("xdma0_user" in mapping) is mapped
        assert_all_crosses(lab, board)
        assert late_wakeups(lab, L.HOST) < PINGS / 2, "the host's pump was not woken, but polled"
        irq = lab.status(L.HOST)["engine"]["irq"]
        assert irq["interrupts"] > 0 and irq["problem"] == ""
        device = tree.root / "dev/xdma0_user"
        device.rename(tree.root / "away")
        assert "xdma0_user is gone" in lab.wait_for(L.HOST, "gone")["link"]["reason"]
        (tree.root / "away").rename(device)
        lab.wait_up()
        lab.stop(L.HOST, signal.SIGKILL)
        lab.start(L.HOST)
        lab.wait_up()
        ping(lab, L.CARD)
        assert lab.stop(L.HOST) == 0


PINGS = 9


def late_wakeups(lab: Lab, side: int) -> int:
    """How often the receiving pump of ``side`` found a ping by polling; pings are farther apart than it sleeps."""

    def late() -> int:
        return int(lab.status(side)["sides"][side]["rx"]["rx_late_wakeups"])

    before = late()
    target = Target(IP[side], netns=lab.namespaces[1 - side])
    (result,) = run_suite([target], [56], count=PINGS, interval=0.15, timeout=10.0)
    assert result.ok, result
    return late() - before


def test_killed_agents_take_the_engine_over_where_it_stands(lab: Lab) -> None:
    start_both(lab, *KEEP)
    for side in (L.HOST, L.CARD):
        ping(lab, side)
        lab.stop(side, signal.SIGKILL)
        lab.start(side, *KEEP)
        lab.wait_up()
        ping(lab, 1 - side)
    assert_ledgers_balance(lab, allow=OUTAGE)


def test_halt_is_reported_and_recovered_from(lab: Lab, board: SoftBoard) -> None:
    start_both(lab)
    board.engine.broken = lambda what, side, at: (what, side) == ("read", L.HOST) and at >= L.rings_offset(1)
    with pinging(lab):  # a link without packets does not meet the fault again
        view = lab.wait_for(L.HOST, "halted")
    assert f"READ, a read failed at bus address {ADDRESSES[L.HOST] + L.rings_offset(1):#x}" in view["link"]["reason"]
    board.engine.broken = lambda *_: False
    lab.wait_up()
    ping(lab, L.CARD)
