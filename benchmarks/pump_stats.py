"""What it costs the pumps to count and time their batches (vnc_stats.h): ``make bench-pump-stats``.

As in ``taps.py`` both pumps run in one thread, without system calls; two builds, with and without the batches,
alternate.  A batch costs something, a record nothing.  A batch ends where a pump waits, at least a system call,
and with that the cost is compared.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import report
import taps

BATCHES: Final = (1, 8, 64)
WAIT_NS: Final = 2 * 2000
"""What the two waits of a batch, a poll and a futex that sleep and are woken, take at least."""
FREE: Final = 0.05
"""This share of it could not be measured on a link, and counts as no cost."""


def main() -> int:
    """Measure, print a table, and write the figures: 0 when the figures cost next to nothing, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=21, help="of each kind (default: %(default)s)")
    parser.add_argument("--records", type=int, default=400_000, help="a turn (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    figures = {}
    print(f"{'batch':>6}{'ns/record without':>22}{'with':>10}{'over, per batch':>16}")
    with TemporaryDirectory() as name:
        plain, counting = (taps.build(Path(name), 0, f"-DVNC_STATS={stats}") for stats in (0, 1))
        for batch in BATCHES:
            times: dict[Path, list[float]] = {plain: [], counting: []}
            for turn in range(args.turns):
                for program in (plain, counting) if turn % 2 else (counting, plain):
                    ns, _ = taps.measure(program, 0, args.records // batch, batch)
                    times[program].append(ns)
            pairs = zip(times[plain], times[counting], strict=True)
            more = statistics.median(after - before for before, after in pairs) * batch
            without, with_batches = (statistics.median(times[program]) for program in (plain, counting))
            figures[str(batch)] = {"without_ns": without, "with_ns": with_batches, "more_ns_a_batch": more}
            print(f"{batch:6}{without:22.1f}{with_batches:10.1f}{more:+13.1f} ns")
    most = max(figure["more_ns_a_batch"] for figure in figures.values())
    print(f"at most {most:+.0f} ns per batch: {most / WAIT_NS:+.1%} of the least that its two waits take")
    if args.output:
        report.write(args.output, {**report.circumstances([]), "turns": args.turns, "batches": figures})
    return 0 if most / WAIT_NS < FREE else 1


if __name__ == "__main__":
    sys.exit(main())
