"""``acme:NAME``: a port whose other end, ``far``, is a socket in the same process."""

from __future__ import annotations

import socket

from vnetcard.errors import ConfigError


class AcmePort:
    """One end of a socket pair; the contract is ``vnetcard.port.Port``."""

    def __init__(self, name: str) -> None:
        self._near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._near.setblocking(False)
        self.name = name
        self.vnet = False

    @property
    def fds(self) -> tuple[int, ...]:
        return (self._near.fileno(),)

    def probe_offload(self) -> dict[str, str]:
        return {}  # no offloads

    def set_offload(self, features: int) -> None:
        pass

    def use_queues(self, count: int) -> None:
        pass

    def set_carrier(self, up: bool) -> None:
        pass

    def close(self) -> None:
        self._near.close()
        self.far.close()


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> AcmePort:
    """A new port; it has one queue and is in no network namespace."""
    del netns, persist
    if queues > 1:
        raise ConfigError(f"port acme:{name} has one queue, not {queues}")
    return AcmePort(name)
