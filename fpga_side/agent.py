"""``vnetcard-fpga``: the card's agent."""

from __future__ import annotations

import sys

from vnetcard.ring.layout import CARD
from vnetcard.terminal.sigint import end_without_a_traceback


def main() -> int:
    """Run the card's agent with the arguments of this process; returns as ``vnetcard.agent.agent.main``."""
    end_without_a_traceback()
    from vnetcard.agent import agent

    return agent.main(CARD)


if __name__ == "__main__":
    sys.exit(main())
