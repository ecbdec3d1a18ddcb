"""``idle``: nothing is sent; the CPU time and memory of a contender's processes."""

from __future__ import annotations

import time

from vnetcard.bench import proc
from vnetcard.bench.contenders import Contender
from vnetcard.bench.iperf import Run

SETTLE = 12.0
"""Seconds until agents are at rest: ten without a packet, and the last of the pumps' shorter sleeps."""


class Idle:
    """CPU time in percent of one core, and memory in MiB, of all processes of the contender together."""

    mtu = 1500
    tcp = False

    def put(self, contender: Contender, run: Run) -> dict[str, float]:
        time.sleep(SETTLE)
        start, worked = time.monotonic(), proc.process_seconds(contender.pids)
        time.sleep(max(2.0, run.seconds))
        worked, lasted = proc.process_seconds(contender.pids) - worked, time.monotonic() - start
        return {"idle cpu": 100 * worked / lasted, "memory": proc.process_mib(contender.pids)}
