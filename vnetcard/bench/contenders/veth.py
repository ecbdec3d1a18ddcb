"""``veth``: a pair of interfaces that the kernel joins; nothing that leaves the kernel comes near it."""

from __future__ import annotations

from vnetcard.bench.contenders.rooms import ADDRESSES, Rooms
from vnetcard.lab.lab import ip


class VethPeer:
    """See ``vnetcard.bench.contenders.Peer``."""

    def __init__(self) -> None:
        self._rooms = Rooms("veth")
        self.namespaces = self._rooms.namespaces
        self.addresses = ADDRESSES
        self.interfaces = ("veth0", "veth0")
        self.offload = True
        self.pids: tuple[int, ...] = ()

    def prepare(self) -> None:
        self._rooms.open()

    def start(self, *, mtu: int) -> None:
        here, there = self.namespaces
        ip("-n", here, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", there)
        for side, name in enumerate(self.interfaces):
            self._rooms.set_up(side, name, mtu=mtu)

    def check(self) -> None:
        pass  # it has no books

    def close(self) -> None:
        self._rooms.close()
