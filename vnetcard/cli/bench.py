"""``vnetcard bench``: how fast this is, beside other ways to join two computers, on this machine and in one run."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vnetcard.errors import ConfigError
from vnetcard.terminal.arguments import Subparsers, add_command, interrupt, printable

if TYPE_CHECKING:
    from vnetcard.bench.runner import Plan


QUICK = {"rounds": 3, "seconds": 1.0}
FULL = {"rounds": 5, "seconds": 3.0}
LIMITS = {"rounds": (1, 100), "seconds": (0.2, 60.0)}

EPILOG = """\
examples:
  vnetcard bench --quick                              a few minutes
  vnetcard bench                                      everything; about an hour
  vnetcard bench --ways vnetcard,splice --loads tcp,ping
  vnetcard bench --quick --output results             bench.json and bench.svg into a folder
  vnetcard bench --quick --check results/bench.json   has it become slower beside the others?

Needs root, and a machine that does nothing else.
exit status: 0 every figure is valid, 1 one had to be refused or is much worse than recorded, 2 bad input
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``bench`` to the commands."""
    parser = add_command(
        subparsers,
        "bench",
        help="speed beside veth, a splice of two TUNs and what else is installed",
        description="Join two network namespaces by vnetcard and by other ways in turn, and compare what they carry.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("--quick", action="store_true", help="the loads that tell most, 3 rounds of 1 second")
    parser.add_argument("--ways", metavar="NAMES", help="comma list (default: all that are installed)")
    parser.add_argument("--loads", metavar="NAMES", help="comma list (default: all, or those of --quick)")
    parser.add_argument("--rounds", type=int, metavar="N", help="(5; with --quick 3)")
    parser.add_argument("--seconds", type=float, metavar="S", help="of each load (3; with --quick 1)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write bench.json and bench.svg there")
    parser.add_argument("--check", type=Path, metavar="FILE", help="a bench.json: status 1 if ratios are much worse")
    parser.add_argument("--label", default="", metavar="TEXT", help="what was measured, such as a commit; for the JSON")
    parser.add_argument("--json", action="store_true", help="print the results as JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Measure and report; 0, or 1 when a figure had to be refused."""
    from vnetcard.bench import check, report, runner

    plan, absent = make_plan(args)
    recorded = check.read(args.check) if args.check else None
    if args.output and not args.output.is_dir():
        raise ConfigError(f"--output {args.output}: there is no such folder")
    if os.geteuid() != 0:
        raise ConfigError("the bench makes network namespaces and interfaces: run it as root")
    signal.signal(signal.SIGTERM, interrupt)
    results = runner.Runner(plan, lambda text: print(printable(text), file=sys.stderr, flush=True)).run()
    told = report.as_json(plan, results, absent, label=args.label)
    if args.json:
        print(json.dumps(told, indent=1))
    else:
        print("\n".join(report.lines(plan, results, absent)))
    if args.output:
        write(args.output, told)
    verdicts = list(check.compare(told["figures"], recorded)) if recorded is not None else []
    for good, text in verdicts:
        print(f"{'good' if good else 'WORSE':8} {text}", file=sys.stderr)
    if recorded is not None and not verdicts:
        raise ConfigError(f"--check {args.check}: it has none of the ratios that were measured")
    return 1 if results.refused or not all(good for good, _ in verdicts) else 0


def make_plan(args: argparse.Namespace) -> tuple[Plan, dict[str, str]]:
    """What is to be done, and which ways cannot be taken and why; ConfigError for what is not possible."""
    from vnetcard.bench import rings
    from vnetcard.bench.contenders import WAYS
    from vnetcard.bench.load import LOADS, QUICK_LOADS
    from vnetcard.bench.programs import missing
    from vnetcard.bench.runner import Plan

    ways = chosen("--ways", args.ways, WAYS, [way for way in WAYS if not (args.quick and WAYS[way].loads)])
    known = [*LOADS, rings.LOAD]
    loads = chosen("--loads", args.loads, known, [*QUICK_LOADS, rings.LOAD] if args.quick else known)
    numbers = dict(QUICK if args.quick else FULL)
    for name, (least, most) in LIMITS.items():
        given = getattr(args, name)
        if given is None:
            continue
        if not least <= given <= most:
            raise ConfigError(f"--{name} {given} must lie in {least} to {most}")
        numbers[name] = given
    if why := missing("ip", "ping", "iperf3"):
        raise ConfigError(why)
    absent = {way: why for way in ways if (why := WAYS[way].missing())}
    if rings.LOAD in loads:
        absent |= rings.missing()
    present = [way for way in ways if way not in absent]
    if not present:
        raise ConfigError("; ".join(f"{way}: {why}" for way, why in absent.items()))
    return Plan(present, loads, int(numbers["rounds"]), numbers["seconds"]), absent


def chosen(option: str, text: str | None, known: Iterable[str], default: Iterable[str] | None = None) -> list[str]:
    """The names of a comma list, each once; ConfigError for one that is not known."""
    if text is None:
        return list(default if default is not None else known)
    names = list(dict.fromkeys(name for name in text.split(",") if name))
    for name in names:
        if name not in known:
            raise ConfigError(f"{option} {name!r} is not known: {', '.join(known)}")
    if not names:
        raise ConfigError(f"{option} names nothing: {', '.join(known)}")
    return names


def write(folder: Path, told: dict[str, Any]) -> None:
    """Figures of an earlier run that this one did not measure stay, each with its own date and label."""
    from vnetcard.bench.plot import draw

    path = folder / "bench.json"
    try:
        if path.exists():
            told = told | {"figures": kept(path) | told["figures"]}
        path.write_text(json.dumps(told, indent=1) + "\n")
        (folder / "bench.svg").write_text(draw(told))
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot write it ({error.strerror})") from error


def kept(path: Path) -> dict[str, Any]:
    """The figures of an earlier run; none where the file holds something else, which is then replaced."""
    try:
        figures = json.loads(path.read_text())["figures"]
    except (ValueError, KeyError, TypeError):
        return {}
    return figures if isinstance(figures, dict) else {}
