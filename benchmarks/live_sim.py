"""Pings and TCP between two agents through the live simulation of the engine: ``make bench-sim``.

Needs root.  A run is a fresh simulation and two fresh agents.  Of pings every round trip counts; of TCP, each
tenth of a second of iperf3's receiver, so p99 is the rate that 99 of 100 tenths reach.  All of it, the agents, both
kernels and the load, shares the machine with the simulator: the load average is part of the result.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import report

from vnetcard.errors import VnetcardError
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.lab.sim import SimProcess
from vnetcard.ring import layout as L

WIDTHS = (64, 512)
PINGS = 300
PING_TARGET_MS = 1.0
TCP_TARGET = {64: 150.0, 128: 150.0, 256: 150.0, 512: 1000.0}
"""Mbit/s."""
LIMIT = 120.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Statistics of all samples; 99 of 100 samples are at least as good as ``p99``."""

    samples: int
    mean: float
    p50: float
    p99: float

    @classmethod
    def of(cls, samples: Sequence[float], *, more_is_better: bool) -> Spread:
        """The statistics of ``samples``, of which there is at least one."""
        best_first = sorted(samples, reverse=more_is_better)
        bad = best_first[min(len(best_first) - 1, round(0.99 * len(best_first)))]
        return cls(len(samples), *(round(x, 3) for x in (statistics.fmean(samples), statistics.median(samples), bad)))


@dataclass(frozen=True, slots=True)
class Run:
    """One run: round trips in ms, and Mbit/s of TCP tenth by tenth, in each direction; what the simulator counted."""

    pings: list[float]
    tcp: dict[str, list[float]]
    totals: dict[str, Any]


def pings(lab: Lab) -> list[float]:
    """Round-trip times from host to card in ms; a lost ping ends the program, since its figures would be invalid."""
    command = ["ping", "-i", "0.01", "-c", str(PINGS), "-W", "10", ADDRESSES[L.CARD]]
    done = subprocess.run(
        run_in(lab.namespaces[L.HOST], command), capture_output=True, text=True, check=False, timeout=LIMIT
    )
    times = [float(found) for found in re.findall(r" time=([0-9.]+) ms", done.stdout)]
    if len(times) != PINGS:
        sys.exit(f"live_sim: {PINGS - len(times)} of {PINGS} pings were lost:\n{done.stdout[-500:]}{done.stderr}")
    return times


def tcp(lab: Lab, direction: str, seconds: int) -> list[float]:
    """Mbit/s of iperf3's receiver for each tenth of a second; the first half second is omitted."""
    host, card = lab.namespaces
    server = subprocess.Popen(
        run_in(card, ["iperf3", "-s", "-1", "-J", "-i", "0.1", "-B", ADDRESSES[L.CARD]]),
        stdout=subprocess.PIPE,
        text=True,
    )
    client = ["iperf3", "-J", "-i", "0.1", "-t", str(seconds), "-O", "0.5", "-c", ADDRESSES[L.CARD]]
    client += ["-R"] if direction == "c2h" else []
    try:
        for _ in range(100):
            done = subprocess.run(run_in(host, client), capture_output=True, text=True, check=False, timeout=LIMIT)
            if "Connection refused" not in done.stdout:
                break
        out, _ = server.communicate(timeout=LIMIT)
    finally:
        server.kill()
        server.wait()
    receiver: dict[str, Any] = json.loads(done.stdout if direction == "c2h" else out)
    if "error" in receiver:
        sys.exit(f"live_sim: iperf3: {receiver['error']}")
    sums = [interval["sum"] for interval in receiver["intervals"] if not interval["sum"].get("omitted")]
    return [round(part["bits_per_second"] / 1e6, 1) for part in sums if part["seconds"] > 0.05]


def run(width: int, number: int, seconds: int) -> Run:
    """Run a fresh simulation of ``width`` bits once."""
    name = f"bench-{os.getpid()}-{number}"
    with SimProcess(name, "--data-width", str(width)) as simulator, Lab("bench", window=simulator.url) as lab:
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up(limit=LIMIT)
        round_trips = pings(lab)
        rates = {direction: tcp(lab, direction, seconds) for direction in L.DIRECTIONS}
        return Run(round_trips, rates, simulator.stop())


def measure(width: int, runs: int, seconds: int) -> dict[str, object]:
    """Run ``width`` bits ``runs`` times; prints and returns the figures."""
    done = [run(width, number, seconds) for number in range(runs)]
    ping = Spread.of([time for one in done for time in one.pings], more_is_better=False)
    rates = {
        direction: Spread.of([rate for one in done for rate in one.tcp[direction]], more_is_better=True)
        for direction in L.DIRECTIONS
    }
    met = ping.mean < PING_TARGET_MS and all(rate.p50 >= TCP_TARGET[width] for rate in rates.values())
    print(f"{width:4} bit, {runs} runs: ping mean {ping.mean:.3f} p50 {ping.p50:.3f} p99 {ping.p99:.3f} ms", end="")
    for direction, rate in rates.items():
        print(f"; TCP {direction} mean {rate.mean:.0f} p50 {rate.p50:.0f} p99 {rate.p99:.0f} Mbit/s", end="")
    print(f"  {'targets met' if met else 'TARGETS NOT MET'}", flush=True)
    return {
        "width": width,
        "runs": runs,
        "ping_ms": asdict(ping),
        "ping_ms_by_run": [round(statistics.fmean(one.pings), 3) for one in done],
        "tcp_mbit_per_s": {direction: asdict(rate) for direction, rate in rates.items()},
        "tcp_mbit_per_s_by_run": {
            direction: [round(statistics.fmean(one.tcp[direction]), 1) for one in done] for direction in rates
        },
        "targets": {"ping_mean_ms": PING_TARGET_MS, "tcp_p50_mbit_per_s": TCP_TARGET[width]},
        "met": met,
    }


def main() -> int:
    """Measure all widths; 0 when every target is met, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--widths", type=int, nargs="+", choices=sorted(TCP_TARGET), default=WIDTHS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each iperf3 (%(default)s)")
    args = parser.parse_args()
    before = os.getloadavg()
    try:
        rows = [measure(width, args.runs, args.seconds) for width in args.widths]
    except VnetcardError as error:
        sys.exit(f"live_sim: {error}")
    machine = {"cpus": os.cpu_count(), "load_average_before": before, "load_average_after": os.getloadavg()}
    figures = report.circumstances(["verilator"]) | {"machine": machine, "figures": rows}
    path = report.RESULTS / "live_sim.json"
    report.write(path, figures)
    print(f"load average {before[0]:.1f} before, {os.getloadavg()[0]:.1f} after; written to {path.name}")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
