"""A cause, and what every rule that finds causes reads: the counters of both sides by name."""

from __future__ import annotations

from dataclasses import dataclass

from vnetcard.codes.cause import CauseCode
from vnetcard.observe.views import Snapshot
from vnetcard.ring import layout as L


@dataclass(frozen=True, slots=True)
class Cause:
    """``code`` is for programs; ``side`` is where the trouble lies; ``words`` say what was seen and what to do."""

    code: CauseCode
    side: str
    words: str

    def as_json(self) -> dict[str, str]:
        """For programs; ``name`` is the code under the key of earlier releases."""
        return {"code": self.code.value, "name": self.code.value, "side": self.side, "words": self.words}


def counts(snapshot: Snapshot) -> dict[str, dict[str, int]]:
    """The counters of each side by name, summed over all queues."""
    return {
        side: {name: int(n) for part in ("tx", "rx", "link") for name, n in parts[part].items()}
        for side, parts in snapshot.figures("errors").items()
    }


def other(side: str) -> str:
    """The side opposite to ``side``."""
    return L.SIDES[1 - L.SIDES.index(side)]
