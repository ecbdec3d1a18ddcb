"""The host's agent with a planted leak, for the test of the soak: memory and descriptors, more and more."""

from __future__ import annotations

import os
import sys
import threading
import time

from vnetcard.ring import layout as L


def leak() -> None:
    """Keep a MiB and a descriptor more, ten times a second."""
    kept = []
    while True:
        kept.append((bytearray(os.urandom(1 << 10) * 1024), os.dup(0)))
        time.sleep(0.1)


if __name__ == "__main__":
    from vnetcard.agent.agent import main

    threading.Thread(target=leak, daemon=True).start()
    sys.exit(main(L.HOST))
