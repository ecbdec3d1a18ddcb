"""``idle``: nothing is sent; what the processes of a way cost all the same."""

from __future__ import annotations

import time

from vnetcard.bench import proc
from vnetcard.bench.contenders import Peer

SETTLE = 2.5
"""Seconds until pumps that find nothing to do have come to rest."""


class Idle:
    """CPU in percent of one core, and memory, of all processes of the way together."""

    mtu = 1500

    def put(self, peer: Peer, seconds: float) -> dict[str, float]:
        time.sleep(SETTLE)
        start, worked = time.monotonic(), proc.process_seconds(peer.pids)
        time.sleep(max(2.0, seconds))
        worked, lasted = proc.process_seconds(peer.pids) - worked, time.monotonic() - start
        return {"idle cpu": 100 * worked / lasted, "memory": proc.process_mib(peer.pids)}
