"""A pump of a queue for flows that send little gives its core away as long as it gets it back soon."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.unit.c_build import ASAN, SANITIZER_ENV, build


def test_yields_pause_after_one_that_took_long(tmp_path: Path) -> None:
    program = build(tmp_path, "yields.c", flags=ASAN)
    done = subprocess.run([program], capture_output=True, text=True, env=SANITIZER_ENV, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
