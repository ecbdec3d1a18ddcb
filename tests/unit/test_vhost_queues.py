"""The queues of a vhost-user device in C: frames cross unchanged, no wake-up is lost; a driver reaches nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.c_build import ASAN, TSAN, build, must_pass, seed


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), TSAN, ASAN], ids=["plain", "tsan", "asan"])
def test_frames_cross_once_in_order_and_no_wakeup_is_lost(tmp_path: Path, flags: tuple[str, ...]) -> None:
    program = build(tmp_path, "vhost_pair.c", flags=flags)
    for event_idx in (0, 1):
        must_pass(program, seed(), 20000, event_idx)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ASAN], ids=["plain", "asan"])
def test_driver_that_writes_anything_at_any_time_reaches_nothing_else(tmp_path: Path, flags: tuple[str, ...]) -> None:
    must_pass(build(tmp_path, "vhost_hostile.c", flags=flags), seed(), 300_000)
