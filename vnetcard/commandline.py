"""What all our command lines share: a mistake is one line on stderr, and exit status 2."""

from __future__ import annotations

import argparse
import sys
from types import FrameType
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, as the rest of our errors are; its subparsers are such too."""

    def error(self, message: str) -> NoReturn:
        """End the process with exit status 2."""
        complain(self.prog, f"{message}; try {self.prog} --help")
        sys.exit(2)


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
