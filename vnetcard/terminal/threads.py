"""Threads whose start never hangs.

``threading.Thread.start`` waits without limit until the new thread runs; one that finds no memory for its first frame
ends before that, and its starter waits for ever.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

BEGIN_LIMIT: Final = 5.0
"""Seconds until a thread that does not run counts as failed."""


class Begin:
    """One start of ``target`` in a thread of its own; ``begun``: it runs; ``failed``: it never will."""

    def __init__(self, target: Callable[..., object], *args: object) -> None:
        """Raises RuntimeError when no further thread can be started.  Does not wait."""
        self._target, self._args = target, args
        self._settled = threading.Event()
        self.begun = self.failed = False
        _watch_failures()
        _thread.start_new_thread(self, ())

    def __call__(self) -> None:
        """What the thread runs."""
        self.begun = True
        self._settled.set()
        self._target(*self._args)

    def fail(self) -> None:
        """The thread has ended before it ran."""
        self.failed = True
        self._settled.set()

    def wait(self) -> None:
        """Return once the thread runs; MemoryError when it does not."""
        if not self._settled.wait(BEGIN_LIMIT) or self.failed:
            raise MemoryError


def _watch_failures() -> None:
    if sys.unraisablehook is not _on_unraisable:
        _hooks.append(sys.unraisablehook)
        sys.unraisablehook = _on_unraisable


_hooks: list[Callable[[Any], object]] = []
"""The hook of before, the last one counts."""


def _on_unraisable(what: Any) -> None:
    """Python calls this in a thread of ours that could not run; anything else goes to the hook of before."""
    if isinstance(what.object, Begin) and not what.object.begun:
        what.object.fail()
    else:
        _hooks[-1](what)
