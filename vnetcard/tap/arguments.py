"""The options and messages that ``trace`` and ``capture`` share."""

from __future__ import annotations

import argparse
import sys

from vnetcard.tap.source import Sources
from vnetcard.terminal.arguments import positive, seconds
from vnetcard.window.arguments import add_window


def add_capture_options(parser: argparse.ArgumentParser) -> None:
    """Add the filter, ``--window``, and the limits of packets and time."""
    parser.add_argument("filter", nargs="*", metavar="FILTER", help="in tcpdump's syntax (default: all packets)")
    add_window(parser)
    parser.add_argument("--count", type=positive, metavar="N", help="end after N packets (default: at Ctrl-C)")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after S seconds")


def warn_unresponsive(sources: Sources) -> None:
    """Report the agents whose events are missing because they do not answer."""
    for why in sources.unresponsive.values():
        print(f"vnetcard: {why}; its events are missing", file=sys.stderr)
