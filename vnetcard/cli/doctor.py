"""``vnetcard doctor``: finds devices and obstacles for a link, measures each stage, and names the remedies."""

from __future__ import annotations

import argparse
import json
import platform
import signal
from dataclasses import asdict
from typing import Any

from vnetcard.doctor import stages
from vnetcard.doctor.survey import survey
from vnetcard.doctor.timing import Stage
from vnetcard.doctor.verdict import Finding, Verdict, a_link_could_run, concerning, was_tried
from vnetcard.hw.sysfs import System
from vnetcard.ring import layout as L
from vnetcard.terminal.arguments import Subparsers, add_command, interrupt
from vnetcard.terminal.escape import printable
from vnetcard.terminal.progress import Progress
from vnetcard.window import WindowUrl

EPILOG = """\
examples:
  vnetcard doctor                           this machine: devices, windows, TUN, speed of each stage
  vnetcard doctor --window sim:lab0         and the window that an agent is to use
  vnetcard doctor --no-measure --json | jq '.findings[] | select(.verdict != "ok")'

It needs neither a card nor root, and reports what it could not see.  The window of --window is opened as an agent
would open it, unless an agent has it open; its contents are not changed.
exit status: 0 no obstacle was found, 1 something must be fixed first, 2 bad input
"""
MARKS = {Verdict.OK: "ok  ", Verdict.WARN: "warn", Verdict.FAIL: "FAIL"}


def add_parser(subparsers: Subparsers) -> None:
    """Add ``doctor`` to the commands."""
    parser = add_command(
        subparsers,
        "doctor",
        help="find devices, obstacles and slow stages, and what to do about them",
        description="Find devices and windows, check them, measure each stage alone, and name the remedies.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("--window", metavar="URL", help="check and measure this window, too")
    parser.add_argument("--side", choices=("x86", "fpga"), help="the side of this machine (fpga on ARM64, else x86)")
    parser.add_argument("--all", action="store_true", help="list every PCI function with memory BARs")
    parser.add_argument("--no-measure", action="store_true", help="measure nothing, and open no window")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Check, measure and print; 1 when something must be fixed."""
    signal.signal(signal.SIGTERM, interrupt)
    url = WindowUrl.parse(args.window) if args.window else None
    side = {"x86": L.HOST, "fpga": L.CARD, None: _own_side()}[args.side]
    system = System.here()
    findings = survey(system, url, everything=args.all)
    rows: list[Stage] = []
    if args.no_measure:
        findings += filter(None, [stages.user_of(args.window, side)] if args.window else [])
    else:
        with Progress(len(stages.STEPS), only_terminal=True) as progress:
            measured = stages.measure(args.window, side, begin=progress.step)
        findings += measured.findings
        rows = measured.stages
    findings = concerning(findings, url.kind if url else None)
    good = a_link_could_run(findings)
    print(json.dumps(view(findings, rows), indent=2) if args.json else text(findings, rows))
    return 0 if good else 1


def _own_side() -> int:
    return L.CARD if platform.machine() == "aarch64" else L.HOST


def view(findings: list[Finding], rows: list[Stage]) -> dict[str, Any]:
    """The object that ``--json`` prints."""
    return {
        "link_could_run": a_link_could_run(findings),
        "window_tried": was_tried(findings),
        "findings": [asdict(one) for one in findings],
        "stages": [asdict(row) for row in rows],
    }


def text(findings: list[Finding], rows: list[Stage]) -> str:
    """The tables for people; the last line repeats what must be fixed."""
    lines = []
    for one in findings:
        lines.append(f"{MARKS[one.verdict]}  {one.area:<8}{printable(one.subject):<24} {printable(one.detail)}")
        if one.fix and one.verdict is not Verdict.OK:
            lines.append(f"      {'':<8}{'':<24} fix: {printable(one.fix)}")
    if rows:
        lines += ["", f"{'stage alone':<18}{'latency us':>11}{'Gbit/s 1.5K':>13}{'Gbit/s 64K':>12}  what was done"]
        lines += [
            f"{row.name:<18}{_figure(row.latency_us):>11}{_figure(row.small_gbit):>13}"
            f"{_figure(row.large_gbit):>12}  {row.note}"
            for row in rows
        ]
    failed = [printable(one.subject) for one in findings if one.verdict is Verdict.FAIL]
    lines.append("")
    if failed:
        lines.append(f"{len(failed)} to fix before a link can run: {', '.join(failed)}")
    elif was_tried(findings):
        lines.append("a link could run: the window was opened and read")
    else:
        lines.append("no obstacle found; no window was tried (--window URL, without --no-measure)")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"
