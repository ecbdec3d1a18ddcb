"""``ping``: round trips, one each two milliseconds, on a way that is otherwise idle."""

from __future__ import annotations

import re
import subprocess

from vnetcard.bench.peer import Peer
from vnetcard.bench.validity import judge_answers
from vnetcard.lab import run_in
from vnetcard.pingsuite import percentile

INTERVAL = 0.002
_TIME = re.compile(r" time=([0-9.]+) ms")


class Ping:
    """The kernel's answer to the system's ``ping``; not one may be lost."""

    mtu = 1500

    def put(self, peer: Peer, seconds: float) -> dict[str, float]:
        count = max(100, round(seconds / INTERVAL))
        command = ["ping", "-n", "-i", f"{INTERVAL}", "-c", str(count), "-W", "5", peer.addresses[1]]
        said = subprocess.run(run_in(peer.namespaces[0], command), capture_output=True, text=True, check=False)
        return figures("ping", times_in(said.stdout, count))


def times_in(said: str, count: int) -> list[float]:
    """Microseconds of ``count`` round trips in what ping printed; Invalid when one is not there."""
    times = [float(found) * 1000 for found in _TIME.findall(said)]
    judge_answers(count, len(times), "pings")
    return times


def figures(name: str, times: list[float]) -> dict[str, float]:
    """Percentiles of ``times``; p99.9 only of enough of them."""
    found = {f"{name} p50": percentile(times, 50), f"{name} p99": percentile(times, 99)}
    if len(times) >= 1000:
        found[f"{name} p99.9"] = percentile(times, 99.9)
    return found
