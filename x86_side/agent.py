"""``vnetcard-x86``: the host's agent."""

from __future__ import annotations

import signal
import sys

from vnetcard.ring.layout import HOST


def main() -> int:
    """Run the host's agent with the process's arguments; see ``vnetcard.agent.agent.main``."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Ctrl-C while Python imports: no traceback
    from vnetcard.agent import agent

    return agent.main(HOST)


if __name__ == "__main__":
    sys.exit(main())
