"""The option ``--window`` of command lines."""

from __future__ import annotations

import argparse

from vnetcard.terminal.arguments import DEFAULT_WINDOW
from vnetcard.window import KINDS


def add_window(parser: argparse.ArgumentParser) -> None:
    """``--window URL``: the window of the agents."""
    parser.add_argument(
        "--window",
        default=DEFAULT_WINDOW,
        metavar="URL",
        help=WindowHelp("window of the agents, %(kinds)s (default: %(default)s)"),
    )


class WindowHelp(str):
    """A help text with ``%(kinds)s``, the window kinds; the installed packages are scanned when it is printed."""

    __slots__ = ()

    def __mod__(self, values: object) -> str:
        kinds = f"KIND:PLACE[+SIZE], KIND one of {', '.join(KINDS.names())}"
        return str(self) % ({**values, "kinds": kinds} if isinstance(values, dict) else values)
