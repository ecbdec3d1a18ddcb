"""The engine's efficiency and latency reach their targets between ideal memories, and the bench says when not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hdl import hdl_build

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

BENCH = hdl_build.ROOT / "benchmarks/mover_efficiency.py"


def bench(width: int, *, rtl: Path = hdl_build.RTL) -> subprocess.CompletedProcess[str]:
    """The bench, with the record sizes that have targets."""
    command = [sys.executable, BENCH, "--widths", str(width), "--records", "1536", "9000"]
    env = os.environ | {"VNETCARD_RTL": str(rtl)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the RTL with one change."""
    copy = shutil.copytree(hdl_build.RTL, folder / "rtl")
    text = (copy / file).read_text()
    assert text.count(old) == 1, f"{file} no longer has, once: {old}"
    (copy / file).write_text(text.replace(old, new))
    return copy


@pytest.mark.parametrize("width", [64, pytest.param(512, marks=pytest.mark.campaign)])
def test_targets_are_reached(verilator: str, width: int) -> None:
    said = bench(width)
    assert said.returncode == 0, said.stdout + said.stderr
    # Two records, rung singly and in batches, with both memories that have a target; four latencies.
    assert said.stdout.count(" ok ") == 2 * 2 * 2 + 4


def test_engine_with_too_few_reads_under_way_misses(verilator: str, tmp_path: Path) -> None:
    rtl = changed(tmp_path, "vnc_dma_top.sv", "ReadsMax   = 8", "ReadsMax   = 2")
    said = bench(64, rtl=rtl)
    assert said.returncode == 1
    assert "MISSED 0.85" in said.stdout


def test_engine_that_changes_data_gets_no_figures(verilator: str, tmp_path: Path) -> None:
    # Only the data FIFO is deep enough to have an entry 77.
    rtl = changed(tmp_path, "vnc_fifo.sv", "<= in_data_i;", "<= in_data_i ^ Width'(32'(wr_q) == 77);")
    said = bench(64, rtl=rtl)
    assert said.returncode == 1
    assert "invalid run: bytes differ" in said.stderr
    assert said.stdout.count("\n") == 1, "no line but the heading"
