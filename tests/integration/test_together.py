"""Agents that start at the same instant, too many agents, and windows and interfaces that are deleted in use."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import (
    GENEROUS,
    OUTAGE,
    Handshake,
    end_quietly,
    left_behind,
    ping,
    ping_suite,
    shm_path,
    spread,
    until,
)
from vnetcard.agent.config import PROGRAMS
from vnetcard.lab.lab import MODULES, Lab
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with (tmp_path / "log").open("w+") as log, Lab("together", log=log) as lab:
        yield lab


def one_has_ended(agents: list[subprocess.Popen[str]]) -> bool:
    return any(agent.poll() is not None for agent in agents)


def runs_with_other_epochs(lab: Lab, epochs: object) -> bool:
    """Whether the link is up, and its epochs are not ``epochs``."""
    return Handshake(lab).running() and Handshake(lab).epochs() != epochs


def spawn(lab: Lab, side: int, log: Path | None = None) -> subprocess.Popen[str]:
    """Start an agent and do not wait for it."""
    command = [sys.executable, "-m", MODULES[side], "--window", lab.window, "--netns", lab.namespaces[side]]
    with contextlib.ExitStack() as stack:
        err = stack.enter_context(log.open("w")) if log else subprocess.DEVNULL
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err, text=True)


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(30, id="normal"),
        pytest.param(200, id="campaign", marks=(pytest.mark.campaign, pytest.mark.timeout(1800))),
    ],
)
def test_both_started_at_the_same_instant(lab: Lab, times: int) -> None:
    """Each time the link comes up, over one window, and a clean end leaves nothing."""
    handshake, took = Handshake(lab), []
    for number in range(times):
        began = time.monotonic()
        both = [spawn(lab, side) for side in ((0, 1) if number % 2 else (1, 0))]
        try:
            took.append(until(handshake.running, "the link is up") - began)
            inodes = {
                Path(f"/proc/{agent.pid}/map_files/{line.split()[0]}").stat().st_ino
                for agent in both
                for line in Path(f"/proc/{agent.pid}/maps").read_text().splitlines()
                if lab.url.removeprefix("shm:") in line
            }
            assert inodes == {shm_path(lab).stat().st_ino}, "one window, made once"
            for agent in both:
                agent.terminate()
            assert [agent.wait(GENEROUS) for agent in both] == [0, 0]
        finally:
            end_quietly(both)
    assert left_behind(lab) == []
    spread("from the start of both to a link that runs", took)


def test_third_agent_names_the_process_that_has_its_side(lab: Lab, tmp_path: Path) -> None:
    for side in (L.HOST, L.CARD):
        lab.start(side)
    lab.wait_up()
    log = tmp_path / "third"
    third = spawn(lab, L.CARD, log)
    assert third.wait(GENEROUS) == 2
    assert f"process {lab.agent(L.CARD).pid}" in log.read_text()
    assert log.read_text().count("\n") == 1
    ping_suite(lab, (56,))
    assert_ledgers_balance(lab)


def test_of_three_started_at_once_one_is_refused(lab: Lab, tmp_path: Path) -> None:
    """Two agents for the host's side: the later one is refused with the pid of the other, and the link comes up."""
    for _ in range(10):
        hosts = [spawn(lab, L.HOST, tmp_path / name) for name in ("a", "b")]
        everybody = [*hosts, spawn(lab, L.CARD)]
        try:
            until(Handshake(lab).running, "the link is up")
            until(partial(one_has_ended, hosts), "one is refused")
            loser = 0 if hosts[0].poll() is not None else 1
            said = (tmp_path / "ab"[loser]).read_text()
            assert hosts[loser].wait() == 2
            named = re.search(r"by process (\d+)", said)
            assert named, said
            assert int(named[1]) == hosts[1 - loser].pid
            for agent in everybody:
                agent.terminate()
            assert hosts[1 - loser].wait(GENEROUS) == everybody[2].wait(GENEROUS) == 0
        finally:
            end_quietly(everybody)
    assert left_behind(lab) == []


def test_link_returns_when_the_window_is_deleted(lab: Lab) -> None:
    for side in (L.HOST, L.CARD):
        lab.start(side)
    lab.wait_up()
    for _ in range(3):
        before = Handshake(lab).epochs()
        shm_path(lab).unlink()
        began = time.monotonic()
        until(partial(runs_with_other_epochs, lab, before), "a new window")
        lab.wait_up()
        print(f"up again {time.monotonic() - began:.2f} s after the window was deleted")
        for side in (L.HOST, L.CARD):
            ping(lab, side)
        assert_ledgers_balance(lab, allow=OUTAGE)
    assert [lab.stop(side) for side in (L.HOST, L.CARD)] == [0, 0]
    assert left_behind(lab) == []


def test_link_returns_when_one_side_restarts_over_a_deleted_window(lab: Lab) -> None:
    """Deleted, and one side restarted before the other has noticed."""
    for side in (L.HOST, L.CARD):
        lab.start(side)
    lab.wait_up()
    for side in (L.HOST, L.CARD):
        shm_path(lab).unlink()
        lab.stop(side)
        lab.start(side)
        lab.wait_up()
        ping(lab, side)
    assert_ledgers_balance(lab, allow=OUTAGE)


@pytest.mark.parametrize("side", [L.HOST, L.CARD])
def test_a_deleted_interface_ends_its_agent_with_one_clear_line(lab: Lab, tmp_path: Path, side: int) -> None:
    lab.start(1 - side)
    log = tmp_path / "agent"
    agent = spawn(lab, side, log)
    try:
        until(Handshake(lab).running, "the link is up")
        lab.wait_open()
        subprocess.run(["ip", "-n", lab.namespaces[side], "link", "del", "tun0"], check=True)
        assert agent.wait(GENEROUS) == 1
    finally:
        end_quietly([agent])
    said = log.read_text()
    assert "Traceback" not in said
    assert [line for line in said.splitlines() if "error" in line.lower()] == [
        f"{PROGRAMS[side]}: error: interface tun0 was deleted while the agent used it"
    ]
    lab.wait_for(1 - side, "waiting")
    lab.start(side)
    lab.wait_up()
    ping(lab, side)
