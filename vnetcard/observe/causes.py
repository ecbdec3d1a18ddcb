"""From counters to causes: what is wrong with a link, the most probable cause first.

Each rule reads the answers of the agents and yields causes.  The rules work on totals since ``errors`` was cleared:
to judge the present, clear first, then wait.  CONTRIBUTING.md says how to add a cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from vnetcard.codes.cause import CauseCode
from vnetcard.observe import fault_rules, kernel_rules, speed_rules
from vnetcard.observe.cause import Cause
from vnetcard.observe.views import Snapshot

LIMITS: Final = (
    CauseCode.SLOW_CONSUMER,
    CauseCode.RING_TOO_SMALL,
    CauseCode.CPU_STARVED,
    CauseCode.APPLICATION_TOO_SLOW,
    CauseCode.INTERFACE_QUEUE_FULL,
)
"""What limits the speed, and loses nothing inside the link: under full load there is always one of them."""

RULES: Final[tuple[Callable[[Snapshot], Iterator[Cause]], ...]] = (
    *fault_rules.RULES,
    *kernel_rules.RULES,
    *speed_rules.RULES,
    *kernel_rules.SPEED_RULES,
)
"""An earlier cause explains later ones."""


def causes(snapshot: Snapshot) -> list[Cause]:
    """The causes, most probable first; empty when nothing is wrong or no agent answers."""
    if not snapshot.views:
        return []
    return [cause for rule in RULES for cause in rule(snapshot)]
