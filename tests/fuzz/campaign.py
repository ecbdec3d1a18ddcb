"""Runs a harness with libFuzzer, and shows its progress."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.fuzz import build

SHOWN: Final = ("pulse", "DONE", "INITED", "SUMMARY", "failed", "Done")
"""Words of the lines of libFuzzer that show progress."""


def search(
    program: Path, corpus: Path, seconds: float, seed: int, *, options: Sequence[str] = (), more: Sequence[Path] = ()
) -> str:
    """Run ``program``, which adds to ``corpus``; returns its output.  AssertionError when it finds a failure."""
    command = [str(program), f"-seed={seed}", "-print_final_stats=1", "-timeout=20", f"-artifact_prefix={corpus}-"]
    command += [f"-max_total_time={max(1, round(seconds))}", "-max_len=600", *options, str(corpus), *map(str, more)]
    said = []
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, errors="replace",
        env=os.environ | build.ENVIRONMENT,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if any(word in line for word in SHOWN):
                print(f"{program.name}: {line.rstrip()}", flush=True)
    assert process.returncode == 0, "".join(said[-60:])
    return "".join(said)
