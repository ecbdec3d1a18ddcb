"""``vnetcard bench``: the speed of vnetcard beside other software that joins two computers, measured in one run."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.terminal.arguments import Subparsers, add_command, interrupt
from vnetcard.terminal.escape import printable

if TYPE_CHECKING:
    from vnetcard.bench.runner import Plan


QUICK = {"rounds": 3, "seconds": 1.0}
FULL = {"rounds": 5, "seconds": 3.0}
LIMITS = {"rounds": (1, 100), "seconds": (0.2, 60.0), "wait": (0.0, 3600.0)}
WAIT = 60.0

EPILOG = """\
examples:
  vnetcard bench --quick                              a quarter of an hour
  vnetcard bench                                      everything; two hours
  vnetcard bench --contenders vnetcard,splice --loads tcp,ping
  vnetcard bench --quick --output results             write bench.json and bench.svg into a folder
  vnetcard bench --loads tcp --profile                where the time goes, by stage
  vnetcard bench --quick --check results/bench.json   compare with the ratios of an earlier run

It needs root and an otherwise idle machine.  Contenders that are not installed are left out, and named.
exit status: 0 all figures are valid, 1 a figure was refused or is much worse than recorded, 2 bad input
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``bench`` to the commands."""
    parser = add_command(
        subparsers,
        "bench",
        help="measure speed beside veth, a splice of two TUNs and other installed software",
        description="Join two network namespaces by vnetcard and by other software in turn; compare speed and cost.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("--quick", action="store_true", help="only the loads that have targets, 3 rounds of 1 second")
    parser.add_argument("--contenders", metavar="NAMES", help="comma-separated list (default: all that are installed)")
    parser.add_argument("--loads", metavar="NAMES", help="comma-separated list (default: all, or those of --quick)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds, 1 to 100 (5; with --quick 3)")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="seconds of each load, 0.2 to 60 (3; with --quick 1)"
    )
    parser.add_argument("--wait", type=float, metavar="S", help="seconds to wait for a quiet machine, 0 to 3600 (60)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write bench.json and bench.svg into DIR")
    parser.add_argument(
        "--check", type=Path, metavar="FILE", help="a bench.json; exit status 1 if ratios are much worse"
    )
    parser.add_argument(
        "--congestion", metavar="NAMES", help="TCP's congestion controls, each measured (default: cubic,bbr)"
    )
    parser.add_argument(
        "--profile", action="store_true", help="where the time goes: each load once more, sampled by perf"
    )
    parser.add_argument("--label", default="", metavar="TEXT", help="a text for the JSON, such as the measured commit")
    parser.add_argument("--json", action="store_true", help="print the results as JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Measure and report; 0, or 1 when a figure was refused or is much worse than recorded."""
    from vnetcard.bench import check, report, runner

    plan, absent = make_plan(args)
    recorded = check.read(args.check) if args.check else None
    if args.output and not args.output.is_dir():
        raise ConfigError(f"--output {args.output}: no such folder")
    if os.geteuid() != 0:
        raise ConfigError(
            "the bench creates network namespaces and interfaces: run it as root", code=ErrorCode.NOT_ROOT
        )
    signal.signal(signal.SIGTERM, interrupt)
    results = runner.Runner(plan, lambda text: print(printable(text), file=sys.stderr, flush=True)).run()
    found = report.as_json(plan, results, absent, label=args.label)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        print("\n".join(report.lines(plan, results, absent)))
    if args.output:
        write(args.output, found)
    verdicts = list(check.compare(found["figures"], recorded)) if recorded is not None else []
    for good, text in verdicts:
        print(f"{'good' if good else 'WORSE':8} {text}", file=sys.stderr)
    if recorded is not None and not verdicts:
        raise ConfigError(f"--check {args.check}: the file has none of the ratios that were measured")
    return 1 if results.refused or not all(good for good, _ in verdicts) else 0


def make_plan(args: argparse.Namespace) -> tuple[Plan, dict[str, str]]:
    """The plan, and which contenders are absent and why; ConfigError for invalid arguments."""
    from vnetcard.bench.contenders import CONTENDERS
    from vnetcard.bench.iperf import congestion_controls
    from vnetcard.bench.load import LOADS, QUICK_LOADS
    from vnetcard.bench.programs import missing
    from vnetcard.bench.runner import Plan
    from vnetcard.bench.standalone import QUICK_STANDALONE, STANDALONE

    usual = [name for name in CONTENDERS if not (args.quick and CONTENDERS[name].loads)]
    contenders = chosen("--contenders", args.contenders, CONTENDERS, usual)
    known = [*LOADS, *STANDALONE]
    loads = chosen("--loads", args.loads, known, [*QUICK_LOADS, *QUICK_STANDALONE] if args.quick else known)
    numbers = {**(QUICK if args.quick else FULL), "wait": WAIT}
    for name, (least, most) in LIMITS.items():
        given = getattr(args, name)
        if given is None:
            continue
        if not least <= given <= most:
            raise ConfigError(f"--{name} {given} is out of range ({least} to {most})")
        numbers[name] = given
    if why := missing("ip", "ping", "iperf3", *["perf"] * args.profile):
        raise ConfigError(why, code=ErrorCode.TOOL_MISSING)
    absent = {name: why for name in contenders if (why := CONTENDERS[name].missing())}
    present = [name for name in contenders if name not in absent]
    for load in loads:
        if load in STANDALONE:
            absent |= {f"{load} {name}": why for name, why in STANDALONE[load].missing().items()}
    if not present:
        raise ConfigError("; ".join(f"{name}: {why}" for name, why in absent.items()))
    congestion = congestion_controls(args.congestion)
    rounds = int(numbers["rounds"])
    return Plan(present, loads, rounds, numbers["seconds"], congestion, numbers["wait"], args.profile), absent


def chosen(option: str, text: str | None, known: Iterable[str], default: Iterable[str] | None = None) -> list[str]:
    """The names of a comma-separated list, each once; ConfigError for an unknown one."""
    if text is None:
        return list(default if default is not None else known)
    names = list(dict.fromkeys(name for name in text.split(",") if name))
    for name in names:
        if name not in known:
            raise ConfigError(f"{option}: no {name!r} (known: {', '.join(known)})")
    if not names:
        raise ConfigError(f"{option} is empty (known: {', '.join(known)})")
    return names


def write(folder: Path, found: dict[str, Any]) -> None:
    """Write ``bench.json`` and ``bench.svg``; figures that only an earlier run measured stay, with its date."""
    from vnetcard.bench.plot import draw

    path = folder / "bench.json"
    try:
        if path.exists():
            found = found | {"figures": kept(path) | found["figures"]}
        path.write_text(json.dumps(found, indent=1) + "\n")
        (folder / "bench.svg").write_text(draw(found))
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot write it ({error.strerror})") from error


def kept(path: Path) -> dict[str, Any]:
    """The figures of an earlier run; none where the file holds anything else, which is then replaced."""
    try:
        figures = json.loads(path.read_text())["figures"]
    except (ValueError, KeyError, TypeError):
        return {}
    if not isinstance(figures, dict):
        return {}
    return {name: figure for name, figure in figures.items() if isinstance(figure, dict) and "contenders" in figure}
