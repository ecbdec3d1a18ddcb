"""The loads: one kind per file, behind one Protocol and one table.

A load is put on a contender that is up, and returns figures by name (``figures.py``), or raises Invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from vnetcard.bench.contenders import Contender
from vnetcard.bench.iperf import Run
from vnetcard.bench.load.idle import Idle
from vnetcard.bench.load.ping import Ping
from vnetcard.bench.load.rr import Rr
from vnetcard.bench.load.tcp import Tcp
from vnetcard.bench.load.udp import Udp


class Load(Protocol):
    """One kind of load; ``mtu`` is the MTU that it needs, ``tcp`` whether it has TCP's congestion control."""

    mtu: int
    tcp: bool

    def put(self, contender: Contender, run: Run) -> Mapping[str, float]:
        """The figures of a run of about ``run.seconds``; raises Invalid when the run does not support them."""


LOADS: Final[Mapping[str, Load]] = {
    "idle": Idle(),
    "tcp": Tcp(),
    "tcp-x8": Tcp(streams=8),
    "tcp-both": Tcp(both=True),
    "tcp-both-x8": Tcp(streams=8, both=True),
    "udp-64": Udp(64),
    "udp-1400": Udp(1400),
    "ping": Ping(),
    "rr": Rr(),
    "ping-load": Ping(under_load=True),
    "rr-load": Rr(under_load=True),
    "tcp-9000": Tcp(mtu=9000),
    "tcp-9000-x8": Tcp(mtu=9000, streams=8),
    "tcp-9000-both": Tcp(mtu=9000, both=True),
    "tcp-65000": Tcp(mtu=65000),
    "tcp-65000-x8": Tcp(mtu=65000, streams=8),
    "tcp-65000-both": Tcp(mtu=65000, both=True),
}
QUICK_LOADS: Final = (
    "idle",
    "tcp",
    "tcp-x8",
    "tcp-both",
    "tcp-both-x8",
    "udp-64",
    "udp-1400",
    "ping",
    "ping-load",
    "rr-load",
)
"""The loads of ``--quick``: those that have a target."""
