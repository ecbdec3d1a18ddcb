"""The command of ``make matrix``."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.matrix import report
from tests.matrix.cell import Cell, Result
from tests.matrix.debian import run_in_release
from tests.matrix.interpreters import run_with_python
from tests.matrix.kernels import run_with_kernel
from tests.matrix.quick_part import ROOT
from vnetcard.terminal.arguments import Parser

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
DEBIANS = {"12": "bookworm", "13": "trixie"}
KERNELS = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
"""The kernels before 6.2 have no USO."""
FOLDER = ROOT / ".cache/matrix"


def cells(folder: Path) -> list[Cell]:
    """All cells, in the order in which they run; ``folder`` keeps copies, environments and systems."""
    pythons = [Cell(f"python-{version}", functools.partial(run_with_python, version, folder)) for version in PYTHONS]
    debians = [
        Cell(f"debian-{number}", functools.partial(run_in_release, name, folder)) for number, name in DEBIANS.items()
    ]
    kernels = [
        Cell(f"kernel-{version}", functools.partial(run_with_kernel, version, release))
        for version, release in KERNELS.items()
    ]
    return [*pythons, *debians, *kernels]


def run_cells(wanted: Sequence[Cell], folder: Path, json_file: Path) -> int:
    """Run ``wanted`` one after the other, print the table, write the JSON file; the exit status."""
    folder.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    for cell in wanted:
        print(f"matrix: {cell.name} ...", file=sys.stderr, flush=True)
        results.append(cell.result(folder / f"{cell.name}.log"))
        report.write_json(json_file, results, ROOT)  # after each: an interrupted run leaves what it has
        print(report.row(results[-1]), file=sys.stderr, flush=True)
    print(report.header())
    for result in results:
        print(report.row(result))
    print(f"{report.summary(results)}; JSON: {json_file}", flush=True)
    return report.status(results)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cells that are named, or all."""
    known = {cell.name: cell for cell in cells(FOLDER)}
    parser = Parser(
        prog="make matrix",
        description=__doc__,
        epilog="Exit status: 0 when every cell passed, 1 when one failed, 3 when none failed but one is not available.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"{', '.join(known)} (default: all)")
    parser.add_argument("--json", type=Path, default=FOLDER / "matrix.json", metavar="FILE", help="(%(default)s)")
    args = parser.parse_args(argv)
    for name in args.cells:
        if name not in known:
            parser.error(f"no cell {name!r} (cells: {', '.join(known)})")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what a cell has started ends, too
    os.environ["XDG_CACHE_HOME"] = str(ROOT / ".cache")  # guests, as the tests have them
    return run_cells([known[name] for name in args.cells] or list(known.values()), FOLDER, args.json)


if __name__ == "__main__":
    sys.exit(main())
