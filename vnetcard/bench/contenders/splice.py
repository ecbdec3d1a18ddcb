"""``splice`` and ``plain``: two TUNs joined by ``c/splice.c`` in one process, with or without offloads."""

from __future__ import annotations

from vnetcard.bench import programs
from vnetcard.bench.contenders.namespaces import ADDRESSES, Namespaces
from vnetcard.port.netns import path_of


class SpliceContender:
    """See ``vnetcard.bench.contenders.Contender``."""

    def __init__(self, *, offload: bool = True) -> None:
        self._namespaces = Namespaces("splice" if offload else "plain")
        self.namespaces = self._namespaces.names
        self.addresses = ADDRESSES
        self.interfaces = ("tun0", "tun0")
        self.offload = offload
        self._program = programs.compiled("splice")

    @property
    def pids(self) -> tuple[int, ...]:
        return self._namespaces.pids

    def prepare(self) -> None:
        self._namespaces.open()

    def start(self, *, mtu: int) -> None:
        places = [str(path_of(name)) for name in self.namespaces]
        self._namespaces.run([str(self._program), *places, "offload" if self.offload else "plain"])
        self._namespaces.await_word("ready")
        for side, name in enumerate(self.interfaces):
            self._namespaces.set_up(side, name, mtu=mtu)

    def check(self) -> None:
        self._namespaces.alive()

    def close(self) -> None:
        self._namespaces.close()
