"""What all our command lines share: an error is one line on stderr, with exit status 2.

With ``--json`` a program gets it as well: one line on stdout, ``{"error": {"code": CODE, "message": TEXT}}``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final, NoReturn, TypeAlias

from vnetcard.errors import ConfigError, VnetcardError
from vnetcard.terminal.escape import printable

DEFAULT_WINDOW: Final = "shm:vnetcard0"
"""The window of commands and agents without ``--window``."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, like all our errors; so are those of its subparsers."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse ``args`` (default: the process's)."""
        self._words = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Report a usage error and end the process with exit status 2."""
        error = ConfigError(f"{message}; try {self.prog} --help")
        report_error(self.prog, error, as_json=_wants_json(self, self._words))
        sys.exit(2)


def _wants_json(parser: argparse.ArgumentParser, words: Sequence[str]) -> bool:
    """Whether ``words`` hold the flag ``--json`` of ``parser`` or of the command that they name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return any(_wants_json(action.choices[word], words) for word in words if word in action.choices)
        if "--json" in action.option_strings and action.nargs == 0:
            return "--json" in words
    return False


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
    """A signal handler that makes SIGTERM act like Ctrl-C, so that everything is undone before the exit."""
    del number, frame
    raise KeyboardInterrupt


def complain(program: str, message: object) -> None:
    """Print ``program: error: message`` on stderr, as one line whatever the message quotes."""
    print(complaint(program, message), file=sys.stderr)


def complaint(program: str, message: object) -> str:
    """``program: error: message`` as one line whatever the message quotes."""
    return f"{program}: error: {printable(str(message))}"


def report_error(program: str, error: VnetcardError, *, as_json: bool) -> None:
    """Report ``error`` to people on stderr and, with ``as_json``, to programs on stdout."""
    complain(program, error)
    if as_json:
        with contextlib.suppress(OSError):  # the reader has gone
            print(json.dumps({"error": {"code": error.code, "message": str(error)}}), flush=True)


# --- arguments that several commands take ------------------------------------------------------------


def positive(text: str) -> int:
    """The type of an argument that is a whole number from 1 to 2**30."""
    value = int(text)
    if not 1 <= value <= 1 << 30:
        raise argparse.ArgumentTypeError(f"{text} is out of range (1 to {1 << 30})")
    return value


def seconds(text: str) -> float:
    """The type of an argument that is a number of seconds, above 0 and below 1e9."""
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is out of range (more than 0)")
    return value
