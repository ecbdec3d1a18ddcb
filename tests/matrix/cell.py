"""One cell of the matrix, and how it ended."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vnetcard.errors import ConfigError


class State(enum.Enum):
    """How a cell ended.  What could not be run is a state of its own: it has neither passed nor failed."""

    PASSED = "passed"
    FAILED = "FAILED"
    NOT_AVAILABLE = "not available"


class NotAvailable(Exception):
    """Raised when what a cell needs cannot be had on this machine; the message is one line."""


class Failed(Exception):
    """Raised when what was run has failed; the message is one line."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a cell ran: ``system`` names it (``CPython 3.13.0``); ``tests`` and ``skipped`` count tests or pings."""

    system: str
    tests: int
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """The end of one cell; ``detail`` is the system that ran, or why it failed or is not available."""

    name: str
    state: State
    detail: str
    tests: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The object of the JSON file."""
        return {
            "name": self.name,
            "state": self.state.value.lower(),
            "detail": self.detail,
            "tests": self.tests,
            "skipped": self.skipped,
            "failed": self.failed,
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: ``run`` gets a log file to append to, and raises NotAvailable, Failed or ConfigError."""

    name: str
    run: Callable[[Path], Ran]

    def result(self, log: Path) -> Result:
        """Run it; every end is a result."""
        began = time.monotonic()
        log.unlink(missing_ok=True)

        def ended(state: State, detail: str, ran: Ran | None = None, failed: list[str] | None = None) -> Result:
            tests, skipped = (ran.tests, ran.skipped) if ran else (0, 0)
            return Result(self.name, state, detail, tests, skipped, time.monotonic() - began, failed or [])

        try:
            ran = self.run(log)
        except (NotAvailable, ConfigError) as error:
            return ended(State.NOT_AVAILABLE, one_line(str(error)))
        except TestsFailed as error:
            return ended(State.FAILED, f"{error} (log: {log})", error.ran, error.failed)
        except Exception as error:  # whatever it is, the other cells run
            return ended(State.FAILED, f"{one_line(str(error)) or type(error).__name__} (log: {log})")
        if not ran.tests:
            return ended(State.FAILED, f"ran no test (log: {log})", ran)
        return ended(State.PASSED, ran.system, ran)


class TestsFailed(Failed):
    """Raised when tests have failed: ``failed`` names them."""

    __test__ = False

    def __init__(self, ran: Ran, failed: list[str]) -> None:
        super().__init__(f"{len(failed)} of {ran.tests} tests failed on {ran.system}")
        self.ran, self.failed = ran, failed


def one_line(text: str) -> str:
    """``text`` without its line breaks."""
    return " ".join(text.split())
