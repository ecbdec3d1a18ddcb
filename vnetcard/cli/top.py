"""``vnetcard top``: both directions of a link, live in a terminal."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
import time
from importlib import import_module
from typing import Any

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.observe import views
from vnetcard.observe.probe import Probe
from vnetcard.observe.screen import Screen
from vnetcard.ping.suite import Target
from vnetcard.ping.target import default_targets
from vnetcard.terminal.arguments import Subparsers, add_command
from vnetcard.window.arguments import add_window

EPILOG = """\
examples:
  vnetcard top
  vnetcard top --window shm:lab0 --interval 0.5
  vnetcard top --ping lab@10.10.10.5     another target for the ping that measures the round trip
  ssh board vnetcard top --no-ping

keys: q quit, p pause, c count errors from now on, + and - update less or more often
exit status: 0 left with q, 2 bad input, no agent or no terminal
"""
INTERVALS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def add_parser(subparsers: Subparsers) -> None:
    """Add ``top`` to the commands."""
    parser = add_command(
        subparsers,
        "top",
        help="rates, rings, round trip, drops and events, live in a terminal",
        description="A live view of both directions; 80 columns and 24 lines are enough.",
        epilog=EPILOG,
        run=run,
    )
    add_window(parser)
    parser.add_argument(
        "--interval", type=float, default=1.0, metavar="S", help="seconds between updates (default: %(default)s)"
    )
    ping = parser.add_mutually_exclusive_group()
    ping.add_argument("--ping", metavar="TARGET", help="ADDRESS or NETNS@ADDRESS (default: the peer)")
    ping.add_argument("--no-ping", action="store_true", help="send nothing")


def run(args: argparse.Namespace) -> int:
    """Show until q."""
    if not INTERVALS[0] <= args.interval <= INTERVALS[-1]:
        raise ConfigError(
            f"--interval {args.interval} is out of range ({INTERVALS[0]} to {INTERVALS[-1]} seconds)",
            code=ErrorCode.OUT_OF_RANGE,
        )
    views.gather(args.window)  # for its error
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            "top needs a terminal; for a pipe use `vnetcard show runtime --watch --json`", code=ErrorCode.NO_TERMINAL
        )
    try:
        curses = import_module("curses")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "top needs Python's module curses; use `vnetcard show runtime --watch`", code=ErrorCode.TOOL_MISSING
        ) from error
    for name in ("LINES", "COLUMNS"):  # curses would prefer them to the terminal's own size
        os.environ.pop(name, None)
    screen = Screen(args.window, args.interval)
    with contextlib.ExitStack() as stack:
        if not args.no_ping:
            target = Target.parse(args.ping) if args.ping else default_targets(args.window)[0]
            screen.probe = stack.enter_context(Probe(target))
        try:
            curses.wrapper(_loop, screen, curses)
        except curses.error as error:
            raise ConfigError(
                f"top cannot use this terminal: {error}; is TERM set?", code=ErrorCode.NO_TERMINAL
            ) from error
    return 0


def _loop(terminal: Any, screen: Screen, curses: Any) -> None:
    with contextlib.suppress(curses.error):
        curses.curs_set(0)
    due = 0.0
    refresh = threading.Thread()
    while True:
        if time.monotonic() >= due and not screen.paused and not refresh.is_alive():
            due = time.monotonic() + screen.interval
            # In a thread, so that keys work while a stopped agent is waited for.
            refresh = threading.Thread(target=_refresh, args=(screen,), daemon=True)
            refresh.start()
        _show(terminal, screen, curses)
        terminal.timeout(max(10, min(250, int((due - time.monotonic()) * 1000))))
        key = terminal.getch()
        if key in (ord("q"), ord("Q")):
            return
        due = 0.0 if _handle(key, screen) else due


def _refresh(screen: Screen) -> None:
    if screen.probe is not None:
        screen.probe.poll()
    try:
        screen.add(views.gather(screen.window))
    except ConfigError as error:
        screen.problem = str(error)


def _handle(key: int, screen: Screen) -> bool:
    """Handle ``key``; True: ask the agents again at once."""
    if key == ord("p"):
        screen.paused = not screen.paused
    elif key == ord("c"):
        with contextlib.suppress(ConfigError):
            views.clear(screen.window, "errors")
    elif key in (ord("+"), ord("-")):
        slower = key == ord("+")
        others = [one for one in INTERVALS if (one > screen.interval if slower else one < screen.interval)]
        if others:
            screen.interval = others[0] if slower else others[-1]
    else:
        return False
    return True


def _show(terminal: Any, screen: Screen, curses: Any) -> None:
    rows, columns = terminal.getmaxyx()
    lines = screen.draw()
    if rows < len(lines):  # the line of keys stays visible
        lines = [*lines[: rows - 1], lines[-1]]
    terminal.erase()
    for row, line in enumerate(lines[:rows]):
        style = curses.A_NORMAL
        if row in (0, len(lines) - 1):
            style = curses.A_REVERSE
        elif "DOWN" in line or line.startswith(("CAUSE", "!")):
            style = curses.A_BOLD
        with contextlib.suppress(curses.error):  # the last cell of the last row
            terminal.addstr(row, 0, line[: columns - 1] if row == rows - 1 else line[:columns], style)
    terminal.refresh()
