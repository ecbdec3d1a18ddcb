"""``splice`` and ``plain``: two TUNs joined by ``c/splice.c`` in one process, with or without offloads."""

from __future__ import annotations

from vnetcard.bench import programs
from vnetcard.bench.contenders.namespaces import NamespaceContender
from vnetcard.port.netns import path_of


class SpliceContender(NamespaceContender):
    """See ``vnetcard.bench.contenders.Contender``."""

    def __init__(self, *, offload: bool = True) -> None:
        super().__init__("splice" if offload else "plain")
        self.offload = offload
        self._program = programs.compiled("splice")

    def start(self, *, mtu: int) -> None:
        places = [str(path_of(name)) for name in self.namespaces]
        self._namespaces.run([str(self._program), *places, "offload" if self.offload else "plain"])
        self._namespaces.await_word("ready")
        for side, name in enumerate(self.interfaces):
            self._namespaces.set_up(side, name, mtu=mtu)
