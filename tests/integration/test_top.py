"""`vnetcard top`, driven and read in a terminal of 80 columns and 24 lines by tmux."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.programs import VNETCARD, run, stop
from tests.harness.terminal import Terminal
from tests.harness.traffic import interface_down
from vnetcard.lab.lab import Lab, run_in
from vnetcard.observe.screen import KEYS
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vnc-top-") as name:  # tmp_path is too long for a socket
        yield Path(name)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("top") as lab:
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        yield lab


@pytest.fixture
def top(lab: Lab, folder: Path) -> Iterator[Terminal]:
    terminal = Terminal(folder, [*VNETCARD, "top", "--window", lab.url, "--interval", "0.5"])
    try:
        yield terminal
    finally:
        terminal.command("kill-server")


def test_top_shows_both_directions_and_reacts_to_its_keys(lab: Lab, top: Terminal) -> None:
    top.wait_for(r"PING host to card: last [\d.]+")
    lines = top.wait(lambda lines: any("run: both sides have answered" in line for line in lines))
    assert lines[23].rstrip() == KEYS
    assert max(map(len, lines)) <= 80
    assert any(re.match(r"H2C +host to card +C2H +card to host", line) for line in lines)

    flood = subprocess.Popen(
        run_in(lab.namespaces[L.HOST], ["ping", "-f", "-s", "1400", "10.10.10.5"]), stdout=subprocess.DEVNULL
    )
    try:
        top.wait_for(r"rate +[\d.]+ [MG]bit/s +rate +[\d.]+ [MG]bit/s")
    finally:
        flood.terminate()
        flood.wait()

    top.press("p")
    top.wait_for(r"PAUSED")
    top.press("p")
    top.press("-")
    top.wait_for(r"every 0\.2 s")
    top.press("+")
    top.press("+")
    top.wait_for(r"every 1 s")
    top.press("q")
    top.wait_for(r"ended with status 0")


def test_top_shows_a_drop_its_cause_and_an_agent_that_leaves(lab: Lab, top: Terminal) -> None:
    top.wait_for(r"ERRORS none")
    ping = run_in(lab.namespaces[L.HOST], ["ping", "-q", "-c", "1", "-W", "1", "10.10.10.5"])
    with interface_down(lab, L.CARD, lambda: subprocess.run(ping, check=False, capture_output=True)):
        top.wait_for(r"ERRORS card drop_port_down \d+")
        top.wait_for(r"CAUSE  interface-down")
    lab.stop(L.CARD)
    top.wait_for(r"host: DOWN")
    top.wait_for(r"card: no agent on this machine")
    lab.stop(L.HOST)
    top.wait_for(r"no agent for shm:\S+ answers")
    top.press("q")
    top.wait_for(r"ended with status 0")


def test_top_shows_its_keys_in_a_small_terminal(lab: Lab, folder: Path) -> None:
    command = [*VNETCARD, "top", "--window", lab.url, "--no-ping"]
    terminal = Terminal(folder, command, columns=60, rows=12)
    try:
        terminal.wait_for(r"H2C  host to card")
        lines = terminal.wait(lambda lines: lines[-1].startswith("q quit"))
        assert len(lines) == 12
        terminal.press("q")
        terminal.wait_for(r"ended with status 0")
    finally:
        terminal.command("kill-server")


def test_top_reacts_to_keys_while_an_agent_is_stopped(lab: Lab, top: Terminal) -> None:
    top.wait_for(r"PING host to card: last")
    stop(lab.agent(L.CARD))
    try:
        top.wait_for(r"CAUSE  agent-unresp")
        top.press("p")
        top.wait_for(r"PAUSED")
        began = time.monotonic()
        top.press("q")
        top.wait_for(r"ended with status 0")
        assert time.monotonic() - began < 4.5, "it waited for the stopped agent"
    finally:
        lab.agent(L.CARD).send_signal(signal.SIGCONT)


def test_top_without_a_terminal_says_so_in_one_line(lab: Lab) -> None:
    done = run([*VNETCARD, "top", "--window", lab.url], env={"TERM": "xterm"})
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "needs a terminal" in done.stderr


def test_top_in_an_unknown_terminal_says_so_in_one_line(lab: Lab, folder: Path) -> None:
    command = ["env", "TERM=vnc-no-such", *VNETCARD, "top", "--window", lab.url, "--no-ping"]
    terminal = Terminal(folder, command)
    try:
        terminal.wait_for(r"ended with status 2")
        assert "cannot use this terminal" in " ".join(terminal.lines())
    finally:
        terminal.command("kill-server")


def test_top_leaves_no_ping_behind(lab: Lab, top: Terminal) -> None:
    top.wait_for(r"PING host to card: last")
    top.press("q")
    top.wait_for(r"ended with status 0")
    found = subprocess.run(["ip", "netns", "pids", lab.namespaces[L.HOST]], capture_output=True, text=True, check=True)
    commands = [
        Path(f"/proc/{pid}/comm").read_text().strip() for pid in found.stdout.split() if pid != str(os.getpid())
    ]
    assert "ping" not in commands
