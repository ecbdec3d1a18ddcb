"""Efficiency and latency of the engine between ideal memories reach their targets, and the bench reports a miss."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hdl import build

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

BENCH = build.ROOT / "benchmarks/mover_efficiency.py"


def bench(width: int, *, rtl: Path = build.RTL) -> subprocess.CompletedProcess[str]:
    """Run the benchmark with the record sizes that have targets."""
    command = [sys.executable, str(BENCH), "--widths", str(width), "--records", "1536", "9000"]
    env = os.environ | {"VNETCARD_RTL": str(rtl)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    """Return a copy of the RTL with one change."""
    copy = shutil.copytree(build.RTL, folder / "rtl")
    text = (copy / file).read_text()
    assert text.count(old) == 1, f"{file} does not contain exactly once: {old}"
    (copy / file).write_text(text.replace(old, new))
    return copy


@pytest.mark.campaign
@pytest.mark.parametrize("width", [64, 512])
def test_targets_are_reached(verilator: str, width: int) -> None:
    said = bench(width)
    assert said.returncode == 0, said.stdout + said.stderr
    # Two record sizes, one doorbell per record or per batch, two memories with a target; and four latencies.
    assert said.stdout.count(" ok ") == 2 * 2 * 2 + 4


@pytest.mark.campaign
def test_engine_with_too_few_outstanding_reads_misses_its_target(verilator: str, tmp_path: Path) -> None:
    rtl = changed(tmp_path, "vnc_dma_top.sv", "ReadsMax   = 8", "ReadsMax   = 2")
    said = bench(64, rtl=rtl)
    assert said.returncode == 1
    assert "MISSED 0.85" in said.stdout


@pytest.mark.campaign
def test_engine_that_corrupts_data_gets_no_figures(verilator: str, tmp_path: Path) -> None:
    # Only the data FIFO has an entry 77.
    rtl = changed(tmp_path, "vnc_fifo.sv", "<= in_data_i;", "<= in_data_i ^ Width'(32'(wr_q) == 77);")
    said = bench(64, rtl=rtl)
    assert said.returncode == 1
    assert "invalid run: bytes differ" in said.stderr
    assert said.stdout.count("\n") == 1, "only the heading is printed"
