"""Programs that are started with standard descriptors closed, and agents that fail with JSON log lines."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.programs import PROGRAMS, VNETCARD
from vnetcard.agent import service
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.terminal import refusal

SCRIPT = """
import json
import os
from vnetcard.terminal.stdio import open_missing_descriptors
open_missing_descriptors()
places = [os.readlink(f"/proc/self/fd/{n}") for n in range(3)]
os.write(int(os.environ["REPORT"]), json.dumps(places).encode())
"""


@pytest.mark.parametrize("closed", [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)], ids=str)
def test_closed_standard_descriptors_become_the_null_device(closed: tuple[int, ...]) -> None:
    read, write = os.pipe()
    words = " ".join(f"{number}>&-" for number in closed)
    command = ["sh", "-c", f'exec "$@" {words}', "sh", sys.executable, "-c", SCRIPT]
    subprocess.run(
        command, pass_fds=[write], env=os.environ | {"REPORT": str(write)}, check=True, stdin=subprocess.PIPE
    )
    os.close(write)
    with os.fdopen(read) as report:
        places = json.loads(report.read())
    assert {number for number in range(3) if places[number] == "/dev/null"} >= set(closed)


def test_last_line_of_a_failed_agent_is_json_with_a_code(capfd: pytest.CaptureFixture[str]) -> None:
    service.report_failure("vnetcard-x86", ConfigError("no", code=ErrorCode.OUT_OF_RANGE), as_json=True)
    line = json.loads(capfd.readouterr().err)
    assert (line["program"], line["level"], line["message"], line["code"]) == (
        "vnetcard-x86",
        "error",
        "no",
        "out-of-range",
    )
    service.report_failure("vnetcard-x86", ConfigError("no"), as_json=False)
    assert capfd.readouterr().err == "vnetcard-x86: error: no\n"


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "RLIMIT_NOFILE"),
        (RuntimeError("can't start new thread"), "limit on tasks"),
        (MemoryError(), "RLIMIT_AS"),
    ],
    ids=["descriptors", "threads", "memory"],
)
def test_error_of_a_limit_is_explained(error: Exception, name: str) -> None:
    explained = refusal.explained(error, "start")
    assert explained is not None and explained.code is ErrorCode.RESOURCE_LIMIT and name in str(explained)


def test_limit_below_an_error_of_ours_is_named_too() -> None:
    error = PortUnavailable("cannot open it")
    error.__cause__ = OSError(errno.EMFILE, "Too many open files")
    explained = refusal.explained(error, "start")
    assert explained is not None and explained.code is ErrorCode.RESOURCE_LIMIT and "cannot open it" in str(explained)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EIO, "Input/output error", "/dev/x"), "cannot start: /dev/x: Input/output error"),
        (ImportError("libx.so: failed to map segment"), "cannot start: cannot load a module (libx.so"),
    ],
    ids=["call", "module"],
)
def test_call_that_the_system_refuses_is_explained(error: Exception, words: str) -> None:
    explained = refusal.explained(error, "start")
    assert explained is not None and explained.code is ErrorCode.SYSTEM_CALL_FAILED and str(explained).startswith(words)


@pytest.mark.parametrize(
    "error", [OSError(errno.EINVAL, "Invalid"), RuntimeError("a defect")], ids=["OSError", "RuntimeError"]
)
def test_defect_is_not_explained_away(error: Exception) -> None:
    assert refusal.explained(error, "start") is None


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["man"], ["doctor", "--no-measure"]], ids=" ".join)
@pytest.mark.parametrize("buffered", [True, False])
def test_output_that_cannot_be_written_is_one_line_and_a_failure(words: list[str], buffered: bool) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*VNETCARD, *words],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "" if buffered else "1"},
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "vnetcard: error: cannot write to standard output (No space left on device)"
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize("program", ["vnetcard-x86", "vnetcard-fpga"])
@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_of_an_agent_that_cannot_be_written_is_a_failure(program: str, word: str) -> None:
    command = ["sh", "-c", 'exec "$@" >/dev/full', "sh", *PROGRAMS[program], word]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    words = f"{program}: error: cannot write to standard output (No space left on device)\n"
    assert (done.returncode, done.stderr) == (2, words)


def test_command_with_closed_standard_output_runs() -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *VNETCARD, "man"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


FEWEST, ENOUGH = 5, 16
"""Descriptors with which Python itself starts, and with which every version of it runs a ping."""


def test_command_is_refused_in_a_line_with_each_number_of_descriptors_below_what_is_enough() -> None:
    """How many are enough depends on the version of Python, by the modules it has inside: 7 with 3.13, 9 with 3.11."""
    enough, output = FEWEST, ""
    while not output:
        assert enough <= ENOUGH
        output = _ping_with_descriptors(enough)
        enough += not output
    assert enough > FEWEST and "all 1 sizes: 0% loss" in output


def _ping_with_descriptors(most: int) -> str:
    """The output of a ping, or '' where it is refused as it must be."""
    words = [*VNETCARD, "ping", "127.0.0.1", "--count", "1", "--sizes", "56"]
    command = ["sh", "-c", f'ulimit -n {most}; exec "$@"', "sh", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        assert done.stderr == ""
        return done.stdout
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1 and "RLIMIT_NOFILE" in done.stderr, done.stderr
    return ""


LIMIT_SCRIPT = """
import errno, os
from vnetcard.errors import PortUnavailable
from vnetcard.port.interface import Interface
import resource
Interface("lo").close()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held, seen = [], []
try:
    while True:
        held.append(os.dup(0))
except OSError:
    pass
for _ in range(8):
    try:
        Interface("lo").close()
        seen.append("opened")
    except OSError as error:
        assert error.errno == errno.EMFILE, error
        seen.append("EMFILE")
    os.close(held.pop())
assert seen[0] == "EMFILE" and seen[-1] == "opened", seen
"""


def test_limit_of_descriptors_is_not_taken_for_a_missing_interface() -> None:
    """However many are left: the C library looks an interface up through a socket, and hides why it got none."""
    subprocess.run([sys.executable, "-c", LIMIT_SCRIPT], check=True, stdin=subprocess.DEVNULL)
