"""The loads: one kind a file, behind one Protocol and one table.

A load is put on a way that is up, and gives figures by their names (``figures.py``), or raises Invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from vnetcard.bench.load.idle import Idle
from vnetcard.bench.load.ping import Ping
from vnetcard.bench.load.tcp import Tcp
from vnetcard.bench.peer import Peer


class Load(Protocol):
    """One kind of load; ``mtu`` is what the way must be made with."""

    mtu: int

    def put(self, peer: Peer, seconds: float) -> Mapping[str, float]:
        """The figures of a run of about ``seconds``; Invalid when they would mean nothing."""


LOADS: Final[Mapping[str, Load]] = {
    "idle": Idle(),
    "tcp": Tcp(),
    "ping": Ping(),
}
QUICK_LOADS: Final = ("idle", "tcp", "ping")
"""Those that tell most."""
