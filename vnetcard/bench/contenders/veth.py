"""``veth``: a pair of interfaces that the kernel joins; no user-space program is as fast."""

from __future__ import annotations

from vnetcard.bench.contenders.namespaces import ADDRESSES, Namespaces
from vnetcard.lab.lab import ip


class VethContender:
    """See ``vnetcard.bench.contenders.Contender``."""

    def __init__(self) -> None:
        self._namespaces = Namespaces("veth")
        self.namespaces = self._namespaces.names
        self.addresses = ADDRESSES
        self.interfaces = ("veth0", "veth0")
        self.offload = True
        self.pids: tuple[int, ...] = ()

    def prepare(self) -> None:
        self._namespaces.open()

    def start(self, *, mtu: int) -> None:
        here, there = self.namespaces
        ip("-n", here, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", there)
        for side, name in enumerate(self.interfaces):
            self._namespaces.set_up(side, name, mtu=mtu)

    def check(self) -> None:
        pass  # it has no counters of its own

    def close(self) -> None:
        self._namespaces.close()
