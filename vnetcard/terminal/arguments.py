"""What all our command lines share: a mistake is one line on stderr, and exit status 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn, TypeAlias

DEFAULT_WINDOW: Final = "shm:vnetcard0"
"""Where agents meet that were told nothing else."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, as the rest of our errors are; its subparsers are such too."""

    def error(self, message: str) -> NoReturn:
        """End the process with exit status 2."""
        complain(self.prog, f"{message}; try {self.prog} --help")
        sys.exit(2)


Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    subparsers: Subparsers,
    name: str,
    *,
    help: str,
    description: str,
    epilog: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """Add the command ``name``: ``run`` gets its arguments and returns the exit status.

    The lines of ``epilog`` are printed as they are.
    """
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=help,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """A handler for SIGTERM, which then is like Ctrl-C: everything is undone on the way out."""
    del number, frame
    raise KeyboardInterrupt


def complain(program: str, message: object) -> None:
    """``program: error: message`` on stderr, in one line whatever names are quoted in it."""
    print(f"{program}: error: {printable(str(message))}", file=sys.stderr)


def printable(text: str) -> str:
    """``text`` in one line, and nothing in it that a terminal would obey."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


# --- arguments that several commands take ------------------------------------------------------------


def positive(text: str) -> int:
    """An argument that is a whole number of at least 1."""
    value = int(text)
    if not 1 <= value <= 1 << 30:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return value


def seconds(text: str) -> float:
    """An argument that is a time."""
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text}: more than 0 seconds")
    return value
