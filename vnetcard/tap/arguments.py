"""What ``trace`` and ``capture`` have in common on the command line, and what both say about whom they look at."""

from __future__ import annotations

import argparse
import sys

from vnetcard.tap.source import Sources
from vnetcard.terminal.arguments import positive, seconds
from vnetcard.window.arguments import add_window


def add_looking(parser: argparse.ArgumentParser) -> None:
    """Which packets, of which window, and for how long."""
    parser.add_argument("filter", nargs="*", metavar="FILTER", help="in tcpdump's language (default: all packets)")
    add_window(parser)
    parser.add_argument("--count", type=positive, metavar="N", help="end after N packets (default: at Ctrl-C)")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after S seconds")


def name_silent(sources: Sources) -> None:
    """Say whom nobody can look at."""
    for why in sources.unresponsive.values():
        print(f"vnetcard: {why}; of its events none is seen", file=sys.stderr)
