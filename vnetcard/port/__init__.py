"""Ports: where packets enter and leave, one module per kind; this file is their contract and their table.

Other packages add kinds by entry points of the group ``vnetcard.ports`` (docs/plugins.md).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.plugins.kinds import Kinds
from vnetcard.ring import layout as L

KINDS = Kinds(
    "vnetcard.ports",
    {
        "fd": "vnetcard.port.inherited",
        "pair": "vnetcard.port.memory_pair",
        "tap": "vnetcard.port.tap",
        "tun": "vnetcard.port.tun",
        "unix": "vnetcard.port.unix_socket",
    },
    ("open_port",),
)
"""Kind to module; a module offers ``open_port(name, *, netns, persist, queues) -> Port``."""


class Port(Protocol):
    """An open port: non-blocking file descriptors; each read and each write is one whole packet.

    A port of Ethernet frames has the attribute ``frames`` as well: ``layout.FRAMES["ETHERNET"]``.
    """

    @property
    def name(self) -> str:
        """The name of the interface, or NAME of the URL where there is no interface."""

    @property
    def fds(self) -> tuple[int, ...]:
        """For the pumps, one per queue; they stay the same until ``close``."""

    @property
    def vnet(self) -> bool:
        """True if each packet starts with a virtio_net_hdr (10 bytes, <linux/virtio_net.h>)."""

    def probe_offload(self) -> dict[str, str]:
        """Test which offloads (names of layout.FEATURES) the port accepts: name to ``""``, or to the reason why not.

        Valid once the interface is up; before that, the kernel refuses packets for another reason.
        """

    def set_offload(self, features: int) -> None:
        """Allow the port to deliver packets with these offloads (bits of layout.FEATURES), and with no others."""

    def use_queues(self, count: int) -> None:
        """Deliver packets from the first ``count`` queues only; packets can be written to every queue."""

    def set_carrier(self, up: bool) -> None:
        """Set the kernel's link carrier: LOWER_UP or NO-CARRIER in ``ip link``.  Idempotent."""

    def close(self) -> None:
        """Close the descriptors; an interface that is not persistent disappears.  Idempotent."""


def frames_of(port: Port) -> int:
    """What the port's packets are, of layout.FRAMES: its attribute ``frames``, or IP packets where it has none."""
    return int(getattr(port, "frames", L.FRAMES["IP"]))


@runtime_checkable
class ProgramPort(Protocol):
    """A port behind which a program may come and go."""

    @property
    def present(self) -> bool:
        """True while a program is connected."""


def open_port(url: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> Port:
    """Open the port ``KIND:NAME`` with ``queues`` queues, in the network namespace ``netns`` (default: this one).

    ``persist`` keeps the interface after ``close``.  Raises ConfigError (the URL, more queues than the kind
    supports, a broken plug-in) or PortUnavailable (it cannot be opened).
    """
    kind, colon, name = url.partition(":")
    if not colon or not name or kind not in KINDS:
        kinds = ", ".join(KINDS.names())
        raise ConfigError(f"invalid port URL {url!r}: expected KIND:NAME, KIND one of {kinds}", code=ErrorCode.BAD_URL)
    port: Port = KINDS.load(kind).open_port(name, netns=netns, persist=persist, queues=queues)
    return port
