"""``vnetcard-x86``: the host's agent."""

from __future__ import annotations

import sys

from vnetcard import agent
from vnetcard.layout import HOST


def main() -> int:
    """Run the host's agent with the process's arguments; see ``vnetcard.agent.main``."""
    return agent.main(HOST)


if __name__ == "__main__":
    sys.exit(main())
