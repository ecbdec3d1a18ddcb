"""Throughput of the engine behind LitePCIe's own core, by ``PCIeAXISlave`` and by LitePCIe's ``LitePCIeAXISlave``.

Simulated: LitePCIe's generated RTL between the engine and a root complex at the streams of its PHY, at 100 MHz.  The
root complex accepts a beat in each cycle, answers a read after ``--latency`` ns (and up to a quarter more), and sends
completions of up to 256 bytes without a pause; the maximum payload is 256, the maximum read request 512 bytes; eight
reads may be outstanding.  One
doorbell moves 64 KiB, in one direction and then in both at once.  A record is one of 64 bytes in an idle engine, from
its doorbell in the register of the host (through BAR0) or card to its index, to 80 ns.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import report

sys.path.insert(0, str(report.ROOT))

from tests.hdl import build, litepcie_build
from tests.hdl.cases_litepcie_speed import RING

WIDTHS = (64, 128, 256, 512)
STOCK_WIDTHS = (64, 128)
LATENCIES = (200, 600, 1500)
TAGS = 8
"""LiteX's default."""
TARGETS = {"h2c_gbit_s": 2.0, "c2h_gbit_s": 1.3}
"""Least ratio to LitePCIe's slave at the same width and latency; hdl/README.md says what prevents them."""


def measure(folder: Path, kind: str, width: int, latency: int) -> dict[str, float]:
    """The figures of one bench; the program ends when the run fails."""
    bench, file = folder / f"{kind}-w{width}", folder / "figures.json"
    if not bench.exists():
        litepcie_build.kept(bench, kind, width, TAGS)
    environment = {"VNETCARD_FIGURES": str(file), "VNETCARD_STOCK": str(int(kind == "stock"))}
    outcome = build.simulate(
        bench,
        "figures",
        module="cases_litepcie_speed",
        top=litepcie_build.TOP,
        seed="1",
        extra_env=environment | {"VNETCARD_LATENCY": str(latency)},
    )
    if outcome.why:
        sys.exit(f"bench: {kind} at {width} bit: {outcome.why}\n{outcome.output[-3000:]}")
    figures: dict[str, float] = json.loads(file.read_text())
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", choices=WIDTHS, default=list(WIDTHS))
    parser.add_argument("--latency", type=int, nargs="+", default=list(LATENCIES), metavar="NS")
    parser.add_argument("--output", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    if min(given.latency) < 0:
        parser.error(f"--latency {min(given.latency)} is out of range (0 or more)")
    rows: list[dict[str, object]] = []
    missed = 0
    with TemporaryDirectory(prefix="vnetcard-bench-") as folder, pytest.MonkeyPatch.context() as patch:
        build.use_verilator(patch)
        for width in given.widths:
            for latency in given.latency:
                found = {}
                for kind in ("stock", "engine") if width in STOCK_WIDTHS else ("engine",):
                    found[kind] = measure(Path(folder), kind, width, latency)
                    rows.append({"slave": kind, "width": width, "latency_ns": latency} | found[kind])
                    print(f"{kind:>6} {width:>3} bit {latency:>4} ns {found[kind]}", flush=True)
                if len(found) == 2:
                    for name, least in TARGETS.items():
                        ratio = found["engine"][name] / found["stock"][name]
                        missed += ratio < least
                        print(f"       {name}: {ratio:.2f} times, target {least}{' MISSED' if ratio < least else ''}")
    if given.output:
        figures = report.circumstances(["litepcie", "litex", "migen", "verilator"]) | {
            "parameters": {"bytes": RING, "mhz": 100, "tags": TAGS, "payload": 256, "request": 512},
            "figures": rows,
            "missed": missed,
        }
        report.write(given.output, figures)
    print(f"\n{missed} targets missed" if missed else "\nall targets reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
