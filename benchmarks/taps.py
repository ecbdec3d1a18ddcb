"""What it costs the pumps that somebody could look, and that somebody does: ``make bench-taps``.

Both pumps move batches of records in one thread, with the system calls taken out, so that nothing hides the rest:
built without taps, with taps and nobody looking, and with somebody who wants every stage of one record in 16, or of
each.  The kinds take turns; a figure is the median over the rounds, and so is each ratio to the kind without taps.
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
KINDS: Final = {"no taps": (0, 0), "nobody looks": (1, 0), "1 in 16": (1, 16), "every record": (1, 1)}
"""Name: value of VNC_TAPS, and the sample."""
BATCH: Final = 64
FREE: Final = 0.02
"""So much of a system call's time, which a record takes two of, counts as nothing."""
CALL_NS: Final = 1000
"""A readv or writev of a TUN takes at least this (docs/performance.md)."""


def build(folder: Path, taps: int, *more: str) -> Path:
    """The program, as the core is compiled; ``more`` flags make it another one."""
    program = folder / "".join([f"taps{taps}", *more])
    sources = [HERE / "taps/main.c", *(CORE / f"vnc_{name}.c" for name in ("pump", "tx", "rx", "turn", "tap"))]
    flags = ["-std=gnu11", "-O2", "-pthread", f"-DVNC_TAPS={taps}", f"-I{CORE}", "-Wl,--wrap=readv,--wrap=writev"]
    subprocess.run(["gcc", *flags, "-o", str(program), *more, *map(str, sources)], check=True)
    return program


def measure(program: Path, sample: int, rounds: int, batch: int = BATCH) -> tuple[float, int]:
    """Nanoseconds a record, and events noted; an AssertionError when not every record arrived."""
    command = [str(program), str(rounds), str(batch), str(sample)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ns, delivered, noted = done.stdout.split()
    assert int(delivered) == rounds * batch, f"{delivered} of {rounds * batch} records arrived"
    return float(ns), int(noted)


def main() -> int:
    """Measure, print a table, and write the figures: 0 when nobody looking costs nothing, else 1."""
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
                ns, noted = measure(programs[taps], sample, args.rounds)
                times[kind].append(ns)
                events[kind] = noted / args.rounds / BATCH
    base = times["no taps"]
    figures = {}
    print(f"{'':14}{'ns a record':>12}{'spread':>9}{'more than no taps':>20}{'events a record':>17}")
    for kind, all_ns in times.items():
        more = statistics.median(one - other for one, other in zip(all_ns, base, strict=True))
        low, _, high = statistics.quantiles(all_ns, n=4)
        median = statistics.median(all_ns)
        figures[kind] = {"ns": median, "quartiles": [low, high], "more_ns": more, "events": events[kind]}
        print(f"{kind:14}{median:12.1f}{(high - low) / median:9.1%}{more:+17.2f} ns{events[kind]:17.2f}")
    idle = figures["nobody looks"]["more_ns"]
    assert isinstance(idle, float)
    share = idle / (2 * CALL_NS)
    print(f"nobody looks: {idle:+.2f} ns a record, {share:+.2%} of the least that its two system calls take")
    if args.output:
        report.write(args.output, {**report.circumstances([]), "turns": args.turns, "kinds": figures})
    return 0 if share < FREE else 1


if __name__ == "__main__":
    sys.exit(main())
