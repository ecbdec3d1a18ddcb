"""What limits a link with more cores, queue pairs and a bus: ``make bench-scaling``; needs root and a quiet machine.

Measures what 64 KiB of a TCP stream cost each stage, over one and over two queue pairs; checks that the model
(``pipeline.py``) predicts the throughput of this machine from these costs; and prints what it says of machines that
we have not: 32 cores, and the card behind PCI Express 4.0 x8.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import report
from pipeline import Outcome, Pipeline, Stage

from vnetcard.bench import iperf, proc
from vnetcard.bench.contenders.agents import AgentsContender
from vnetcard.bench.ready import wait_until_it_carries
from vnetcard.errors import VnetcardError
from vnetcard.ring import layout as L

UNIT: Final = 65536
"""Bytes of a packet of the model: a super-packet."""
STREAMS: Final = {1: 1, 2: 8}
"""Streams by queue pairs: flows are spread by their hash, so that two streams may meet on one pair."""
ROOM: Final = (2 << 20) // UNIT
"""Super-packets that a ring of the default window holds."""
PACKETS: Final = 20_000
MACHINES: Final = ((1, 2), (2, 2), (1, 32), (4, 32), (16, 32))
"""Queue pairs and cores that the model is asked about."""

PCIE_RATE: Final = 16e9 * 8 * 128 / 130 / 8
"""Bytes a second of PCI Express 4.0 x8: 16 GT/s, 8 lanes, 128b/130b (PCI Express Base Specification 4.0)."""
PCIE_TLP: Final = 256 / (256 + 24)
"""Payload of a memory write of 256 bytes with its framing (4), 64-bit header (16) and LCRC (4)."""
PCIE_DLLP: Final = 0.985
"""What acknowledgements and flow control leave: about one packet of 8 bytes for each two of the other direction."""
ENGINE_RATE: Final = 64 * 250e6 * 0.95
"""Bytes a second of the engine: 512 bits, 250 MHz, the efficiency of hdl/README.md."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of CPU time for 64 KiB by stage, and what was carried, in Gbit/s."""

    sender: float
    tx: float
    rx: float
    receiver: float
    answers: float
    """Both pumps of the other direction: acknowledgements."""
    gbit: float
    cores: float
    """The share of all cores that was in use."""

    def stages(self) -> list[Stage]:
        """The stages of the model, without a bus."""
        names = ("sender", "tx", "rx", "receiver", "answers")
        return [Stage(name, getattr(self, name)) for name in names]


def thread_seconds(pid: int) -> dict[str, float]:
    """CPU seconds by thread name."""
    found: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            name = (task / "comm").read_text().strip()
            found[name] = found.get(name, 0.0) + int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def measure(queues: int, congestion: str, seconds: float) -> Costs:
    """Run TCP over ``queues`` queue pairs once."""
    options = ("--queues", str(queues), "--steering", "kernel") if queues > 1 else ()
    window = queues * L.WINDOW_DEFAULT
    with contextlib.closing(AgentsContender(window_bytes=window, options=options)) as contender:
        contender.prepare()
        contender.start(mtu=1500)
        wait_until_it_carries(contender)
        before, worked = [thread_seconds(pid) for pid in contender.pids], proc.machine_seconds()
        done = iperf.run(contender, seconds, ["-C", congestion, "-P", str(STREAMS[queues])])
        worked = proc.machine_seconds() - worked
        after = [thread_seconds(pid) for pid in contender.pids]
        contender.check()
    host, card = (
        {name: now[name] - then.get(name, 0.0) for name in now} for then, now in zip(before, after, strict=True)
    )
    end = done.client["end"]
    got, programs = done.server["end"]["sum_received"], end["cpu_utilization_percent"]
    lasted = end["sum_sent"]["seconds"]
    units = got["bytes"] / UNIT

    def cost(cpu_seconds: float) -> float:
        return float(cpu_seconds / units * 1e6)

    return Costs(
        cost(programs["host_total"] / 100 * lasted),
        cost(host["vnc-tx"]),
        cost(card["vnc-rx"]),
        cost(programs["remote_total"] / 100 * lasted),
        cost(host["vnc-rx"] + card["vnc-tx"]),
        got["bits_per_second"] / 1e9,
        worked / lasted / (os.cpu_count() or 1),
    )


