"""``python -m vnetcard.hdl.synth``: size and speed on an ECP5 against the record; exit 1 when something got worse.

A yardstick to compare commits, by open tools; it is not evidence for other FPGA families.  With ``--families`` the
size alone, on several families.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from vnetcard.hdl.synth import families, flow, yardstick
from vnetcard.hdl.tools import ToolMissing

HEADER = f"{'bits':>5} {'LUTs':>6} {'FFs':>6} {'LUT RAM':>8} {'block RAM':>10} {'MHz':>6} {'target':>7}  slowest path"


def measure(width: int, *, routed: bool) -> yardstick.Measured:
    with TemporaryDirectory(prefix="vnetcard-synth-") as name:
        size = flow.synthesize(width, Path(name))
        return yardstick.Measured(width, size, flow.route(width, Path(name)) if routed else None)


def line(row: yardstick.Measured) -> str:
    size, speed = row.size, row.speed
    cells = f"{row.width:>5} {size.luts:>6} {size.ff:>6} {size.lut_ram:>8} {size.block_ram:>10}"
    if speed is None:
        return f"{cells} {'-':>6} {'-':>7}"
    return f"{cells} {speed.mhz:>6} {flow.TARGETS_MHZ[row.width]:>7g}  {speed.path_from} -> {speed.path_to}"


def measure_families(names: list[str], *, record: bool) -> None:
    """Print the size of each width on each family; with ``record`` store it and print the table of the README."""
    found: families.Table = {}
    print(f"{'family':12} {'bits':>5} {'LUTs':>6} {'carries':>8} {'FFs':>6} {'LUT RAM':>8} {'block RAM':>10}")
    for name in names:
        for width in families.WIDTHS:
            with TemporaryDirectory(prefix="vnetcard-synth-") as folder:
                row = families.measure(families.FAMILIES[name], width, Path(folder))
            found.setdefault(name, {})[width] = row
            cells = f"{row.luts:>6} {row.carries:>8} {row.registers:>6} {row.lut_rams:>8} {row.block_rams:>10}"
            print(f"{name:12} {width:>5} {cells}", flush=True)
    if record:
        families.save(yardstick.rtl_digest(), found)
        print(f"\nfor hdl/README.md:\n{families.text(found)}\n")


def end(_signal: int, _frame: FrameType | None) -> None:
    """Exit by an exception, so that the temporary folder is removed."""
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vnetcard.hdl.synth", description=__doc__)
    widths = sorted(flow.TARGETS_MHZ)
    parser.add_argument("--widths", type=int, nargs="+", choices=widths, default=widths)
    parser.add_argument(
        "--size-only", action="store_true", help="skip placement and routing (seconds instead of minutes)"
    )
    parser.add_argument(
        "--families",
        nargs="*",
        choices=list(families.FAMILIES),
        metavar="NAME",
        help=f"the size alone, on these (default: all of {', '.join(families.FAMILIES)}); minutes each",
    )
    parser.add_argument("--record", action="store_true", help="store the result as the record")
    given = parser.parse_args()
    if given.record and given.widths != widths:
        parser.error("--record needs all widths: omit --widths")
    if given.record and given.families:
        parser.error("--record needs all families: give --families without names")
    signal.signal(signal.SIGTERM, end)
    try:
        if given.families is not None:
            measure_families(given.families or list(families.FAMILIES), record=given.record)
            return 0
        print(HEADER)
        measured = {}
        for width in given.widths:
            measured[width] = measure(width, routed=not given.size_only)
            print(line(measured[width]), flush=True)
    except (flow.SynthError, ToolMissing) as error:
        print(f"synth: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if given.record:
        yardstick.save(measured)
        print(f"\nfor hdl/README.md:\n{yardstick.table(measured)}\n")
    if not yardstick.RECORD.exists():
        print(f"{yardstick.RECORD} is missing: create it with --record", file=sys.stderr)
        return 1
    record = yardstick.load()
    wrong = [text for width, row in measured.items() for text in yardstick.complaints(row, record[width])]
    print("\n".join(wrong) or "size and speed are within hdl/synth/yardstick.json")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
