"""What taps cost the pumps, without a reader and with one: ``make bench-taps``.

Both pumps move batches of records in one thread, with the system calls replaced, so that nothing hides the rest: built
without taps, with taps and no reader, and with a reader of every stage of one record in 16, or of each.  The kinds
alternate; a figure is the median over the turns, and so is each difference to the kind without taps.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import report

HERE: Final = Path(__file__).parent
CORE: Final = report.ROOT / "vnetcard/_c"
PUMP: Final = ("pump_core", "pump_thread", "inline", "tx", "rx", "tap")
KINDS: Final = {"no taps": (0, 0), "no reader": (1, 0), "1 in 16": (1, 16), "every record": (1, 1)}
"""Name: value of VNC_TAPS, and the sample."""
BATCH: Final = 64
FREE: Final = 0.02
"""This share of the time of the two system calls that a record takes counts as no cost."""
CALL_NS: Final = 1000
"""A readv or writev of a TUN takes at least this (docs/performance.md)."""


def build(folder: Path, taps: int, *more: str) -> Path:
    """Compile the benchmark with the pumps; ``more`` are further flags."""
    program = folder / "".join([f"taps{taps}", *more])
    sources = [HERE / "taps/main.c", *(CORE / f"vnc_{name}.c" for name in PUMP)]
    flags = ["-std=gnu11", "-O2", "-pthread", f"-DVNC_TAPS={taps}", f"-I{CORE}", "-Wl,--wrap=readv,--wrap=writev"]
    subprocess.run(["gcc", *flags, "-o", str(program), *more, *map(str, sources)], check=True)
    return program


def measure(program: Path, sample: int, rounds: int, batch: int = BATCH) -> tuple[float, int]:
    """Nanoseconds per record, and events written; an AssertionError when not every record arrived."""
    command = [str(program), str(rounds), str(batch), str(sample)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ns, delivered, written = done.stdout.split()
    assert int(delivered) == rounds * batch, f"{delivered} of {rounds * batch} records arrived"
    return float(ns), int(written)


def main() -> int:
    """Measure, print a table, and write the figures: 0 when taps without a reader cost nothing, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=21, help="of all kinds (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=20_000, help="batches a turn (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    events: dict[str, float] = {}
    with TemporaryDirectory() as name:
        programs = {taps: build(Path(name), taps) for taps in (0, 1)}
        for turn in range(args.turns):
            order = list(KINDS.items())
            for kind, (taps, sample) in order if turn % 2 else reversed(order):
                ns, written = measure(programs[taps], sample, args.rounds)
                times[kind].append(ns)
                events[kind] = written / args.rounds / BATCH
    base = times["no taps"]
    figures = {}
    print(f"{'':14}{'ns/record':>12}{'spread':>9}{'over no taps':>20}{'events/record':>17}")
    for kind, all_ns in times.items():
        more = statistics.median(one - other for one, other in zip(all_ns, base, strict=True))
        low, _, high = statistics.quantiles(all_ns, n=4)
        median = statistics.median(all_ns)
        figures[kind] = {"ns": median, "quartiles": [low, high], "more_ns": more, "events": events[kind]}
        print(f"{kind:14}{median:12.1f}{(high - low) / median:9.1%}{more:+17.2f} ns{events[kind]:17.2f}")
    idle = figures["no reader"]["more_ns"]
    assert isinstance(idle, float)
    share = idle / (2 * CALL_NS)
    print(f"no reader: {idle:+.2f} ns per record, {share:+.2%} of the least that its two system calls take")
    if args.output:
        report.write(args.output, {**report.circumstances([]), "turns": args.turns, "kinds": figures})
    return 0 if share < FREE else 1


if __name__ == "__main__":
    sys.exit(main())
