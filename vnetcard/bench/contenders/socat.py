"""``socat``: one process joins two TUNs; both are created in the first namespace, and one moves to the second."""

from __future__ import annotations

from vnetcard.bench.contenders.namespaces import NamespaceContender
from vnetcard.lab.lab import ip, run_in

PACKET_MAX = 65535
"""Bytes that it reads at once, enough for the largest packet."""


class SocatContender(NamespaceContender):
    """See ``vnetcard.bench.contenders.Contender``."""

    interfaces = ("tun0", "tun1")

    def __init__(self) -> None:
        super().__init__("socat")

    def start(self, *, mtu: int) -> None:
        ends = [f"TUN,tun-name={name},iff-no-pi" for name in self.interfaces]
        self._namespaces.run(run_in(self.namespaces[0], ["socat", "-b", str(PACKET_MAX), *ends]))
        for name in self.interfaces:
            self._namespaces.await_interface(0, name)
        ip("-n", self.namespaces[0], "link", "set", self.interfaces[1], "netns", self.namespaces[1])
        for side, name in enumerate(self.interfaces):
            self._namespaces.set_up(side, name, mtu=mtu)
