"""``vnetcard demo`` interrupted at any moment leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness.programs import demo_processes, demo_traces
from tests.harness.restarts import GENEROUS, chance, end_quietly, spread, until

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(1800)]

LASTS_S = 1.2
"""A moment longer than the demo with one ping a size takes, so that some signals meet its clean-up."""

OURS = re.compile(r'/cli/main\.py", line \d+, in main$', re.MULTILINE)
"""A traceback with this word is ours, not one of Python's own start."""


def start_demo(said: Path) -> subprocess.Popen[str]:
    """A demo in a process group of its own, as a shell starts it."""
    command = [sys.executable, "-m", "vnetcard.cli.main", "demo", "--count", "1"]
    with said.open("w") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, text=True, start_new_session=True)


def interrupt(demo: subprocess.Popen[str], number: int, *, group: bool) -> float:
    """Signal the demo, or as a terminal does its whole group; seconds to its end."""
    began = time.monotonic()
    (os.killpg if group else os.kill)(demo.pid, number)
    demo.wait(GENEROUS)
    return time.monotonic() - began


def assert_no_trace(demo: subprocess.Popen[str], said: str, when: str) -> None:
    deadline = time.monotonic() + 20
    # Agents end a moment after the demo when it dies itself.
    while left := demo_traces(demo.pid) + demo_processes(demo.pid):
        assert time.monotonic() < deadline, f"{when}: {left}\n{said}"
        time.sleep(0.02)


SIGNALS = [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, False)]


@pytest.mark.parametrize(
    "tries",
    [pytest.param(8, id="normal"), pytest.param(80, id="campaign", marks=pytest.mark.campaign)],
)
@pytest.mark.parametrize(("number", "group"), SIGNALS, ids=["SIGINT", "Ctrl-C", "SIGTERM"])
def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path, tries: int, number: int, group: bool) -> None:
    rng, times = chance(), []
    file = tmp_path / "said"
    for _ in range(tries):
        delay = rng.uniform(0.0, LASTS_S)
        when = f"signal {number} after {delay:.3f} s"
        demo = start_demo(file)
        try:
            time.sleep(delay)
            times.append(interrupt(demo, number, group=group))
            assert_no_trace(demo, file.read_text(), when)
            said = file.read_text()
            assert "Traceback" not in said or not OURS.search(said), f"{when}: {said}"
        finally:
            end_quietly([demo])
    spread("an interrupted demo ends", times)


def test_next_demo_removes_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    killed, other = start_demo(tmp_path / "killed"), Path(f"/dev/shm/vnetcard-demo-{os.getpid()}")
    try:
        other.touch()  # that of a demo that still runs
        until(
            lambda: "link up" in (tmp_path / "killed").read_text() or killed.poll() is not None, "the demo has a link"
        )
        assert killed.poll() is None, (tmp_path / "killed").read_text()
        interrupt(killed, signal.SIGKILL, group=False)
        until(lambda: not demo_processes(killed.pid), "its agents end with it")
        assert demo_traces(killed.pid), "nothing was left to be removed, so the test shows nothing"
        following = start_demo(tmp_path / "following")
        assert following.wait(GENEROUS) == 0
        assert "removed what a killed demo had left: vnetcard-demo-" in (tmp_path / "following").read_text()
        assert_no_trace(killed, (tmp_path / "following").read_text(), "after the next demo")
        assert other.exists()
    finally:
        end_quietly([killed])
        other.unlink()
