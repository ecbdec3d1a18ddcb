"""The ways that are compared: one a file, behind one Protocol and one table.

A way joins two network namespaces, each with an interface, an address and a route to the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from vnetcard.bench import programs
from vnetcard.bench.contenders import sim
from vnetcard.bench.contenders.bar import BarPeer
from vnetcard.bench.contenders.card import CardPeer
from vnetcard.bench.contenders.openvpn import OpenvpnPeer
from vnetcard.bench.contenders.sim import SimPeer
from vnetcard.bench.contenders.socat import SocatPeer
from vnetcard.bench.contenders.splice import SplicePeer
from vnetcard.bench.contenders.testpmd import TestpmdPeer
from vnetcard.bench.contenders.veth import VethPeer
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry, parse_size


class Peer(Protocol):
    """One way between two namespaces, made by ``start`` and gone after ``close``."""

    namespaces: tuple[str, str]
    addresses: tuple[str, str]
    interfaces: tuple[str, str]
    offload: bool
    """Does it carry super-packets, larger than the MTU?"""

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that carry the packets; none where the kernel does."""

    def prepare(self) -> None:
        """Make the namespaces; what comes after counts as its start."""

    def start(self, *, mtu: int) -> None:
        """Make all the rest, and return when packets can be sent, or soon will; Invalid when it cannot be."""

    def check(self) -> None:
        """Invalid when the way itself knows that something was wrong, such as a lost packet."""

    def close(self) -> None:
        """Undo it all; also after a ``start`` that failed or was interrupted."""


@dataclass(frozen=True, slots=True)
class Way:
    """A row of the table: what it is, how it is made, '' or what it lacks here, and the loads it is for (none: all)."""

    what: str
    make: Callable[[], Peer]
    missing: Callable[[], str]
    loads: tuple[str, ...] = ()


WINDOWS: Final = ("16K", "64K", "256K", "1M", "64M")
"""Sizes of windows beside the default, from the smallest; those with room for super-packets carry them."""


def _window(text: str) -> Way:
    size = parse_size(text)
    ring = Geometry.plan(size, instance=1, removable=False).ring_bytes

    def make() -> Peer:
        return CardPeer(window_bytes=size, offload=ring >= L.OFFLOAD_RING_MIN)

    return Way(f"vnetcard with a window of {text}", make, lambda: "", ("tcp",))


WAYS: Final[Mapping[str, Way]] = {
    "vnetcard": Way("two agents and a ring in shared memory", CardPeer, lambda: ""),
    "vnetcard-2q": Way(
        "the same over two queue pairs, with rings as large",
        lambda: CardPeer(window_bytes=2 * L.WINDOW_DEFAULT, options=("--queues", "2")),
        lambda: "",
        ("tcp", "tcp-x8", "tcp-both-x8", "udp-64", "ping"),
    ),
    "veth": Way("the kernel's own pair of interfaces: the ceiling", VethPeer, lambda: ""),
    "splice": Way(
        "two TUNs joined in one process, with the same offloads: the limit of anything built on TUN",
        SplicePeer,
        lambda: programs.missing("gcc"),
    ),
    "plain": Way("the same without offloads", lambda: SplicePeer(offload=False), lambda: programs.missing("gcc")),
    "socat": Way("two TUNs joined by socat", SocatPeer, lambda: programs.missing("socat")),
    "testpmd": Way("DPDK: memif and TAP, a busy core a side", TestpmdPeer, lambda: programs.missing("dpdk-testpmd")),
    "openvpn": Way(
        "OpenVPN in user space over a veth pair", OpenvpnPeer, lambda: programs.missing("openvpn", "openssl")
    ),
    "bar": Way(
        "the agents with what a PCI BAR takes of them, over plain RAM",
        BarPeer,
        lambda: "",
        ("idle", "tcp", "tcp-both", "udp-64", "ping", "rr"),
    ),
    "sim": Way("the agents beyond the DMA engine, simulated from its RTL", SimPeer, sim.missing, ("tcp", "ping")),
    **{f"window-{size}": _window(size) for size in WINDOWS},
}
