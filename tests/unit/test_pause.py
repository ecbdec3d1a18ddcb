"""Timed waiting follows the traffic: pauses short against the usual gap, and long ones where nothing comes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.unit.c_build import ASAN, SANITIZER_ENV, build


def test_pauses_follow_the_traffic(tmp_path: Path) -> None:
    program = build(tmp_path, "pause.c", flags=ASAN)
    done = subprocess.run([program], capture_output=True, text=True, env=SANITIZER_ENV, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
