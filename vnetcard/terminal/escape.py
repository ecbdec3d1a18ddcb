"""Text of others is data: what a terminal, a log or a page would execute is shown as an escape sequence instead."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, Final, TextIO, cast

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError

CLEAR: Final = "\033[H\033[2J"
"""Clears a terminal."""


def printable(text: str) -> str:
    """``text`` in one line, with escapes in place of control and format characters, bidirectional ones included."""
    return text if text.isprintable() else "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class EscapedStream:
    """A text stream that writes to ``stream`` and lets no control character through but tab and end of line.

    The escapes are those of JSON, so that printed JSON stays valid.
    """

    def __init__(self, stream: TextIO) -> None:
        self.raw = stream
        """For what is ours alone, such as a progress bar."""
        self.error: OSError | None = None
        """Why something could not be written, such as a full disk."""

    def write(self, text: str) -> int:
        """Write ``text``; returns its length."""
        with self._noted():
            self.raw.write("".join(map(_escaped, text)))
        return len(text)

    def flush(self) -> None:
        """Write what is still in memory."""
        with self._noted():
            self.raw.flush()

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            raise

    def writelines(self, lines: list[str]) -> None:
        """Write each of ``lines``."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def _escaped(char: str) -> str:
    return char if char.isprintable() or char in "\n\t" else _json_escape(ord(char))


def _json_escape(code: int) -> str:
    if code < 0x1_0000:
        return f"\\u{code:04x}"
    code -= 0x1_0000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


@contextlib.contextmanager
def escaped_output() -> Iterator[None]:
    """Let what is printed during the block pass through ``EscapedStream``: stdout and stderr."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", EscapedStream(one) if one else one) for one in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def stdout_error() -> OSError | None:
    """Why something that was printed could not be written, and is lost; None: all of it was written."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    error = sys.stdout.error if isinstance(sys.stdout, EscapedStream) else None
    if error is not None:
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, 1)  # Python flushes once more at its end
        os.close(null)
    return error


@contextlib.contextmanager
def printed_help() -> Iterator[None]:
    """Around a parser: where its help cannot be written, SystemExit becomes ConfigError; without a reader, status 1.

    argparse ends the process with status 0 after --help and --version, whatever became of their text; that of Python
    3.11.2, in Debian 12, lets the OSError out.
    """
    with escaped_output():
        try:
            yield
        except (SystemExit, OSError):
            error = stdout_error()
            if error is None:
                raise
            if isinstance(error, BrokenPipeError):
                sys.exit(1)
            raise ConfigError(
                f"cannot write to standard output ({error.strerror})", code=ErrorCode.FILE_UNWRITABLE
            ) from None


def clear_terminal() -> None:
    """Begin a new page on stdout."""
    raw(sys.stdout).write(CLEAR)


def raw(stream: TextIO) -> TextIO:
    """The stream below ``stream``, for control sequences of our own."""
    return stream.raw if isinstance(stream, EscapedStream) else stream
