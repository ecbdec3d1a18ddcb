"""``vnetcard-fpga``: the card's agent."""

from __future__ import annotations

import signal
import sys

from vnetcard.ring.layout import CARD


def main() -> int:
    """Run the card's agent with the process's arguments; see ``vnetcard.agent.agent.main``."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Ctrl-C while Python imports: no traceback
    from vnetcard.agent import agent

    return agent.main(CARD)


if __name__ == "__main__":
    sys.exit(main())
