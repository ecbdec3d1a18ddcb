"""Ports: where packets enter and leave, one module per kind; this file is their contract and their table.

Other packages add kinds by entry points of the group ``vnetcard.ports`` (docs/plugins.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vnetcard._core import Rings
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.plugins.kinds import Kinds
from vnetcard.ring import layout as L

KINDS = Kinds(
    "vnetcard.ports",
    {
        "fd": "vnetcard.port.inherited",
        "macvtap": "vnetcard.port.macvtap",
        "memif": "vnetcard.port.memif",
        "packet": "vnetcard.port.packet_kind",
        "pair": "vnetcard.port.memory_pair",
        "tap": "vnetcard.port.tap",
        "tun": "vnetcard.port.tun",
        "unix": "vnetcard.port.unix_socket",
        "vhost-user": "vnetcard.port.vhost_user",
    },
    ("open_port",),
)
"""Kind to module; a module offers ``open_port(name, *, netns, persist, queues) -> Port``."""


class Port(Protocol):
    """An open port: non-blocking file descriptors; each read and each write is one whole packet.

    Some have more attributes: a port of Ethernet frames has ``frames``, ``layout.FRAMES["ETHERNET"]``; a port behind
    which a program or an interface may come and go has ``present``, whether it is there; one of IP packets whose
    descriptors carry Ethernet frames has ``neighbours``, by which the pumps know what to put in front of a packet.  The
    packets of a port with ``rings``, a ``_core.Rings``, are in these; its descriptor says only that there may be some.
    One whose queues a kernel fills has ``unsteered``: '' where the first is for flows that send little, else why not.
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


def presence_of(port: Port) -> bool | None:
    """Is a program connected, or the interface up and with carrier?  None where the port has no ``present``."""
    present: bool | None = getattr(port, "present", None)
    return present


def rings_of(port: Port) -> Rings | None:
    """The rings that hold the port's packets; None where they are read from its descriptors."""
    rings: Rings | None = getattr(port, "rings", None)
    return rings


def has_sparse_queue(port: Port) -> bool:
    """Whether the first of several queues is for flows that send little."""
    return len(port.fds) > 1 and getattr(port, "unsteered", None) == ""


def news_of(port: Port) -> list[str]:
    """What has happened behind the port since the last call: lines for the log."""
    take_news: Callable[[], list[str]] | None = getattr(port, "take_news", None)
    return take_news() if take_news is not None else []


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
