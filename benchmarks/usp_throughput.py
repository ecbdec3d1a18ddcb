"""Measure the throughput of the engine behind the UltraScale+ bridge: ``make bench-usp``.

A ring of 64 KiB is moved between the card's memory and cocotbext-pcie's model of a host: Gen3 x8 at 256 bit, and Gen3
x16 at 512 bit, both at 250 MHz.  The figure is the rate at which its bytes arrive, in bytes per cycle; and its share of
the limit, the smaller of two rates of TLPs with a payload of the maximum payload size P:

    link       P bytes of P + header + 8 (framing and LCRC) at 8 GT/s per lane, coded 128b/130b
    interface  P bytes in as many beats of RQ (writes, a descriptor of 16 bytes) or RC (reads, 12 bytes) as they need

The header has 16 bytes for writes, whose addresses have 64 bits, and 12 for completions.  Reads are answered after
``latency`` ns in the host.  The model spends some of the link on acknowledgements and credits, as a link does.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import report

sys.path.insert(0, str(report.ROOT))

from tests.hdl import build, usp_build

CYCLE_NS = 4
LANES = {256: 8, 512: 16}
BYTES_PER_NS_AND_LANE = 128 / 130
OVERHEAD = 8
TARGET, TARGET_WIDTH = 0.9, 256


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement; sizes in bytes."""

    width: int
    payload: int
    request: int
    latency_ns: int
    directions: tuple[str, ...]

    def limit(self, direction: str) -> float:
        """The limit of ``direction`` in bytes per cycle."""
        header, descriptor = (16, 16) if direction == "c2h" else (12, 12)
        payload = self.payload if direction == "c2h" else min(self.payload, self.request)
        rate = LANES[self.width] * BYTES_PER_NS_AND_LANE * CYCLE_NS
        beats = math.ceil((payload + descriptor) / (self.width // 8))
        return min(payload / (payload + header + OVERHEAD) * rate, payload / beats)


RUNS = [
    *(Run(256, payload, 512, 0, ("c2h",)) for payload in (128, 256, 512, 1024)),
    *(Run(256, payload, 512, 0, ("h2c",)) for payload in (128, 256, 512)),
    *(Run(256, payload, 512, 600, ("h2c",)) for payload in (256, 512)),
    Run(256, 256, 4096, 600, ("h2c",)),
    Run(256, 256, 512, 0, ("c2h", "h2c")),
    Run(512, 256, 512, 0, ("c2h",)),
    Run(512, 512, 512, 0, ("c2h",)),
    Run(512, 512, 512, 0, ("h2c",)),
]


@dataclass(frozen=True, slots=True)
class Figure:
    """The rate of one direction of a run, in bytes per cycle, and its share of the limit."""

    width: int
    payload: int
    request: int
    latency_ns: int
    duplex: bool
    direction: str
    bytes_per_cycle: float
    limit: float
    share: float

    @property
    def target(self) -> float | None:
        """The target of one direction alone at 256 bit; with both, and at 512 bit, there is none."""
        return TARGET if self.width == TARGET_WIDTH and not self.duplex else None

    @property
    def missed(self) -> bool:
        return self.target is not None and self.share < self.target


HEADER = "bits payload request latency  direction  bytes/cycle  limit  share  target"


def line(row: Figure) -> str:
    target = "" if row.target is None else f"{'MISSED' if row.missed else 'ok'} {row.target}"
    both = " +" if row.duplex else ""
    return (
        f"{row.width:>4} {row.payload:>7} {row.request:>7} {row.latency_ns:>7}  {row.direction + both:<9} "
        f"{row.bytes_per_cycle:>12.2f} {row.limit:>6.2f} {row.share:>6.3f}  {target}"
    )


def measure(run: Run, built: Path, file: Path) -> Iterator[Figure]:
    """Simulate ``run`` with the build in the folder ``built``; an invalid run ends this program."""
    env = {"VNETCARD_USP_RUN": json.dumps(asdict(run)), "VNETCARD_USP_FIGURES": str(file), "VNETCARD_STALL": "calm"}
    outcome = build.simulate(
        built, "throughput", module="cases_usp_throughput", seed="1", extra_env=env, top=usp_build.ENGINE
    )
    if outcome.why:
        sys.exit(f"bench: {outcome.output[-4000:]}\n{outcome.why}")
    for direction, rate in json.loads(file.read_text()).items():
        limit = run.limit(direction)
        yield Figure(
            run.width, run.payload, run.request, run.latency_ns, len(run.directions) > 1, direction,
            round(rate, 3), round(limit, 3), round(rate / limit, 4),
        )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", choices=tuple(LANES), default=list(LANES))
    parser.add_argument("--output", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    rows = []
    with TemporaryDirectory(prefix="vnetcard-bench-") as folder, pytest.MonkeyPatch.context() as patch:
        build.use_verilator(patch)
        print(HEADER)
        for width in given.widths:
            built = usp_build.kept(Path(folder) / f"w{width}", usp_build.ENGINE, width)
            for run in (run for run in RUNS if run.width == width):
                for row in measure(run, built, Path(folder) / "figures.json"):
                    print(line(row), flush=True)
                    rows.append(row)
    missed = sum(row.missed for row in rows)
    if given.output:
        figures = report.circumstances(["verilator", "cocotb", "cocotbext-pcie"])
        report.write(given.output, figures | {"throughput": [asdict(row) for row in rows], "missed": missed})
    print(f"\n{missed} targets missed" if missed else "\nall targets reached")
    return 1 if missed else 0


if __name__ == "__main__":
    os.environ.setdefault("VNETCARD_SEED", "1")
    sys.exit(main())
