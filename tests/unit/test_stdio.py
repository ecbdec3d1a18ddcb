"""Programs that are started with standard descriptors closed, and agents that fail with JSON log lines."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest

from vnetcard.agent import service
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable

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
    explained = service.explained(error)
    assert explained is not None and explained.code is ErrorCode.RESOURCE_LIMIT and name in str(explained)


def test_limit_below_an_error_of_ours_is_named_too() -> None:
    error = PortUnavailable("cannot open it")
    error.__cause__ = OSError(errno.EMFILE, "Too many open files")
    explained = service.explained(error)
    assert explained is not None and explained.code is ErrorCode.RESOURCE_LIMIT and "cannot open it" in str(explained)


@pytest.mark.parametrize(
    "error", [OSError(errno.EINVAL, "Invalid"), RuntimeError("a defect")], ids=["OSError", "RuntimeError"]
)
def test_defect_is_not_explained_away(error: Exception) -> None:
    assert service.explained(error) is None
