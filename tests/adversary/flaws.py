"""Agents with one protection taken out, which the adversary must find; and one with short pauses."""

from __future__ import annotations

import sys
from typing import Final

FLAWS: Final = {
    "pause": "from vnetcard.link.brake import Brake\nBrake.holds = lambda *_: False\nBrake.left = lambda *_: 0.0",
    "carrier-bound": "from vnetcard.link.brake import Brake\nBrake.may_raise = lambda *_: True",
    "answer-bound": "from vnetcard.link.brake import Brake\nBrake.answered = lambda *_: False",
    "log-limit": "from vnetcard.agent.log_limit import LogLimit\nLogLimit.admit = lambda *_: True",
    "offloads-come-back": "from vnetcard.link.withdrawn import Withdrawn\nWithdrawn.offer_again = lambda *_: False\n"
    "Withdrawn.confirmed = lambda self, kinds, now: kinds",
}
"""Name to what is run before the host's agent starts."""
SHORT_PAUSES: Final = "from vnetcard.link.brake import BackOff\nBackOff.LONGEST = BackOff.FIRST"
"""No flaw: one attack after the other finds a link that can run."""


def command_with(change: str) -> list[str]:
    """The command of a host's agent after the Python code ``change``; its options follow."""
    source = f"{change}\nfrom vnetcard.x86_side.agent import main\nimport sys\nsys.exit(main())"
    return [sys.executable, "-c", source]
