"""``socat``: one process that joins two TUNs; both are made in the first namespace, and one moves to the second."""

from __future__ import annotations

from vnetcard.bench.contenders.rooms import ADDRESSES, Rooms
from vnetcard.lab.lab import ip, run_in

PACKET_MAX = 65535
"""Bytes; what it reads at once must hold a packet."""


class SocatPeer:
    """See ``vnetcard.bench.contenders.Peer``."""

    def __init__(self) -> None:
        self._rooms = Rooms("socat")
        self.namespaces = self._rooms.namespaces
        self.addresses = ADDRESSES
        self.interfaces = ("tun0", "tun1")
        self.offload = False

    @property
    def pids(self) -> tuple[int, ...]:
        return self._rooms.pids

    def prepare(self) -> None:
        self._rooms.open()

    def start(self, *, mtu: int) -> None:
        ends = [f"TUN,tun-name={name},iff-no-pi" for name in self.interfaces]
        self._rooms.run(run_in(self.namespaces[0], ["socat", "-b", str(PACKET_MAX), *ends]))
        for name in self.interfaces:
            self._rooms.await_interface(0, name)
        ip("-n", self.namespaces[0], "link", "set", self.interfaces[1], "netns", self.namespaces[1])
        for side, name in enumerate(self.interfaces):
            self._rooms.set_up(side, name, mtu=mtu)

    def check(self) -> None:
        self._rooms.alive()

    def close(self) -> None:
        self._rooms.close()
