"""What accompanies every figure: date, commit and versions of the tools; and the file that holds the figures."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"


def commit() -> str:
    """The commit measured, with ``+`` when files were changed since; ``unknown`` outside a checkout."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode != 0:
        return "unknown"
    # Results that benchmarks write do not change what is measured.
    status = [*git, "status", "--porcelain", "--", ".", ":!benchmarks/results", ":!hdl/synth/yardstick.json"]
    changed = subprocess.run(status, capture_output=True, text=True, check=False).stdout.strip()
    return head.stdout.strip() + ("+" if changed else "")


def circumstances(packages: Iterable[str]) -> dict[str, object]:
    """Date, commit, and the versions of ``packages`` and of Python."""
    versions = {name: version(name) for name in packages} | {"python": platform.python_version()}
    return {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "commit": commit(), "versions": versions}


def write(path: Path, figures: Mapping[str, object]) -> None:
    """Write ``figures`` to ``path`` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n")
