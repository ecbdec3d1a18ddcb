"""Agents over device memory: the host lays the BAR out, the card waits for it, and both survive what happens to it.

The BAR is a file (``fake_board``, a mock); real ones are in tests/e2e.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.fake_board import FakeBoard
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import need
from tests.harness.pings import run_pings
from tests.harness.programs import FPGA, LIMIT, VNETCARD, as_nobody, home_of_nobody, run, started
from tests.harness.restarts import OUTAGE
from tests.harness.traffic import V4
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ping.suite import Target
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    return FakeBoard(tmp_path)


def device_lab(board: FakeBoard, window: str) -> Lab:
    for tool in ("ip", "ping"):
        need(tool)
    board.ivshmem(size=1 << 20, on=False)
    board.udmabuf("c2h", size=1 << 20, address=0x4000_0000)
    return Lab("device", window=window)


@pytest.fixture
def lab(board: FakeBoard) -> Iterator[Lab]:
    with device_lab(board, "pci:auto") as lab:
        yield lab


@pytest.fixture(params=["pci:auto", "pci:auto?c2h=udmabuf:c2h", "check:vnc-agents-{pid}+1M"])
def any_lab(board: FakeBoard, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A BAR that permits every access, alone and with a memory of the host's; and memory that enforces the rules."""
    with device_lab(board, request.param.format(pid=os.getpid())) as lab:
        yield lab


def ping_both_directions(lab: Lab) -> None:
    targets = [Target(V4[1 - side], lab.namespaces[side], L.DIRECTIONS[side]) for side in (L.HOST, L.CARD)]
    results = run_pings(targets, count=3)
    assert all(result.ok for result in results), [result for result in results if not result.ok]


def test_every_size_crosses_and_the_ledgers_balance(any_lab: Lab) -> None:
    lab = any_lab
    lab.start(L.HOST)
    lab.start(L.CARD)
    lab.wait_up()
    ping_both_directions(lab)
    assert_ledgers_balance(lab)
    assert lab.status(L.HOST)["link"]["wake"] == "this window's memory allows no futex"


def test_killed_agents_find_their_window_again(any_lab: Lab) -> None:
    lab = any_lab
    lab.start(L.HOST)
    lab.start(L.CARD)
    for side in (L.HOST, L.CARD, L.HOST, L.CARD):
        lab.wait_up()
        lab.stop(side, 9)
        lab.start(side)
    lab.wait_up()
    ping_both_directions(lab)


def sent(lab: Lab) -> int:
    """Packets that both sides have sent so far."""
    return sum(side["tx"]["tx_sent"] for side in lab.status(L.HOST)["sides"])


def wait_for_load(lab: Lab) -> None:
    """Wait until the link is up and a hundred more packets have been sent."""
    lab.wait_up()
    before, deadline = sent(lab), time.monotonic() + LIMIT
    while sent(lab) < before + 100:
        assert time.monotonic() < deadline, "nothing moves"
        time.sleep(0.01)


def test_agents_killed_under_load_keep_their_ledgers(any_lab: Lab) -> None:
    lab = any_lab
    lab.start(L.HOST)
    lab.start(L.CARD)
    lab.wait_up()
    flood = run_in(lab.namespaces[L.HOST], ["ping", "-q", "-i", "0.002", "-s", "1400", "-w", "60", V4[L.CARD]])
    with started(flood):
        for side in (L.CARD, L.HOST, L.CARD):
            wait_for_load(lab)
            lab.stop(side, 9)
            lab.start(side)
        wait_for_load(lab)
    assert_ledgers_balance(lab, allow=OUTAGE)


def test_card_waits_for_the_host_and_reports_it(board: FakeBoard, netns_pair: tuple[str, str]) -> None:
    board.ivshmem()
    with started([*FPGA, "--window", "pci:auto", "--netns", netns_pair[1]]) as card:
        assert card.stderr is not None
        assert card.stdout is not None
        assert "waiting for the host's agent to lay the window out" in card.stderr.readline()
        with Lab("device-host", window="pci:auto") as lab:
            lab.start(L.HOST)
            assert " ready: " in card.stdout.readline()
            lab.wait_for(L.HOST, "run")
    assert card.wait(LIMIT) == 0


def test_card_that_waits_ends_cleanly(board: FakeBoard, netns_pair: tuple[str, str]) -> None:
    board.ivshmem()
    with started([*FPGA, "--window", "pci:auto", "--netns", netns_pair[1]]) as card:
        assert card.stderr is not None
        card.stderr.readline()
        card.terminate()
        assert card.wait(LIMIT) == 0


def test_removed_card_comes_back(lab: Lab, board: FakeBoard) -> None:
    lab.start(L.HOST)
    lab.start(L.CARD)
    lab.wait_up()
    function = board.root / "sys/bus/pci/devices/0000:00:02.0"
    function.rename(board.root / "pulled")
    memory = board.root / "pulled" / "resource2"
    os.truncate(memory, 0)  # as when the kernel removes the mapping: each access raises SIGBUS
    for side in (L.HOST, L.CARD):
        lab.wait_for(side, "gone")
    os.truncate(memory, 1 << 20)  # it lost its power
    (board.root / "pulled").rename(function)
    lab.wait_up()
    ping_both_directions(lab)


def test_memory_that_is_not_ours_is_one_line_and_status_2() -> None:
    with home_of_nobody() as home:
        function = FakeBoard(home).ivshmem()
        for name in ("resource2", "resource2_wc"):
            (function / name).chmod(0o600)
        outcome = run(as_nobody([*FPGA, "--window", "pci:auto"]), env={"VNETCARD_SYSROOT": str(home)})
    assert outcome.status == 2
    assert "no permission for" in outcome.stderr
    assert "resource2" in outcome.stderr
    assert "udev rule" in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("place", "what"),
    [("pci:auto", "no card that is known"), ("pci:77:00.0", "no PCI function 0000:77:00.0"), ("pci:x", "pci:auto")],
)
def test_wrong_card_is_one_line_and_status_2(board: FakeBoard, place: str, what: str) -> None:
    for command in ([*FPGA, "--window", place], [*VNETCARD, "info", place]):
        outcome = run(command)
        assert outcome.status == 2
        assert what in outcome.stderr
        assert len(outcome.stderr.splitlines()) == 1
