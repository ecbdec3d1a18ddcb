"""The matrix as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import subprocess
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.matrix.cell import Result, State

WIDTH = 120
_COLUMNS = "{:<12} {:<13} {:>6} {:>7} {:>8}  "
_INDENT = len(_COLUMNS.format("", "", "", "", ""))


def header() -> str:
    """The first line of the table."""
    return _COLUMNS.format("cell", "result", "tests", "skipped", "seconds") + "system, or why not"


def row(result: Result) -> str:
    """A cell; its detail wraps at ``WIDTH`` columns, and failed tests follow, at most ten."""
    counts = (str(result.tests), str(result.skipped)) if result.tests else ("-", "-")
    text = _COLUMNS.format(result.name, result.state.value, *counts, f"{result.seconds:.0f}")
    first, *rest = textwrap.wrap(result.detail, WIDTH - _INDENT) or [""]
    lines = [text + first, *(" " * _INDENT + line for line in rest)]
    lines += [" " * _INDENT + name for name in result.failed[:10]]
    if len(result.failed) > 10:
        lines.append(" " * _INDENT + f"and {len(result.failed) - 10} more")
    return "\n".join(lines)


def summary(results: Sequence[Result]) -> str:
    """The last line; what was not available is never among what passed."""
    counts = {state: sum(result.state is state for result in results) for state in State}
    return (
        f"matrix: {counts[State.PASSED]} passed, {counts[State.FAILED]} failed, "
        f"{counts[State.NOT_AVAILABLE]} not available"
    )


def status(results: Sequence[Result]) -> int:
    """0 when every cell passed, 1 when one failed, 3 when none failed but one is not available."""
    states = {result.state for result in results}
    return 1 if State.FAILED in states else 3 if State.NOT_AVAILABLE in states else 0


def write_json(path: Path, results: Sequence[Result], checkout: Path) -> None:
    """Write the whole matrix, with the commit that was tested."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=checkout, capture_output=True, text=True, check=False
    )
    whole: dict[str, Any] = {
        "commit": described.stdout.strip(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **{state.value.lower().replace(" ", "_"): sum(result.state is state for result in results) for state in State},
        "cells": [result.as_json() for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=2) + "\n")