def median(costs: Sequence[Costs]) -> Costs:
    """The median of each value."""
    return Costs(**{name: statistics.median(getattr(one, name) for one in costs) for name in asdict(costs[0])})


def per_queue(costs: Costs, queues: int) -> list[Stage]:
    """Stages as ``Costs.stages``; iperf3 before 3.16 is one thread for all its streams, and so one stage for all."""
    return [
        Stage(stage.name, stage.time, shared=queues > 1 and stage.name in ("sender", "receiver"))
        for stage in costs.stages()
    ]


def bus() -> list[Stage]:
    """PCI Express and the engine, which need no core and serve all queue pairs."""
    pcie = UNIT / (PCIE_RATE * PCIE_TLP * PCIE_DLLP) * 1e6
    return [
        Stage("PCIe 4.0 x8", pcie, core=False, shared=True),
        Stage("engine", UNIT / ENGINE_RATE * 1e6, core=False, shared=True),
    ]


def gbit(outcome: Outcome) -> float:
    """The rate in Gbit/s."""
    return outcome.rate * UNIT * 8 / 1e3


def predict(stages: Sequence[Stage], queues: int, cores: int) -> Outcome:
    """What the model says of ``queues`` queue pairs on ``cores``."""
    return Pipeline(stages, queues=queues, cores=cores, room=ROOM).run(PACKETS)


def with_bus(stages: Sequence[Stage]) -> list[Stage]:
    """``stages`` with the bus between the two pumps."""
    return [*stages[:2], *bus(), *stages[2:]]


def table(costs: Mapping[int, Costs]) -> list[dict[str, object]]:
    """What the model says of MACHINES, over shared memory and over the bus; each program has a thread a stream."""
    rows: list[dict[str, object]] = []
    for queues, cores in MACHINES:
        stages = costs[1 if queues == 1 else 2].stages()
        for name, chosen in (("shared memory", stages), ("PCIe 4.0 x8", with_bus(stages))):
            outcome = predict(chosen, queues, cores)
            rows.append(
                {"queues": queues, "cores": cores, "way": name, "gbit": round(gbit(outcome), 1), "limit": outcome.limit}
            )
    return rows


def main() -> int:
    """Measure, check the model, print what it says: 0 when it is within ``--within`` of what was measured, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="of each kind (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="of each iperf3 (default: %(default)s)")
    parser.add_argument("--congestion", default="cubic", help="TCP's congestion control (default: %(default)s)")
    parser.add_argument("--within", type=float, default=0.15, help="share that the model may be wrong (%(default)s)")
    args = parser.parse_args()
    runs: dict[int, list[Costs]] = {queues: [] for queues in STREAMS}
    try:
        for _ in range(args.rounds):
            for queues, done in runs.items():
                done.append(measure(queues, args.congestion, args.seconds))
    except VnetcardError as error:
        sys.exit(f"scaling: {error}")
    costs = {queues: median(done) for queues, done in runs.items()}
    cores, good = os.cpu_count() or 1, True
    checks = []
    for queues, one in costs.items():
        said = gbit(predict(per_queue(one, queues), queues, cores))
        wrong = said / one.gbit - 1
        good = good and abs(wrong) <= args.within
        print(f"{queues} queue pair(s), {STREAMS[queues]} stream(s): us for 64 KiB:", end=" ")
        print(", ".join(f"{stage.name} {stage.time:.1f}" for stage in one.stages()), end="; ")
        print(f"{one.gbit:.1f} Gbit/s, {one.cores:.0%} of {cores} cores; the model says {said:.1f} ({wrong:+.0%})")
        checks.append({"queues": queues, "costs": asdict(one), "model_gbit": round(said, 2)})
    rows = table(costs)
    for row in rows:
        print(f"{row['queues']:3} pairs, {row['cores']:2} cores, {row['way']}: {row['gbit']} Gbit/s ({row['limit']})")
    figures = {"rounds": args.rounds, "congestion": args.congestion, "checks": checks, "predictions": rows}
    report.write(report.RESULTS / "scaling.json", report.circumstances([]) | figures)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
