"""``ping``: round-trip times, one ping every two milliseconds, on an otherwise idle contender or under load."""

from __future__ import annotations

import contextlib
import re
import subprocess
from dataclasses import replace

from vnetcard.bench.contenders import Contender
from vnetcard.bench.iperf import Run
from vnetcard.bench.load.busy import streaming
from vnetcard.bench.validity import Invalid, judge_answers
from vnetcard.lab.lab import run_in
from vnetcard.ping.suite import percentile

INTERVAL = 0.002
LOSS_MAX = 0.005
"""The share of pings that may be lost under load, when a queue is full; a lost ping counts as the longest time."""
MORE = 100
"""Pings that follow and are not judged: ping does not wait for a late reply to its last one."""
_TIME = re.compile(r" icmp_seq=(\d+) .* time=([0-9.]+) ms")


class Ping:
    """Percentiles in microseconds, measured by the system's ``ping``; without load none may be lost."""

    mtu = 1500

    def __init__(self, *, under_load: bool = False) -> None:
        self.tcp = self._busy = under_load

    def put(self, contender: Contender, run: Run) -> dict[str, float]:
        count = max(100, round(run.seconds / INTERVAL))
        command = ["ping", "-n", "-i", f"{INTERVAL}", "-c", str(count + MORE), "-W", "2", contender.addresses[1]]
        with streaming(contender, replace(run, seconds=run.seconds * 3)) if self._busy else contextlib.nullcontext():
            output = subprocess.run(
                run_in(contender.namespaces[0], command), capture_output=True, text=True, check=False
            )
        name = f"ping under load {run.congestion}" if self._busy else "ping"
        return figures(name, times_in(output.stdout, count, loss_max=LOSS_MAX if self._busy else 0.0))


def times_in(output: str, count: int, *, loss_max: float = 0.0) -> list[float]:
    """Microseconds of the first ``count`` pings of an output; Invalid when more than the share ``loss_max`` is lost."""
    times = [float(time) * 1000 for number, time in _TIME.findall(output) if int(number) <= count]
    if not loss_max:
        judge_answers(count, len(times), "pings")
    lost = count - len(times)
    if not times or lost > loss_max * count:
        raise Invalid(f"{lost} of {count} pings were lost under load")
    return times + [max(times)] * lost


def figures(name: str, times: list[float]) -> dict[str, float]:
    """Percentiles of ``times``; p99.9 only of at least a thousand."""
    found = {f"{name} p50": percentile(times, 50), f"{name} p99": percentile(times, 99)}
    if len(times) >= 1000:
        found[f"{name} p99.9"] = percentile(times, 99.9)
    return found
