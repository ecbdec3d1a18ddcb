"""Doorbells of a simulator that sleeps: no ring is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.needs import need_arm64_emulator
from tests.unit.c_build import ARM64, TSAN, WATCHDOG_EXIT, build, must_pass, run, seed

RINGS = 200_000


def slept(output: str) -> bool:
    """Whether the simulator slept at all; else the run shows nothing."""
    return "sleeps: 0\n" not in output and output.endswith("ok\n")


def test_no_ring_is_lost(tmp_path: Path) -> None:
    assert slept(must_pass(build(tmp_path, "doorbell_stress.c"), seed(), RINGS))


def test_ringing_threads_and_simulator_do_not_race(tmp_path: Path) -> None:
    assert slept(must_pass(build(tmp_path, "doorbell_stress.c", flags=TSAN), seed(), RINGS // 10))


@pytest.mark.arm64
def test_no_ring_is_lost_on_arm64(tmp_path: Path) -> None:
    program = build(tmp_path, "doorbell_stress.c", flags=ARM64, compiler="aarch64-linux-gnu-gcc")
    assert slept(must_pass(program, seed(), RINGS // 20, emulator=need_arm64_emulator()))


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["BREAK_COUNT", "BREAK_WAKE", "BREAK_RECHECK"])
def test_lost_ring_is_found(tmp_path: Path, broken: str) -> None:
    done = run(build(tmp_path, "doorbell_stress.c", flags=(f"-D{broken}",)), seed(), 100 * RINGS)
    assert done.returncode == WATCHDOG_EXIT
