"""Runs ``make check`` in a copy of the checkout, with another Python or in another system, and counts its tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from tests.matrix.cell import Failed, Ran, TestsFailed, one_line

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 3600.0
"""Seconds for an installation and the tests; both take a minute or two on an idle machine."""
VENV = ".venv"
JUNIT = "matrix.xml"
EXPECTED = "pytest.xfail"
"""How the file marks a failure that a test expects; it counts as run."""
_NOT_PASSED_ON = ("VENV", "VIRTUAL_ENV", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "JOBS", "PYTEST_ARGS", "PYTHONPATH")


def run_quick_part(folder: Path, log: Path, *, python: str, enter: Sequence[str] = (), inside: str = "") -> Ran:
    """Run the quick part of this checkout in a copy of it, ``folder``; append its output to ``log``.

    ``python`` is the interpreter.  ``enter`` are words before the command, which leave it in another system, where the
    folder is ``inside``.  Raises Failed, TestsFailed.
    """
    copy_checkout(ROOT, folder)
    where = inside or str(folder)
    script = f"cd '{where}' && exec make check VENV={VENV} PYTEST_ARGS='-q --junit-xml={JUNIT}'"
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    # A missing tool is a failure: a cell whose tests were skipped must not pass.
    environment |= {"VNETCARD_PYTHON": python, "CI": "true"}
    with log.open("a") as out:
        status = subprocess.run(
            [*enter, "sh", "-c", script],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            check=False,
        ).returncode
    version = [*enter, "sh", "-c", f"'{where}/{VENV}/bin/python' -VV"]
    system = one_line(subprocess.run(version, capture_output=True, text=True, check=False).stdout).partition(" (")[0]
    if not (folder / JUNIT).exists():
        raise Failed(f"no test ran, status {status}: {_last_line(log)}")
    ran, failed = counted(folder / JUNIT, system)
    if failed:
        raise TestsFailed(ran, failed)
    if status:
        raise Failed(f"`make check` ended with status {status}: {_last_line(log)}")
    return ran


def copy_checkout(source: Path, folder: Path) -> None:
    """Make ``folder`` a repository with the files of ``source``, changed or not; an environment in it is kept."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.name != VENV:
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for name in filter(None, listed.split("\0")):
        if (source / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, folder / name, follow_symlinks=False)
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def counted(junit: Path, system: str) -> tuple[Ran, list[str]]:
    """What pytest's JUnit file counts, and the names of the tests that failed."""
    cases = list(ET.parse(junit).iter("testcase"))
    names = [f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}" for case in cases]
    marks = [{child.tag for child in case if child.get("type") != EXPECTED} for case in cases]
    failed = [name for name, mark in zip(names, marks, strict=True) if mark & {"failure", "error"}]
    return Ran(system, len(cases), sum("skipped" in mark for mark in marks)), failed


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no output"
