"""``run_suite`` with a limit for a machine that other tests load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from vnetcard.ping.suite import DEFAULT_SIZES, PingResult, Target, run_suite

REPLY_LIMIT: Final = 20.0
"""Seconds for the last reply to a size.  With the command's own 2 s, which include the start of ping, one suite of 60
failed on a busy machine.  Suites whose replies all come do not take longer with it."""


def run_pings(targets: Iterable[Target], sizes: Sequence[int] = DEFAULT_SIZES, *, count: int) -> list[PingResult]:
    """Ping every target at every size ``count`` times; the results in this order."""
    return run_suite(targets, sizes, count=count, timeout=REPLY_LIMIT)
