"""``vnetcard ping``: run the ping-size suite from the command line."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from vnetcard.agent.control import ask_all
from vnetcard.agent.status import port_problems
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ping import report
from vnetcard.ping.link_counts import LinkCounts
from vnetcard.ping.suite import DEFAULT_SIZES, SIZE_MAX, PingResult, Target, run_suite
from vnetcard.ping.target import default_targets
from vnetcard.terminal.arguments import DEFAULT_WINDOW, Subparsers, add_command, complain
from vnetcard.window import WindowUrl

EPILOG = """\
examples:
  vnetcard ping                                   the other side of shm:vnetcard0; both ways if both are here
  vnetcard ping --window shm:lab0                 likewise of another window
  vnetcard ping 10.10.10.5                        one address
  vnetcard ping card@10.10.10.1 host@10.10.10.5   both directions, from network namespaces
  vnetcard ping 10.10.10.5 --sizes 0-2100 9000,65507 --count 5 --junit ping.xml

exit status: 0 every ping was answered once and undamaged, 1 at least one was not, 2 bad input
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``ping`` to the commands."""
    parser = add_command(
        subparsers,
        "ping",
        help="ping at many sizes, both ways, and accept no loss",
        description="Ping every target at every size and report loss, round-trip times and damaged replies.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="ADDRESS or NETNS@ADDRESS (default: the peer)")
    parser.add_argument(
        "--window", default=DEFAULT_WINDOW, metavar="URL", help="without targets: whose agents (default: %(default)s)"
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        metavar="SIZE",
        help=f"bytes of ICMP payload, 0 to {SIZE_MAX}: numbers, ranges 0-2100, comma lists; "
        f"put targets before it (default: {' '.join(map(str, DEFAULT_SIZES))})",
    )
    parser.add_argument("--count", type=int, default=20, metavar="N", help="pings of each size (default: %(default)s)")
    parser.add_argument(
        "--interval", type=float, default=0.01, metavar="S", help="seconds between two pings (default: %(default)s)"
    )
    parser.add_argument("--netns", metavar="NAME", help="network namespace, name or path, of targets that have none")
    parser.add_argument("--json", action="store_true", help="print the results as JSON instead of a table")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="also write the results as JUnit XML")


def run(args: argparse.Namespace) -> int:
    """Ping and report: 0 when all is well, 1 on any loss, duplicate, damage or error of ping.

    ConfigError, which the caller turns into exit status 2, for bad input; nothing has been pinged then,
    unless it says that the JUnit file could not be written.
    """
    targets = [Target.parse(text) for text in args.targets] or default_targets(args.window)
    if args.netns:
        targets = [target if target.netns else replace(target, netns=args.netns) for target in targets]
    sizes = DEFAULT_SIZES if args.sizes is None else parse_sizes(args.sizes)
    if args.junit and not args.junit.absolute().parent.is_dir():
        raise ConfigError(
            f"--junit {args.junit}: there is no folder {args.junit.absolute().parent}", code=ErrorCode.FILE_UNWRITABLE
        )
    results = run_suite(
        targets,
        sizes,
        count=args.count,
        interval=args.interval,
        on_result=_progress(targets, as_json=args.json),
        link=LinkCounts(args.window),
    )
    if any(result.error for result in results):
        for problem in _port_problems(args.window):
            complain("vnetcard ping", problem)
    if args.junit:
        try:
            args.junit.write_text(report.junit(results), encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"--junit {args.junit} cannot be written: {error.strerror}", code=ErrorCode.FILE_UNWRITABLE
            ) from error
    print(json.dumps(report.as_json(results), indent=2) if args.json else report.summary(results))
    return 0 if all(result.ok for result in results) else 1


def _port_problems(window: str) -> list[str]:
    """What the agents of the window report about their interfaces."""
    try:
        views = ask_all(str(WindowUrl.parse(window)), "status").said
    except ConfigError:
        return []
    return [problem["message"] for problem in port_problems(views)]


def parse_sizes(words: Iterable[str]) -> tuple[int, ...]:
    """Sizes in bytes from words such as ``56``, ``0-2100`` and ``256,512``; each once, in order.

    ConfigError when a word is not one of these or leaves 0 to 65507, or when there is none.
    """
    sizes: dict[int, None] = {}
    for item in (item for word in words for item in word.split(",") if item):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", item, re.ASCII)
        if not match:
            raise ConfigError(
                f"size {item!r} is not a number or a range such as 0-2100 (put targets before --sizes)",
                code=ErrorCode.OUT_OF_RANGE,
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last <= SIZE_MAX:
            raise ConfigError(
                f"size {item} must lie in 0-{SIZE_MAX}, the smaller number first", code=ErrorCode.OUT_OF_RANGE
            )
        sizes |= dict.fromkeys(range(first, last + 1))
    if not sizes:
        raise ConfigError("--sizes names no size")
    return tuple(sizes)


def _progress(targets: list[Target], *, as_json: bool) -> Callable[[PingResult], None] | None:
    """Print each row as it comes: to stdout, or, beside JSON, to stderr if that is a terminal."""
    if as_json and not sys.stderr.isatty():
        return None
    stream = sys.stderr if as_json else sys.stdout
    lines = iter([report.header(targets)])  # the first result brings the header, so bad input shows none

    def show(result: PingResult) -> None:
        for line in (*lines, report.row(result, targets)):
            print(line, file=stream, flush=True)

    return show
