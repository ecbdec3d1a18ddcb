"""The engine behind the UltraScale+ bridge reaches 0.9 of the limit of its TLPs, and the benchmark reports a miss."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hdl import build
from tests.hdl.test_mover_figures import changed

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.campaign, pytest.mark.timeout(900)]

BENCH = build.ROOT / "benchmarks/usp_throughput.py"


def bench(*, rtl: Path = build.RTL) -> subprocess.CompletedProcess[str]:
    """Run the benchmark at the width that has targets."""
    env = os.environ | {"VNETCARD_RTL": str(rtl)}
    command = [sys.executable, str(BENCH), "--widths", "256"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_targets_are_reached() -> None:
    said = bench()
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.count(" ok ") == 10


def test_bridge_with_four_tags_misses_its_target(tmp_path: Path) -> None:
    rtl = changed(tmp_path, "usp/vnc_usp_dma_top.sv", "Tags        = 32,", "Tags        = 4,")
    said = bench(rtl=rtl)
    assert said.returncode == 1, said.stdout + said.stderr
    assert "MISSED 0.9" in said.stdout
