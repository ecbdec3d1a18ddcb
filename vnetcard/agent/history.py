"""History of an agent for people: the states of its link, and when each counter last changed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

KEPT: Final = 200
"""Changes of state that are remembered."""


@dataclass(frozen=True, slots=True)
class Change:
    """The link became ``state`` at ``at``, in seconds since 1970.

    ``reason_code`` is a ``LinkReason``; ``fault_code`` names the engine's cause of a halt, else it is ''.
    """

    at: float
    state: str
    reason: str
    reason_code: str
    fault_code: str = ""


def since_1970() -> float:
    """What to add to time.monotonic() for the time of day: it changes when the machine's clock is set."""
    return time.time() - time.monotonic()


class History:
    """``changed`` and ``sample`` are called by the agent's loop, the other methods by its control threads."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        """What happened when is kept by the clock that is never set, and given as times of day of now.

        A test's ``clock`` gives both.
        """
        self._clock = clock or time.monotonic
        self._since_1970: Callable[[], float] = (lambda: 0.0) if clock else since_1970
        self._guard = threading.Lock()
        self._changes: deque[Change] = deque(maxlen=KEPT)
        self._counts: dict[str, int] = {}
        self._moved: dict[str, float] = {}
        self._cleared: dict[str, dict[str, Any]] = {}

    def changed(self, state: str, reason: str, reason_code: str, fault_code: str = "") -> None:
        """Remember that the link is in ``state``; a repetition of the last change is ignored."""
        with self._guard:
            if self._changes and (self._changes[-1].state, self._changes[-1].reason) == (state, reason):
                return
            self._changes.append(Change(self._clock(), state, reason, str(reason_code), fault_code))

    def sample(self, counts: Mapping[str, int]) -> bool:
        """Note which counters have changed since the last sample; whether any has.  The first one is the baseline."""
        now = self._clock()
        changed = False
        with self._guard:
            for name, count in counts.items():
                if self._counts.setdefault(name, count) != count:
                    self._counts[name] = count
                    self._moved[name] = now
                    changed = True
        return changed

    def changes(self) -> list[Change]:
        """Oldest first."""
        origin = self._since_1970()
        with self._guard:
            return [replace(change, at=origin + change.at) for change in self._changes]

    def moved(self) -> dict[str, float]:
        """When each counter last changed, by name, in seconds since 1970."""
        origin = self._since_1970()
        with self._guard:
            return {name: origin + at for name, at in self._moved.items()}

    def clear(self, what: str, figures: dict[str, Any]) -> None:
        """From now on readers of ``what`` count from ``figures``; the counters themselves are not reset."""
        with self._guard:
            self._cleared[what] = {"at": self._clock(), "figures": figures}

    def cleared(self) -> dict[str, dict[str, Any]]:
        """The baselines, by what was cleared."""
        origin = self._since_1970()
        with self._guard:
            return {what: {**one, "at": origin + one["at"]} for what, one in self._cleared.items()}
