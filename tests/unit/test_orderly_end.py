"""A test run that SIGTERM ends runs the ends of its fixtures, in one process and in several."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60.0
CONFTEST = """
from tests.harness.orderly_end import OrderlyEnd
def pytest_configure(config):
    config.pluginmanager.register(OrderlyEnd(config))
"""
TESTS = """
import os, signal, time, pathlib, pytest
HERE = pathlib.Path(__file__).parent
def made(name):
    path = HERE / f"{name}-{os.getpid()}"
    path.touch()
    return path
def wait_for(name):
    while not (HERE / name).exists():
        time.sleep(0.01)
@pytest.fixture(scope="session")
def whole_run():
    path = made("session")
    yield
    path.unlink()
@pytest.fixture
def one_test():
    path = made("test")
    yield
    if (HERE / "slow-end").exists():
        made("ending")
        wait_for("signalled")
    path.unlink()
@pytest.mark.parametrize("n", range(2))
def test_that_waits(whole_run, one_test, n):
    made("running")
    if not (HERE / "slow-end").exists():
        wait_for("never")
def test_with_a_child():
    pid = os.fork()
    if not pid:
        time.sleep(60)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
"""


def start(folder: Path, test: str, *options: str) -> subprocess.Popen[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}"]
    own = {"PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"}
    env = {name: value for name, value in os.environ.items() if name not in own} | {"PYTHONPATH": str(ROOT)}
    words = [*command, *options, f"{folder}/test_it.py::{test}"]
    return subprocess.Popen(words, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(folder: Path, name: str, count: int = 1) -> None:
    deadline = time.monotonic() + LIMIT_S
    while len(list(folder.glob(f"{name}-*"))) < count:
        assert time.monotonic() < deadline, f"{name}: {sorted(folder.iterdir())}"
        time.sleep(0.02)


def end(run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate(timeout=LIMIT_S)
    assert run.returncode == pytest.ExitCode.INTERRUPTED, output


def left(folder: Path) -> list[str]:
    return sorted(path.name for name in ("session", "test") for path in folder.glob(f"{name}-*"))


@pytest.mark.parametrize("processes", [1, 2])
def test_fixtures_end_when_the_run_is_ended(tmp_path: Path, processes: int) -> None:
    run = start(tmp_path, "test_that_waits", *(["-n", str(processes)] if processes > 1 else []))
    wait_for(tmp_path, "running", processes)
    end(run)
    assert left(tmp_path) == []


def test_end_of_a_fixture_is_not_interrupted(tmp_path: Path) -> None:
    (tmp_path / "slow-end").touch()
    run = start(tmp_path, "test_that_waits")
    wait_for(tmp_path, "ending")
    run.send_signal(signal.SIGTERM)
    (tmp_path / "signalled").touch()
    end(run)
    assert left(tmp_path) == []
    assert len(list(tmp_path.glob("running-*"))) == 1, "a test began after the signal"


def test_child_of_a_test_ends_as_any_program(tmp_path: Path) -> None:
    run = start(tmp_path, "test_with_a_child")
    output, _ = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, output
