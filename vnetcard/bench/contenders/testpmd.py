"""``testpmd``: DPDK's own forwarder, a process a side: a TAP on the one hand, a memif, shared memory, on the other.

Both poll: each keeps a core busy.  No huge pages, no PCI devices; what it needs of the system is what a TUN needs.
"""

from __future__ import annotations

import os

from vnetcard.bench.contenders.rooms import ADDRESSES, Rooms
from vnetcard.lab.lab import run_in

MEMORY_MIB = 256
BUFFERS = 16384
ROLES = ("server", "client")


class TestpmdPeer:
    """See ``vnetcard.bench.contenders.Peer``."""

    __test__ = False  # its name is DPDK's, not pytest's

    def __init__(self) -> None:
        self._rooms = Rooms("testpmd")
        self.namespaces = self._rooms.namespaces
        self.addresses = ADDRESSES
        self.interfaces = ("dtap0", "dtap0")
        self.offload = False

    @property
    def pids(self) -> tuple[int, ...]:
        return self._rooms.pids

    def prepare(self) -> None:
        self._rooms.open()

    def start(self, *, mtu: int) -> None:
        for side in (0, 1):
            self._rooms.run(run_in(self.namespaces[side], self._command(side)))
            # The client tries its socket once a second: let it find it at the first time.
            self._rooms.await_interface(side, self.interfaces[side])
        for side, name in enumerate(self.interfaces):
            self._rooms.set_up(side, name, mtu=mtu)

    def _command(self, side: int) -> list[str]:
        cores = min(2, os.cpu_count() or 1)
        socket = self._rooms.folder / "memif.sock"
        return [
            "dpdk-testpmd",
            *("--no-huge", "-m", str(MEMORY_MIB), "--no-pci", "--no-telemetry"),
            f"--file-prefix={self.namespaces[side]}",
            *("-l", f"0-{cores - 1}", "--main-lcore", str(side % cores)),
            f"--vdev=net_tap0,iface={self.interfaces[side]}",
            f"--vdev=net_memif0,role={ROLES[side]},socket-abstract=no,socket={socket}",
            *("--", "--auto-start", "--forward-mode=io", f"--total-num-mbufs={BUFFERS}"),
        ]

    def check(self) -> None:
        self._rooms.alive()

    def close(self) -> None:
        self._rooms.close()
