"""``vnetcard-fpga``: the card's agent."""

from __future__ import annotations

import sys

from vnetcard import agent
from vnetcard.layout import CARD


def main() -> int:
    """Run the card's agent with the process's arguments; see ``vnetcard.agent.main``."""
    return agent.main(CARD)


if __name__ == "__main__":
    sys.exit(main())
