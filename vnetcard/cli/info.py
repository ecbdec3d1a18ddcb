"""``vnetcard info``: decode a window without opening an end of it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from vnetcard.agent import status
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring.window_dump import ATTEMPTS, view_window
from vnetcard.terminal.arguments import Subparsers, add_command
from vnetcard.terminal.escape import printable
from vnetcard.terminal.sizes import human
from vnetcard.window import read_window, seen_side

EPILOG = """\
examples:
  vnetcard info shm:vnetcard0
  vnetcard info memfd:lab0           from a running agent
  vnetcard info file:/tmp/saved-window.bin --json
  vnetcard info sim:lab0.card        the card's memory in a simulation; the engine is shown by `vnetcard status`

The window is only read: nothing is locked, created or changed.
exit status: 0 the window is valid, 1 it has problems, 2 it cannot be read
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``info`` to the commands."""
    parser = add_command(
        subparsers,
        "info",
        help="decode a window's superblock, side blocks and rings",
        description="Decode a window, also a corrupt one, without disturbing its users.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument(
        "url",
        metavar="URL",
        help="the window, as for an agent's --window; of a simulation sim:NAME.host or sim:NAME.card",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--yes", action="store_true", help="open a vfio: window although that resets its function")


def run(args: argparse.Namespace) -> int:
    """Show the window; 1 when something about it is impossible."""
    if args.url.startswith("vfio:") and not args.yes:
        raise ConfigError(
            f"{args.url}: opening it resets the function, and without FLR its whole bus: add --yes, or ask the agent "
            "that has it with `vnetcard status`",
            code=ErrorCode.CONFIRMATION_NEEDED,
        )
    side = seen_side(args.url)
    view = view_window(args.url, read_window(args.url), side=side)
    for _ in range(ATTEMPTS):
        if not view["problems"] or "geometry" not in view:
            break
        view = view_window(args.url, read_window(args.url), side=side)  # the rings may have moved during the copy
    print(json.dumps(view, indent=2) if args.json else text(view))
    return 1 if view["problems"] else 0


def text(view: dict[str, Any]) -> str:
    """The decoded window as lines for people."""
    lines = [f"{view['window']}: {human(view['bytes'])}"]
    lines += [f"  PROBLEM   {problem}" for problem in view["problems"]]
    if geometry := view.get("geometry"):
        lines.append(f"  superblock  instance {geometry['instance']:08x}, {human(geometry['window_bytes'])}")
        for pair in geometry["rings"]:
            places = ", ".join(
                f"{name} {human(pair[name]['size'])} at {pair[name]['offset']:#x}" for name in ("h2c", "c2h")
            )
            lines.append(f"  queue {pair['queue']}   {places}")
    lines += status.ring_lines(view.get("rings", []))
    lines += status.balance_lines(view.get("balance", []))
    for side in view.get("sides", []):
        lines += status.side_lines(side)
        lines.append(
            f"    epoch {side['epoch']:08x}, answered {side['answered']:08x}, version {side['version']}, "
            f"heartbeat {side['heartbeat']}"
        )
    return "\n".join(map(printable, lines))
