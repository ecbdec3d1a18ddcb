"""``testpmd``: DPDK's own forwarder, one process per side, between a TAP and a memif (shared memory).

Both poll: each keeps a core busy.  It uses no huge pages and no PCI devices, and needs the same rights as a TUN.
"""

from __future__ import annotations

import os

from vnetcard.bench.contenders.namespaces import NamespaceContender
from vnetcard.lab.lab import run_in

MEMORY_MIB = 256
BUFFERS = 16384
ROLES = ("server", "client")


class TestpmdContender(NamespaceContender):
    """See ``vnetcard.bench.contenders.Contender``."""

    __test__ = False  # its name is DPDK's, not pytest's
    interfaces = ("dtap0", "dtap0")

    def __init__(self) -> None:
        super().__init__("testpmd")

    def start(self, *, mtu: int) -> None:
        for side in (0, 1):
            self._namespaces.run(run_in(self.namespaces[side], self._command(side)))
            # The client tries to connect once a second: the server's socket shall exist at its first attempt.
            self._namespaces.await_interface(side, self.interfaces[side])
        for side, name in enumerate(self.interfaces):
            self._namespaces.set_up(side, name, mtu=mtu)

    def _command(self, side: int) -> list[str]:
        cores = min(2, os.cpu_count() or 1)
        socket = self._namespaces.folder / "memif.sock"
        return [
            "dpdk-testpmd",
            *("--no-huge", "-m", str(MEMORY_MIB), "--no-pci", "--no-telemetry"),
            f"--file-prefix={self.namespaces[side]}",
            *("-l", f"0-{cores - 1}", "--main-lcore", str(side % cores)),
            f"--vdev=net_tap0,iface={self.interfaces[side]}",
            f"--vdev=net_memif0,role={ROLES[side]},socket-abstract=no,socket={socket}",
            *("--", "--auto-start", "--forward-mode=io", f"--total-num-mbufs={BUFFERS}"),
        ]
