"""The ARM64 build under qemu-user: its own tests, and joined with x86 processes by one shared memory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger import assert_books_balance
from restarts import OUTAGE, kill_and_restart, ping_suite

from vnetcard import layout as L
from vnetcard.lab import MODULES, Lab

pytestmark = [pytest.mark.arm64, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
FIFO_END = Path(__file__).with_name("fifo_end.py")
UNIT = ("test_fifo.py", "test_fifo_hostile.py", "test_link_handshake.py", "test_pump_ends.py")
TOO_SLOW = "not behaves_as_a_deque"
"""Thousands of examples; ring_model.c asks the same of the ARM64 ring in C."""
RECORDS = 6_000
HERE = [sys.executable]


def test_fifo_link_and_pump_tests_pass_as_arm64(arm64_python: list[str]) -> None:
    files = [str(ROOT / "tests/unit" / name) for name in UNIT]
    command = [*arm64_python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", TOO_SLOW, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=840, check=False)
    assert done.returncode == 0, done.stdout
    summary = re.search(r"(\d+) passed, 1 deselected in", done.stdout)
    assert summary is not None, done.stdout[-500:]
    assert int(summary[1]) > 200


@pytest.mark.parametrize("arm", [L.HOST, L.CARD], ids=["arm64 host", "arm64 card"])
def test_records_cross_between_x86_and_arm64(arm64_python: list[str], tmp_path: Path, arm: int) -> None:
    url = f"file:{tmp_path}/window+64K"
    ends = []
    try:
        for side in (L.HOST, L.CARD):
            python = arm64_python if side == arm else HERE
            command = [*python, str(FIFO_END), url, str(side), str(RECORDS)]
            ends.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        said = []
        for end in ends:
            assert end.stdout is not None
            said.append(end.stdout.readline())
    finally:
        for end in ends:
            end.communicate()
    assert said[arm] == "aarch64 ok\n"
    assert said[1 - arm] == f"{os.uname().machine} ok\n"
    assert [end.returncode for end in ends] == [0, 0]


@pytest.fixture
def lab(arm64_python: list[str]) -> Iterator[Lab]:
    """The card's agent is the ARM64 build."""
    with Lab("arm64") as lab:
        lab.commands[L.CARD] = [*arm64_python, "-m", MODULES[L.CARD]]
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        yield lab


@pytest.mark.root
def test_agents_of_two_architectures_ping_each_other_and_survive_kills(lab: Lab) -> None:
    core = Path(f"/proc/{lab.agent(L.CARD).pid}/maps").read_text()
    assert "aarch64-linux-gnu.so" in core
    ping_suite(lab)
    for sides in ((L.CARD,), (L.HOST,), (L.CARD, L.HOST)):
        kill_and_restart(lab, sides)
        lab.wait_up()
        ping_suite(lab, sizes=(56, 8000))
    assert lab.stop(L.CARD, signal.SIGTERM) == 0
    lab.wait_for(L.HOST, "waiting")
    assert_books_balance(lab, allow=OUTAGE)
