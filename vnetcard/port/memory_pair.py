"""``pair:NAME``: a port in memory, for tests and for programs that produce their own packets; it needs no root.

One end is the port, the other, ``far``, is the program's: a socket on which each send and recv is one packet.  A
program that sends Ethernet frames sets ``frames`` before the pumps start.
"""

from __future__ import annotations

import socket

from vnetcard.port.plain import PlainPort, need_one_queue


class PairPort(PlainPort):
    """One end of a socket pair; see ``vnetcard.port.Port`` for the contract."""

    def __init__(self, name: str) -> None:
        self._near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._near.setblocking(False)
        self.name = name
        self.carrier = False

    @property
    def fds(self) -> tuple[int, ...]:
        return (self._near.fileno(),)

    def set_carrier(self, up: bool) -> None:
        self.carrier = up

    def close(self) -> None:
        self._near.close()
        self.far.close()


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> PairPort:
    """A new pair; ``netns`` and ``persist`` have no effect.  ConfigError for more than one queue."""
    del netns, persist
    need_one_queue(f"pair:{name}", queues)
    return PairPort(name)
