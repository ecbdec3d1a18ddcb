"""``scripts/venv.sh`` whatever the caller's shell exports: it finds this checkout and its environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.harness.needs import need

ROOT = Path(__file__).resolve().parents[2]
PYTHON = """\
#!/bin/sh
case "$*" in
    "-I -c"*) echo "complete 3.11 $0" ;;
    "-m venv"*)
        for folder; do :; done
        mkdir -p "$folder/bin"
        cp "$0" "$folder/bin/python"
        ;;
    "-m pip"*) env >>"$LOG"; echo "pip $*" >>"$LOG" ;;
    *sysconfig*) echo .none.so ;;
esac
"""
"""An interpreter that installs nothing and writes down in which environment it was asked to."""

HOSTILE = {
    "PIP_USER": "1",
    "PIP_TARGET": "/nowhere",
    "PIP_PREFIX": "/nowhere",
    "PIP_ROOT": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "PYTHONHOME": "/nowhere",
}


@pytest.fixture
def python(tmp_path: Path) -> Path:
    path = tmp_path / "python"
    path.write_text(PYTHON)
    path.chmod(0o755)
    return path


def venv_script(*words: str, **variables: str) -> str:
    command = [need("bash"), "scripts/venv.sh", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done
    return done.stdout


def test_cdpath_does_not_lead_it_elsewhere(tmp_path: Path, python: Path) -> None:
    (tmp_path / "scripts").mkdir()
    assert venv_script("python", CDPATH=str(tmp_path), VNETCARD_PYTHON=str(python)) == f"{python}\n"


def test_python_of_the_variable_is_used_and_pip_installs_into_the_environment(tmp_path: Path, python: Path) -> None:
    log = tmp_path / "log"
    venv_script("demo", VENV=str(tmp_path / "venv"), VNETCARD_PYTHON=str(python), LOG=str(log), **HOSTILE)
    seen = log.read_text().splitlines()
    assert "PIP_USER=0" in seen
    assert not [line for line in seen if "/nowhere" in line]


@pytest.mark.parametrize(("mode", "file"), [("demo", "run"), ("sim", "sim"), ("test", "test")])
def test_all_that_is_downloaded_has_a_hash(tmp_path: Path, python: Path, mode: str, file: str) -> None:
    log = tmp_path / "log"
    venv_script(mode, VENV=str(tmp_path / "venv"), VNETCARD_PYTHON=str(python), LOG=str(log))
    first, second, third = (line for line in log.read_text().splitlines() if line.startswith("pip "))
    assert all("--no-build-isolation" in line for line in (first, second, third)), "a build downloads nothing"
    assert first.endswith("--require-hashes -r requirements/build.txt")
    assert second.endswith(f"--require-hashes -r requirements/{file}.txt")
    assert third.endswith("--no-deps -e .")
