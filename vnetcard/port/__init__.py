"""Ports: where packets enter and leave.  One backend a file; this file is the contract and the table."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from vnetcard.errors import ConfigError

BACKENDS = {
    "pair": "vnetcard.port.memory_pair",
    "tun": "vnetcard.port.tun",
}
"""Kind to module; a module offers ``open_port(name, *, netns, persist, queues) -> Port``."""


class Port(Protocol):
    """An open port: non-blocking file descriptors of which each read and write is one whole packet."""

    @property
    def name(self) -> str:
        """The interface's name, or what stands for it."""

    @property
    def fds(self) -> tuple[int, ...]:
        """For the pumps, one a queue; they stay the same until ``close``."""

    @property
    def vnet(self) -> bool:
        """Is each packet led by a virtio_net_hdr?"""

    def probe_offload(self) -> dict[str, str]:
        """Which kinds (layout.FEATURES) the port really takes: name to ``""``, or to why not.

        To be asked once the interface is up: before that a refusal proves nothing.
        """

    def set_offload(self, features: int) -> None:
        """From now on the port may hand over packets of these kinds, and no others."""

    def use_queues(self, count: int) -> None:
        """From now on packets come out of the first ``count`` queues alone; all of them take some."""

    def set_carrier(self, up: bool) -> None:
        """What ``ip link`` shows as LOWER_UP or NO-CARRIER."""

    def close(self) -> None:
        """Close; an interface that is not persistent is gone then.  Twice is once."""


def open_port(url: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> Port:
    """Open the port ``KIND:NAME`` with so many queues; ConfigError for the URL, or for queues that the kind has not;
    PortUnavailable when it cannot be opened.
    """
    kind, colon, name = url.partition(":")
    if not colon or kind not in BACKENDS or not name:
        kinds = ", ".join(f"{known}:NAME" for known in sorted(BACKENDS))
        raise ConfigError(f"port {url!r} is not understood: it is one of {kinds}")
    port: Port = import_module(BACKENDS[kind]).open_port(name, netns=netns, persist=persist, queues=queues)
    return port
