"""``vnetcard show``: the inside of a link, section by section."""

from __future__ import annotations

import argparse
import json
import time
from textwrap import wrap

from vnetcard.observe import tables, views
from vnetcard.terminal.arguments import Subparsers, add_command
from vnetcard.terminal.escape import clear_terminal
from vnetcard.window.arguments import add_window

EPILOG = """\
what is shown:
  runtime    each pump: calls, records per call, ns per record, sleeps, wake-ups, batches by size, time without a CPU
  ring       each ring: fill, high-water mark, indices, which end sleeps, last movement
  port       each port: kind, MAC, queues, offloads, its queue in the kernel, and what the kernel counts and drops there
  errors     every drop, loss and violation by name, with the last time and a sample; what the kernels discarded before
             and after the link; the probable causes
  registers  the DMA engine's registers, decoded
  link       the link's changes of state with their reasons

examples:
  vnetcard show runtime
  vnetcard show errors --window shm:lab0 --watch
  vnetcard show errors clear             count from now on; the counters themselves, and metrics, go on
  vnetcard show ring --json | jq '.ring[].fill'

exit status: 0 shown, 2 bad input or no agent
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``show`` to the commands."""
    parser = add_command(
        subparsers,
        "show",
        help="pumps, rings, ports, errors and their causes, engine registers, the link's history",
        description="Show what the agents on this machine count and remember.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("what", choices=views.SECTIONS, metavar="WHAT", help=", ".join(views.SECTIONS))
    parser.add_argument("action", nargs="?", choices=("clear",), help="count from now on, and show nothing")
    add_window(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, one object, or one per second with --watch")
    parser.add_argument("--watch", action="store_true", help="show again every second until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    """Show once, or every second; or clear."""
    if args.action == "clear":
        views.clear(args.window, args.what)
        return 0
    while True:
        snapshot = views.gather(args.window)
        if args.json:
            print(json.dumps(tables.as_json(snapshot, args.what), indent=None if args.watch else 2), flush=True)
        else:
            if args.watch:
                clear_terminal()
            print("\n".join(_heading(snapshot, args.what) + tables.SECTIONS[args.what](snapshot)), flush=True)
        if not args.watch:
            return 0
        time.sleep(1)


def _heading(snapshot: views.Snapshot, what: str) -> list[str]:
    lines = [
        line
        for why in snapshot.unresponsive().values()
        for line in wrap(f"{why}; the rest was read from its window", tables.WIDTH)
    ]
    if cleared := snapshot.cleared_at(what):
        lines.append(f"since {tables.ago(cleared)}")
    return [*lines, ""] if lines else []
