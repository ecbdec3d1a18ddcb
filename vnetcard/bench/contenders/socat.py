"""``socat``: one process joins two TUNs; both are created in the first namespace, and one moves to the second."""

from __future__ import annotations

from vnetcard.bench.contenders.namespaces import ADDRESSES, Namespaces
from vnetcard.lab.lab import ip, run_in

PACKET_MAX = 65535
"""Bytes that it reads at once, enough for the largest packet."""


class SocatContender:
    """See ``vnetcard.bench.contenders.Contender``."""

    def __init__(self) -> None:
        self._namespaces = Namespaces("socat")
        self.namespaces = self._namespaces.names
        self.addresses = ADDRESSES
        self.interfaces = ("tun0", "tun1")
        self.offload = False

    @property
    def pids(self) -> tuple[int, ...]:
        return self._namespaces.pids

    def prepare(self) -> None:
        self._namespaces.open()

    def start(self, *, mtu: int) -> None:
        ends = [f"TUN,tun-name={name},iff-no-pi" for name in self.interfaces]
        self._namespaces.run(run_in(self.namespaces[0], ["socat", "-b", str(PACKET_MAX), *ends]))
        for name in self.interfaces:
            self._namespaces.await_interface(0, name)
        ip("-n", self.namespaces[0], "link", "set", self.interfaces[1], "netns", self.namespaces[1])
        for side, name in enumerate(self.interfaces):
            self._namespaces.set_up(side, name, mtu=mtu)

    def check(self) -> None:
        self._namespaces.alive()

    def close(self) -> None:
        self._namespaces.close()
