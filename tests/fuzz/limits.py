"""Bounds for one call of a parser: processor time and memory, whatever else the machine does."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

SECONDS: Final = 2.0
"""Processor time of one input; honest ones take milliseconds."""
MEMORY: Final = 512 << 20
"""Bytes that one input may take beside what the process has."""


class TooSlow(Exception):
    """Raised inside a parser that takes more than ``SECONDS``."""


def _late(*_: Any) -> None:
    raise TooSlow(f"more than {SECONDS} s of processor time")


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Raise TooSlow, or MemoryError, where the block exceeds a bound; only in the main thread."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGVTALRM, _late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGVTALRM, handler)
