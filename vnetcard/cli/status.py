"""``vnetcard status``: the link as the agents on this machine report it."""

from __future__ import annotations

import argparse
import json
import time

from vnetcard.agent import status
from vnetcard.agent.control import ask_all
from vnetcard.ring import layout as L
from vnetcard.terminal.arguments import Subparsers, add_command
from vnetcard.terminal.escape import clear_terminal
from vnetcard.window import WindowUrl, url_of_side
from vnetcard.window.arguments import add_window

EPILOG = """\
examples:
  vnetcard status                        the agents of shm:vnetcard0 on this machine
  vnetcard status --window shm:lab0 --watch
  vnetcard status --json | jq '.agents[0].link'

exit status: 0 every agent that is here has its link up, 1 one has not, or does not answer, 2 bad input or no agent
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``status`` to the commands."""
    parser = add_command(
        subparsers,
        "status",
        help="link state and why, features, rings, counters",
        description="Ask the agents on this machine; each shows its own view and, across the window, the peer's.",
        epilog=EPILOG,
        run=run,
    )
    add_window(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, one object, or one per second with --watch")
    parser.add_argument("--watch", action="store_true", help="show again every second until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    """Show the status once, or every second."""
    url = str(WindowUrl.parse(args.window))
    while True:
        answers = ask_all(url, "status")
        views = status.complete(answers.said)
        problems = status.port_problems(views)
        if args.json:
            print(
                json.dumps(
                    {"agents": views, "unresponsive": answers.unresponsive, "problems": problems},
                    indent=None if args.watch else 2,
                ),
                flush=True,
            )
        else:
            if args.watch:
                clear_terminal()
            unresponsive = [
                f"{why}\n  to read its window: vnetcard info {url_of_side(url, L.SIDES.index(side))}"
                for side, why in answers.unresponsive.items()
            ]
            shared = [
                f"PROBLEM   {one['message']}"
                for one in problems
                if not any(one in v["port"]["problems"] for v in views)
            ]
            print("\n\n".join([*map(status.text, views), *shared, *unresponsive]), flush=True)
        if not args.watch:
            return 1 if answers.unresponsive or not all(view["link"]["up"] for view in views) else 0
        time.sleep(1)
