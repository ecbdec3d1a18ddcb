"""``packet`` and ``macvtap``: an agent at one end of a veth, whose far end the programs use, and one with a TAP."""

from __future__ import annotations

import contextlib

from vnetcard.bench.contenders.agents import AgentsContender
from vnetcard.bench.contenders.namespaces import TX_QUEUE
from vnetcard.lab.lab import ADDRESSES, ip, make_namespaces
from vnetcard.ring import layout as L

NAME = "veth0"
"""Of both ends, so that the agent's interface is called as that of the programs."""


class PacketContender(AgentsContender):
    """See ``vnetcard.bench.contenders.Contender``."""

    def __init__(self, kind: str = "packet", *, offload: bool = True) -> None:
        """``kind``: of the port at the veth, ``packet`` or ``macvtap``.

        ``offload``: False where the card takes no offloads, so that the host's agent finishes every frame.
        """
        super().__init__(offload=offload)
        self._port = f"{kind}:{NAME}"
        self.interfaces = (NAME, "tap0")
        self._made = contextlib.ExitStack()

    def prepare(self) -> None:
        super().prepare()
        self._wire = f"{self.namespaces[L.HOST]}-wire"
        make_namespaces(self._made, [self._wire])

    def start(self, *, mtu: int) -> None:
        far = self.namespaces[L.HOST]
        ip("link", "add", NAME, "netns", self._wire, "type", "veth", "peer", "name", NAME, "netns", far)
        for netns in (self._wire, far):
            ip("-n", netns, "link", "set", NAME, "mtu", str(mtu), "txqueuelen", str(TX_QUEUE), "up")
        ip("-n", far, "address", "add", f"{ADDRESSES[L.HOST]}/24", "dev", NAME)
        self.of_side = {
            L.HOST: ("--netns", self._wire, "--port", self._port),
            L.CARD: ("--port", "tap:tap0", "--offload", "auto" if self.offload else "off"),
        }
        super().start(mtu=mtu)

    def close(self) -> None:
        super().close()
        self._made.close()
