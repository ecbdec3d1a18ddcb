"""What `vnetcard stack` refuses: options, and lines of its shell."""

from __future__ import annotations

import json
import shlex
from ipaddress import IPv4Address
from typing import Any

import pytest

from vnetcard.cli.main import main
from vnetcard.errors import ConfigError
from vnetcard.firmware.shell import HELP, Shell
from vnetcard.firmware.stack import LoadFigures, PingFigures


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--address 10.10.10.5", "is not IPv4/BITS of one host"),
        ("--address 224.0.0.1/24", "is not IPv4/BITS of one host"),
        ("--address fd00::1/64", "is not IPv4/BITS, as in"),
        ("--gateway x", "is no IPv4 address"),
        ("--mtu 67", "is out of range (68 to 65535)"),
        ("--mac 02:00:00:00:00:77", "--mac needs --ethernet"),
        ("--ethernet --mac 01:00:00:00:00:77", "is a multicast address"),
    ],
)
def test_bad_option_is_one_line(capsys: pytest.CaptureFixture[str], options: str, words: str) -> None:
    assert main(["stack", *shlex.split(options)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and words in shown.err


class FakeStack:
    """Answers each ping but the last, and no stream."""

    def start_ping(self, address: IPv4Address, **series: Any) -> None:
        self.target, self.series = address, series

    def ping(self) -> PingFigures:
        count = self.series["count"]
        return PingFigures(sent=count, received=count - 1, min_us=100, max_us=300, sum_us=200 * (count - 1))

    def start_load(self, address: IPv4Address, port: int, seconds: float) -> None:
        self.target, self.port = address, port

    def load(self) -> LoadFigures:
        return LoadFigures(error=-14)


@pytest.fixture
def shell() -> Shell:
    return Shell(FakeStack(), as_json=True, stopped=lambda: False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dance", "unknown command 'dance'"),
        ("ping", "wrong number of arguments"),
        ("ping x", "'x' is no IPv4 address"),
        ("ping 10.1.1.1 65508", "is out of range (0 to 65507)"),
        ("ping 10.1.1.1 56 0", "is out of range (1 to 30000)"),
        ("echo 65536", "is out of range (1 to 65535)"),
        ("echo 'x", "No closing quotation"),
        ("iperf 10.1.1.1 0", "is out of range (1 to 86400)"),
        ("__init__", "unknown command"),
    ],
)
def test_bad_line_is_an_error(shell: Shell, line: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        shell.run(line)
    assert words in str(error.value)


def test_loss_and_a_failed_stream_are_negative_results(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run("ping 10.1.1.1 100 4") and shell.failed
    row = json.loads(capsys.readouterr().out)
    assert (row["sent"], row["received"], row["avg_ms"], row["max_ms"]) == (4, 3, 0.2, 0.3)
    shell.failed = False
    assert shell.run("iperf 10.1.1.1") and shell.failed
    assert json.loads(capsys.readouterr().out)["error"] == "connection reset"
    assert shell.run("  # nothing") and not shell.run("quit")


def test_help_names_every_command() -> None:
    commands = {name.removeprefix("_do_") for name in vars(Shell) if name.startswith("_do_")}
    assert [name for name in commands - {"help"} if name not in HELP] == []
