"""The progress of a long command: a bar in a terminal, one line per step elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

from vnetcard.terminal.escape import printable, raw

WIDTH = 24
"""Characters of the bar."""


class Progress:
    """Shows ``total`` steps on ``stream`` (default: stderr, which keeps stdout for results).

    ``only_terminal``: print nothing elsewhere, for a command that takes only seconds.
    """

    def __init__(self, total: int, *, stream: TextIO | None = None, only_terminal: bool = False) -> None:
        self._total = max(1, total)
        self._stream = raw(stream or sys.stderr)
        self._done = 0
        self._begun = False
        self._bar = self._stream.isatty()
        self._quiet = only_terminal and not self._bar

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, what: str) -> None:
        """Show that ``what`` begins."""
        if self._quiet:
            return
        if self._bar:
            full = round(WIDTH * self._done / self._total)
            text = f"[{'#' * full:<{WIDTH}}] {self._done}/{self._total} {printable(what)}"[:79]
            self._stream.write(f"\r{text:<79}")
        else:
            self._stream.write(f"{self._done + 1}/{self._total} {printable(what)}\n")
        self._stream.flush()

    def step(self, what: str) -> None:
        """End the step before, if any, and begin ``what``."""
        if self._begun:
            self.end()
        self._begun = True
        self.begin(what)

    def end(self, steps: int = 1) -> None:
        """Count ``steps`` as done."""
        self._done = min(self._total, self._done + steps)

    def close(self) -> None:
        """Erase the bar; lines stay."""
        if self._bar:
            self._stream.write(f"\r{'':79}\r")
            self._stream.flush()
            self._bar = False
