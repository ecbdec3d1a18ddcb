"""With ``--json`` a command that fails says so to programs as well: an object on stdout, with a stable code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vnetcard.cli import main
from vnetcard.codes.error import ErrorCode

NO_AGENT = "--window shm:vnetcard-of-no-agent"


def run(command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of ``vnetcard COMMAND``."""
    try:
        status = main.main(command.split())
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        status = ended.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def error_in(output: str) -> dict[str, Any]:
    """The error object, which is one line."""
    (line,) = output.splitlines()
    error: dict[str, Any] = json.loads(line)["error"]
    assert set(error) == {"code", "message"}
    assert error["code"] in {str(code) for code in ErrorCode}
    return error


@pytest.mark.parametrize(
    "command",
    [
        f"status --json {NO_AGENT}",
        f"show ring --json {NO_AGENT}",
        f"trace --json --count 1 {NO_AGENT}",
        "info --json shm:vnetcard-of-no-agent",
        "info --json nonsense",
        "ping --json --count 0 10.10.10.5",
        "bench --json --loads freight",
        "doctor --json --window nonsense",
    ],
)
def test_failed_command_prints_an_object_with_a_code(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, output, errors = run(command, capsys)
    assert status == 2
    assert errors == f"vnetcard: error: {error_in(output)['message']}\n"


def test_usage_error_prints_an_object_with_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    status, output, errors = run("status --json --colour", capsys)
    assert status == 2
    assert error_in(output)["code"] == ErrorCode.BAD_CONFIG
    assert "unrecognized arguments: --colour" in errors


@pytest.mark.parametrize("command", [f"status {NO_AGENT}", "status --colour", "report --json x.json --seconds -1"])
def test_stdout_stays_empty_where_no_json_was_asked_for(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, output, errors = run(command, capsys)
    assert status == 2
    assert output == ""
    assert errors.count("\n") == 1
