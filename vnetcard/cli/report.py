"""``vnetcard report``: one page about a link, for a ticket or for CI."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from vnetcard.cli.ping import parse_sizes
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ping.suite import DEFAULT_SIZES, Target
from vnetcard.report import checks, page
from vnetcard.terminal.arguments import Subparsers, add_command
from vnetcard.terminal.progress import Progress
from vnetcard.window.arguments import add_window

EPILOG = """\
examples:
  vnetcard report                             writes vnetcard-report.html
  vnetcard report --window shm:lab0 -o lab0.html --junit lab0.xml
  vnetcard report --quick 10.10.10.5          five sizes, three pings of each, no streams

The page is self-contained: plots, tables, light and dark.  Streams need iperf3 and both agents on this machine.
exit status: 0 all checks passed, 1 one failed (the page is written), 2 bad input or no agent
"""
QUICK_SIZES = (56, 1472, 1473, 9000, 65507)


def add_parser(subparsers: Subparsers) -> None:
    """Add ``report`` to the commands."""
    parser = add_command(
        subparsers,
        "report",
        help="pings, throughput, doctor and counters as one HTML page, and JUnit XML",
        description="Run the ping-size suite, streams both ways and doctor; check the counters; write one page.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="ADDRESS or NETNS@ADDRESS (default: the peer)")
    add_window(parser)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("vnetcard-report.html"), metavar="FILE", help="(default: %(default)s)"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="also write JUnit XML")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    parser.add_argument("--sizes", nargs="+", metavar="SIZE", help="bytes of ping payload, as for vnetcard ping")
    parser.add_argument("--count", type=int, metavar="N", help="pings of each size (20; with --quick 3)")
    parser.add_argument("--seconds", type=float, metavar="S", help="each stream; 0: none (2; with --quick 0)")
    parser.add_argument("--quick", action="store_true", help="few pings, no streams, no stage measured alone")


def run(args: argparse.Namespace) -> int:
    """Examine, write, conclude."""
    for option, path in (("--output", args.output), ("--junit", args.junit), ("--json", args.json)):
        if path:
            _check_writable(option, path)
    seconds = args.seconds if args.seconds is not None else 0.0 if args.quick else 2.0
    if not 0 <= seconds <= 3600:
        raise ConfigError(f"--seconds {seconds:g} is out of range (0 to 3600)", code=ErrorCode.OUT_OF_RANGE)
    count = args.count if args.count is not None else 3 if args.quick else 20
    sizes = parse_sizes(args.sizes) if args.sizes else QUICK_SIZES if args.quick else DEFAULT_SIZES
    done = checks.examine(
        args.window,
        [Target.parse(text) for text in args.targets],
        sizes,
        count=count,
        seconds=seconds,
        measure=not args.quick,
        progress=Progress,
    )
    _write("--output", args.output, page.html(done))
    if args.junit:
        _write("--junit", args.junit, page.junit(done))
    if args.json:
        _write("--json", args.json, json.dumps(checks.as_json(done), indent=1) + "\n")
    for check in done.checks:
        print(f"{'pass' if check.ok else 'FAIL'}  {check.name:<11} {check.words}")
    print(f"{'PASS' if done.ok else 'FAIL'}: {args.output}")
    return 0 if done.ok else 1


def _check_writable(option: str, path: Path) -> None:
    """Raise ConfigError if the file cannot be written, before minutes of work."""
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{option} {path}: no folder {path.absolute().parent}", code=ErrorCode.FILE_UNWRITABLE)
    made = not path.exists()
    try:
        path.open("a", encoding="utf-8").close()
    except OSError as error:
        raise ConfigError(
            f"{option} {path} cannot be written: {error.strerror}", code=ErrorCode.FILE_UNWRITABLE
        ) from error
    if made:  # and nothing that was there, such as /dev/null
        path.unlink(missing_ok=True)


def _write(option: str, path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{option} {path} cannot be written: {error.strerror}", code=ErrorCode.FILE_UNWRITABLE
        ) from error
