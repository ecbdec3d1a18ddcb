"""The ARM64 build under qemu-user: its own tests, and records that it shares with x86 processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vnetcard.ring import layout as L

pytestmark = [pytest.mark.arm64, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
FIFO_END = Path(__file__).with_name("fifo_end.py")
PUMPS = ("test_pump_endpoints.py",)
LONG = ("test_fifo.py",)
SLOW = ("test_fifo_hostile.py", "test_link_handshake.py")
"""Files of tests/unit; the slow ones have hundreds of tests, and QEMU takes seconds for each."""
TOO_SLOW = "not behaves_as_a_deque"
"""Left out: it tries thousands of examples, and ring_model.c checks the ARM64 ring in C in the same way."""
RECORDS = 6_000
HERE = [sys.executable]


@pytest.mark.parametrize(
    ("names", "least"),
    [
        pytest.param(PUMPS, 20, id="pumps", marks=pytest.mark.campaign),
        pytest.param(LONG, 20, id="fifo", marks=pytest.mark.campaign),
        pytest.param(SLOW, 300, id="the rest", marks=pytest.mark.campaign),
    ],
)
def test_unit_tests_pass_as_arm64(arm64_python: list[str], names: tuple[str, ...], least: int) -> None:
    files = [str(ROOT / "tests/unit" / name) for name in names]
    command = [*arm64_python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", TOO_SLOW, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=840, check=False)
    assert done.returncode == 0, done.stdout
    summary = re.search(r"(\d+) passed(, 1 deselected)? in", done.stdout)
    assert summary is not None, done.stdout[-500:]
    assert int(summary[1]) > least


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
