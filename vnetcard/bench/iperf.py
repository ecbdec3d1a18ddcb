"""Runs iperf3 between two namespaces and returns the JSON reports of both of its ends."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vnetcard.bench.validity import Endpoints, Invalid
from vnetcard.errors import ConfigError
from vnetcard.lab.lab import die_with_parent, run_in

START_LIMIT, SLACK = 10.0, 30.0
"""Seconds for the server to listen, and for both to end after the run's time."""


USUAL: Final = ("cubic", "bbr")
"""TCP's congestion controls that are measured by default: the kernel's own default, and one that ignores reordering."""


def congestion_controls(names: str | None) -> tuple[str, ...]:
    """Those of a comma-separated list, or by default those of USUAL that the kernel has.

    Raises ConfigError for one that it has not.
    """
    known = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    if names is None:
        return tuple(name for name in USUAL if name in known) or (known[0],)
    wanted = tuple(dict.fromkeys(name for name in names.split(",") if name))
    for name in wanted or ("",):
        if name not in known:
            raise ConfigError(f"--congestion {name!r}: the kernel has {', '.join(known)} (others: modprobe tcp_NAME)")
    return wanted


def tcp_limits() -> dict[str, str]:
    """The kernel's limits of TCP's buffers, in bytes, as sysctl(8) names them."""
    names = ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem", "net.core.rmem_max", "net.core.wmem_max")
    return {name: " ".join(Path("/proc/sys", *name.split(".")).read_text().split()) for name in names}


@dataclass(frozen=True, slots=True)
class Run:
    """How long a load lasts, in seconds, and TCP's congestion control ('' for a load without TCP)."""

    seconds: float
    congestion: str = ""

    @property
    def tcp(self) -> list[str]:
        """iperf3's options for it; a socket's, as only the first network namespace may set any default (tcp(7))."""
        return ["-C", self.congestion] if self.congestion else []


@dataclass(frozen=True, slots=True)
class Report:
    """The JSON reports of client and server."""

    client: dict[str, Any]
    server: dict[str, Any]


def parse(text: str, role: str) -> dict[str, Any]:
    """The JSON report of iperf3's ``role``; Invalid when it is no JSON, or reports an error."""
    try:
        report: dict[str, Any] = json.loads(text)
    except ValueError:
        raise Invalid(f"iperf3's {role} printed no JSON: {text.strip()[:200]!r}") from None
    if error := report.get("error"):
        raise Invalid(f"iperf3's {role}: {error}")
    return report


def run(
    ends: Endpoints, seconds: float, options: Sequence[str] = (), *, started: Callable[[], None] = lambda: None
) -> Report:
    """Run iperf3 from the first to the second end for ``seconds``, rounded up to whole ones as iperf3 demands.

    ``started`` is called once the client runs.  Raises Invalid when either end fails or takes too long.
    """
    seconds = math.ceil(seconds)
    with _server(ends) as server:
        command = ["iperf3", "-J", "-c", ends.addresses[1], "-t", str(seconds), *options]
        client = subprocess.Popen(
            run_in(ends.namespaces[0], command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - as in lab.py
        )
        started()
        try:
            sent, _ = client.communicate(timeout=seconds + SLACK)
            received, _ = server.communicate(timeout=SLACK)
        except subprocess.TimeoutExpired:
            raise Invalid(f"iperf3 did not end within {seconds + SLACK:.0f} s") from None
        finally:
            client.kill()
            client.communicate()
    return Report(parse(sent, "client"), parse(received, "server"))


@contextlib.contextmanager
def _server(ends: Endpoints) -> Iterator[subprocess.Popen[str]]:
    server = subprocess.Popen(
        run_in(ends.namespaces[1], ["iperf3", "-s", "-1", "-J", "-B", ends.addresses[1]]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - as in lab.py
    )
    try:
        _await_listening(server, ends.namespaces[1])
        yield server
    finally:
        server.kill()
        server.communicate()


def _await_listening(server: subprocess.Popen[str], namespace: str) -> None:
    """Wait until the server listens: the connection of an earlier client would be refused."""
    deadline = time.monotonic() + START_LIMIT
    command = run_in(namespace, ["ss", "-Hltn", "sport", "=", ":5201"])
    while not subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip():
        if server.poll() is not None or time.monotonic() > deadline:
            raise Invalid("iperf3's server does not listen")
        time.sleep(0.01)
