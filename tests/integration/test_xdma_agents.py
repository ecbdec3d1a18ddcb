"""Real agents on either side of a DMA driver's devices, which files stand for (``xdma_lab.py``)."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.engine_restarts import KEEP, start_both
from tests.harness.fake_board import FakeBoard
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.programs import VNETCARD, X86, run
from tests.harness.restarts import OUTAGE, ping, ping_suite
from tests.harness.traffic import pinging
from tests.harness.xdma_lab import ADDRESS, SIZE, XdmaLab
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    return FakeBoard(tmp_path)


@pytest.fixture
def lab(board: FakeBoard) -> Iterator[XdmaLab]:
    with XdmaLab(board) as lab:
        yield lab
    for path in lab.hosts_memory():
        path.unlink()
        raise AssertionError(f"{path} was left behind")


def test_every_size_crosses_in_both_directions_and_the_ledgers_balance(lab: XdmaLab) -> None:
    start_both(lab)
    ping_suite(lab)
    host, card = assert_ledgers_balance(lab)
    assert host["engine"]["state"] == "run" and host["engine"]["halts"] == 0
    assert card["engine"] is None, "the card's side needs no support for the copier"
    shown = run([*VNETCARD, "status", "--window", lab.url])
    assert shown.status == 0, shown.stderr
    assert f"engine    DMA copier over {lab.memory.parent}/xdma0_*_0, 1 MiB at {ADDRESS:#x}" in shown.stdout
    info = run([*VNETCARD, "info", f"xdma:0@{ADDRESS:#x}"])
    assert info.status == 0 and str(lab.agent(L.CARD).pid) in info.stdout, "info shows the card's memory"


@pytest.fixture
def run_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of this test's own for the control sockets, whose paths have to be short."""
    with tempfile.TemporaryDirectory(prefix="vnc-") as folder:
        monkeypatch.setenv("VNETCARD_RUN_DIR", folder)
        yield


@pytest.mark.usefixtures("run_dir")
def test_trace_joins_both_ends_and_says_that_the_copier_writes_no_events(lab: XdmaLab) -> None:
    """Each side has the window under a URL of its own; the peer's is found there, as on a board: it is the only one."""
    start_both(lab)
    command = [*VNETCARD, "trace", "--window", lab.url, "--peer", f"env PATH={Path(sys.executable).parent}:/usr/bin"]
    with pinging(lab):
        shown = run([*command, "--count", "4", "icmp"])
        summary = run([*command, "--count", "20", "--summary", "icmp"])
    assert (shown.status, shown.stderr) == (0, "")
    assert "  card    peek" in shown.stdout and "  delivered\n" in shown.stdout
    for words in (shown.stdout, summary.stdout):
        assert "note: the DMA copier over " in words
        assert " writes no events: its time is part of wake-up, or of in the ring\n" in words


def test_card_waits_for_the_host_and_either_may_stop_and_return(lab: XdmaLab) -> None:
    start_both(lab)
    for side in (L.CARD, L.HOST, L.CARD):
        assert lab.stop(side) == 0
        assert lab.wait_for(1 - side, "waiting")["link"]["reason"] == "the peer has stopped"
        lab.start(side)
        lab.wait_up()
        ping(lab, side)


def test_killed_agents_come_back_and_their_ledgers_continue(lab: XdmaLab) -> None:
    start_both(lab, *KEEP)
    sent = 0
    for side in (L.HOST, L.CARD, L.HOST):
        ping(lab, side)
        lab.stop(side, signal.SIGKILL)
        lab.start(side, *KEEP)
        lab.wait_up()
        ping(lab, 1 - side)
        view = assert_ledgers_balance(lab, allow=OUTAGE)[L.HOST]
        before, sent = sent, view["balance"][L.HOST]["sent"]
        assert sent > before, "a killed agent lost its counters"


def test_card_whose_memory_is_lost_gets_a_new_window(lab: XdmaLab) -> None:
    """A card that was switched off and on: its agent and its memory are gone, the host's agent lives on."""
    start_both(lab, *KEEP)
    lab.stop(L.CARD, signal.SIGKILL)
    with lab.memory.open("r+b") as memory:
        os.pwrite(memory.fileno(), bytes(SIZE), ADDRESS)
    lab.wait_for(L.HOST, "waiting")
    lab.start(L.CARD, *KEEP)
    lab.wait_up()
    ping(lab, L.CARD)


def test_unloaded_driver_is_reported_and_awaited(lab: XdmaLab) -> None:
    start_both(lab, *KEEP)
    device = lab.memory.parent / "xdma0_c2h_0"
    device.rename(lab.memory.parent / "away")
    view = lab.wait_for(L.HOST, "gone")
    assert "xdma0_c2h_0" in view["link"]["reason"]
    lab.wait_for(L.CARD, "waiting")
    (lab.memory.parent / "away").rename(device)
    lab.wait_up()
    ping(lab, L.HOST)


def test_device_without_a_driver_is_one_line_and_status_2(board: FakeBoard) -> None:
    outcome = run([*X86, "--window", "xdma:7@0x80000000"])
    assert outcome.status == 2 and outcome.stderr.count("\n") == 1
    assert "dev/xdma7_h2c_0 (No such file or directory): load the xdma driver" in outcome.stderr
