"""``vnetcard status``: what the local agents say about their link."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from vnetcard import status
from vnetcard.control import ask_all
from vnetcard.window import WindowUrl

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EPILOG = """\
examples:
  vnetcard status                        the agents of shm:vnetcard0 on this machine
  vnetcard status --window shm:lab0 --watch
  vnetcard status --json | jq '.agents[0].link'

exit status: 0 every agent that answers has its link up, 1 one has not, 2 bad input or no agent
"""


def add_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``status`` to the commands."""
    parser = subparsers.add_parser(
        "status",
        help="link state and why, features, rings, counters",
        description="Ask the agents on this machine; each shows its own view and, across the window, the peer's.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--window", default="shm:vnetcard0", metavar="URL", help="(default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, an object a look")
    parser.add_argument("--watch", action="store_true", help="look again every second until Ctrl-C")
    parser.set_defaults(run=run)
    return parser


def agents_of(window: str) -> list[dict[str, Any]]:
    """The views of the local agents of ``window``, host first; ConfigError when there is none."""
    return status.complete(ask_all(str(WindowUrl.parse(window)), "status"))


def run(args: argparse.Namespace) -> int:
    """Show the status once, or again and again."""
    while True:
        views = agents_of(args.window)
        if args.json:
            print(json.dumps({"agents": views}, indent=None if args.watch else 2), flush=True)
        else:
            home = "\033[H\033[2J" if args.watch else ""
            print(home + "\n\n".join(status.text(view) for view in views), flush=True)
        if not args.watch:
            return 0 if all(view["link"]["up"] for view in views) else 1
        time.sleep(1)
