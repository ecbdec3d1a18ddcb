"""``tcp``: iperf3's throughput at the receiver, and the CPU time of the whole machine for it."""

from __future__ import annotations

from vnetcard.bench import iperf, proc
from vnetcard.bench.contenders import Contender
from vnetcard.bench.validity import judge_offload
from vnetcard.bench.watch import received


class Tcp:
    """``streams`` connections at ``mtu``; ``both``: as many in the other direction at the same time."""

    tcp = True

    def __init__(self, *, mtu: int = 1500, streams: int = 1, both: bool = False) -> None:
        self.mtu = mtu
        self._streams = streams
        self._both = both
        self._name = f"tcp {mtu}" + (f" x{streams}" if streams > 1 else "") + (" both" if both else "")

    def put(self, contender: Contender, run: iperf.Run) -> dict[str, float]:
        before, worked = received(contender, 1), proc.machine_seconds()
        options = [*run.tcp, "-P", str(self._streams), *(["--bidir"] if self._both else [])]
        report = iperf.run(contender, run.seconds, options)
        worked = proc.machine_seconds() - worked
        judge_offload(before, received(contender, 1), mtu=self.mtu, offload=contender.offload)
        got = [report.server["end"]["sum_received"]]
        if self._both:
            got.append(report.client["end"]["sum_received_bidir_reverse"])
        moved = sum(part["bytes"] for part in got)
        rate = sum(part["bits_per_second"] for part in got) / 1e9
        name = f"{self._name} {run.congestion}"
        return {name: rate, f"{name} cpu": worked / (moved / 1e9)}
