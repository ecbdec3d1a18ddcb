"""``veth``: a pair of interfaces that the kernel joins; no user-space program is as fast."""

from __future__ import annotations

from vnetcard.bench.contenders.namespaces import NamespaceContender
from vnetcard.lab.lab import ip


class VethContender(NamespaceContender):
    """See ``vnetcard.bench.contenders.Contender``."""

    interfaces = ("veth0", "veth0")
    offload = True

    def __init__(self) -> None:
        super().__init__("veth")

    def start(self, *, mtu: int) -> None:
        here, there = self.namespaces
        ip("-n", here, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", there)
        for side, name in enumerate(self.interfaces):
            self._namespaces.set_up(side, name, mtu=mtu)
