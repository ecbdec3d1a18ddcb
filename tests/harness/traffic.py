"""Two joined agents with IPv4 and IPv6, and traffic between them: what the tests of the data path share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.harness.needs import need
from tests.harness.restarts import until
from vnetcard.codes.link import LinkReason
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring import layout as L

V4, V6 = ("10.10.10.1", "10.10.10.5"), ("fd00::1", "fd00::5")
ADDRESS = {4: V4, 6: V6}
"""By IP version and side."""
HERE = Path(__file__).parent
PORT = 5301
LIMIT_S = 240.0


@contextmanager
def joined(*, size: str = "8M", host: Sequence[str] = (), card: Sequence[str] = ()) -> Iterator[Lab]:
    """A lab over a fresh window of ``size`` with both links up; ``host`` and ``card`` are options of the agents."""
    window = f"shm:vnetcard-traffic-{os.getpid()}+{size}"
    with Lab("traffic", window=window) as lab:
        for side, options in ((L.HOST, host), (L.CARD, card)):
            lab.start(side, "--address", f"{V4[side]}/24", "--address", f"{V6[side]}/64", *options)
        lab.wait_up()
        yield lab


@contextmanager
def pinging(lab: Lab, *options: str, side: int = L.HOST) -> Iterator[None]:
    """Pings from ``side``, a hundred a second, during the block; ``options`` of ping."""
    command = run_in(lab.namespaces[side], [need("ping"), "-q", "-i", "0.01", *options, V4[1 - side]])
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def interface_down(lab: Lab, side: int, send: Callable[[], object], *, name: str = "tun0") -> Iterator[None]:
    """The interface of ``side`` is down during the block, and has dropped a packet that ``send`` sent from the peer.

    The peer's kernel sends nothing once it has noticed that it has no carrier, so it may take several attempts.
    """

    def dropped() -> int:
        return int(lab.status(side)["sides"][side]["rx"]["drop_port_down"])

    def set_to(state: str) -> None:
        subprocess.run(["ip", "-n", lab.namespaces[side], "link", "set", name, state], check=True)

    def noticed() -> bool:
        return dropped() > before or lab.status(1 - side)["link"]["reason_code"] == LinkReason.PEER_PORT_DOWN.value

    before, deadline = dropped(), time.monotonic() + 60
    try:
        while dropped() == before:
            assert time.monotonic() < deadline, "no packet arrives at an interface that is down"
            set_to("up")
            lab.wait_up()
            set_to("down")
            with suppress(OSError):
                send()
            until(noticed, "a packet is dropped, or the carrier lost")
        yield
    finally:
        set_to("up")
        lab.wait_up()


@contextmanager
def all_dropped(lab: Lab, side: int) -> Iterator[None]:
    """During the block ``side`` drops every packet of the peer (``drop_source``); it is restarted before and after."""
    for options in (["--allow", "192.0.2.0/24"], []):
        lab.stop(side)
        lab.start(side, *options)
        lab.wait_up()
        if options:
            yield


def stream(
    lab: Lab, protocol: str, total: int, *, version: int = 4, sender: int = L.HOST, segments: int = 1
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Send ``total`` bytes from ``sender`` to the other side by stream.py; the reports of sender and receiver."""
    receiver = 1 - sender
    what = [ADDRESS[version][receiver], str(PORT), str(total)]
    more = ["--segments", str(segments)] if segments > 1 else []
    with ExitStack() as stack:
        sink = stack.enter_context(_python(lab, receiver, "stream.py", protocol, "receive", *what))
        stack.callback(sink.kill)
        assert sink.stdout is not None
        assert sink.stdout.readline() == "listening\n"
        source = stack.enter_context(_python(lab, sender, "stream.py", protocol, "send", *what, *more))
        stack.callback(source.kill)
        return _answer(source), _answer(sink)


def assert_stream_arrives(lab: Lab, protocol: str, total: int, **how: Any) -> float:
    """Run ``stream`` and assert that both ends agree; returns the seconds that it took."""
    sent, got = stream(lab, protocol, total, **how)
    assert (got["bytes"], got["hash"]) == (total, sent["hash"]), f"{protocol} {how}: sent {sent}, received {got}"
    return float(got["seconds"])


def sweep_both_directions(lab: Lab, last: int, *, count: int, version: int = 4) -> list[dict[str, Any]]:
    """Ping every size from 0 to ``last`` from both sides at once by sweep.py; returns the report of each side."""
    with ExitStack() as stack:
        runs = []
        for side in (L.HOST, L.CARD):
            words = (ADDRESS[version][1 - side], "0", str(last), str(count))
            runs.append(stack.enter_context(_python(lab, side, "sweep.py", *words)))
            stack.callback(runs[-1].kill)
        return [_answer(run) for run in runs]


def assert_everything_crosses(lab: Lab, last: int, *, version: int) -> None:
    """Every ping size from 0 to ``last`` over IP ``version``, and streams of super-packets, from both sides."""
    everything = last + 1
    clean = {"sent": everything, "answered": everything, "overflowed": 0, "lost": [], "spoilt": [], "twice": []}
    assert sweep_both_directions(lab, last, count=1, version=version) == [clean, clean]
    for sender in (L.HOST, L.CARD):
        assert_stream_arrives(lab, "tcp", 8 << 20, version=10 - version, sender=sender)
        assert_stream_arrives(lab, "udp", 2 << 20, version=version, sender=sender, segments=20)


def snmp(lab: Lab, side: int) -> dict[str, int]:
    """``counters_in`` the namespace of ``side``."""
    return counters_in(lab.namespaces[side])


def counters_in(namespace: str) -> dict[str, int]:
    """The namespace's counters in /proc/net/snmp, netstat and snmp6, as ``Icmp.InEchos`` or ``Ip6InReceives``."""
    command = run_in(namespace, ["cat", "/proc/net/snmp", "/proc/net/netstat", "/proc/net/snmp6"])
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = {line.split()[0]: int(line.split()[1]) for line in lines if ":" not in line}
    pairs = [line.split() for line in lines if ":" in line]
    for names, values in zip(pairs[::2], pairs[1::2], strict=True):
        found |= {f"{names[0]}{name}".replace(":", "."): int(n) for name, n in zip(names[1:], values[1:], strict=True)}
    return found


def assert_no_bad_checksums(lab: Lab) -> None:
    """Assert that no layer of either kernel met a wrong checksum, except the probes' IPv4 headers, wrong on purpose."""
    for side in (L.HOST, L.CARD):
        bad = {name: n for name, n in snmp(lab, side).items() if "CsumErrors" in name and n}
        bad.pop("IpExt.InCsumErrors", None)
        assert not bad, f"{L.SIDES[side]}: {bad}"


def _python(lab: Lab, side: int, *words: str) -> subprocess.Popen[str]:
    command = run_in(lab.namespaces[side], [sys.executable, str(HERE / words[0]), *words[1:]])
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _answer(run: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = run.communicate(timeout=LIMIT_S)
    assert run.returncode == 0, f"{run.args!r} ended with status {run.returncode}"
    answer: dict[str, Any] = json.loads(out)
    return answer
