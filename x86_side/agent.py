"""``vnetcard-x86``: the host's agent."""

from __future__ import annotations

import signal
import sys

from vnetcard.ring.layout import HOST


def main() -> int:
    """Run the host's agent with the arguments of this process; returns as ``vnetcard.agent.agent.main``."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as for a shell's background process: that stays
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the process without a traceback
    from vnetcard.agent import agent

    return agent.main(HOST)


if __name__ == "__main__":
    sys.exit(main())
