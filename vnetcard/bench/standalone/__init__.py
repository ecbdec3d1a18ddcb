"""The standalone loads: each brings its own ends instead of being put on a contender; one table.

A module per load: it has CONTENDERS, the names of what it compares; ``missing()``, those that cannot be measured on
this machine and why; and ``steps(seconds)``, which measure one contender each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from vnetcard.bench.standalone import lwip, memif, rings

Step = tuple[str, Callable[[], dict[str, float]]]


class Standalone(Protocol):
    """What the modules have in common."""

    @property
    def CONTENDERS(self) -> tuple[str, ...]: ...

    def missing(self) -> dict[str, str]:
        """Those of CONTENDERS that cannot be measured on this machine, and why."""

    def steps(self, seconds: float) -> Iterator[Step]:
        """A contender, and a function that returns figures by name or raises VnetcardError."""


STANDALONE: Final[Mapping[str, Standalone]] = {"ring": rings, "memif": memif, "lwip": lwip}
"""By the name of the load."""
QUICK_STANDALONE: Final = ("ring",)
"""Those of ``--quick``."""
