"""The contenders: one per file, behind one Protocol and one table.

A contender joins two network namespaces, each with an interface, an address and a route to the other's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from vnetcard.bench import programs
from vnetcard.bench.contenders import sim
from vnetcard.bench.contenders.agents import AgentsContender
from vnetcard.bench.contenders.bar import BarContender
from vnetcard.bench.contenders.openvpn import OpenvpnContender
from vnetcard.bench.contenders.packet import PacketContender
from vnetcard.bench.contenders.sim import SimContender
from vnetcard.bench.contenders.socat import SocatContender
from vnetcard.bench.contenders.splice import SpliceContender
from vnetcard.bench.contenders.testpmd import TestpmdContender
from vnetcard.bench.contenders.veth import VethContender
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.terminal.sizes import parse_size


class Contender(Protocol):
    """One connection between two namespaces, created by ``prepare`` and ``start``, removed by ``close``."""

    namespaces: tuple[str, str]
    addresses: tuple[str, str]
    interfaces: tuple[str, str]
    offload: bool
    """Whether it carries super-packets, larger than the MTU."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that carry the packets; empty where the kernel does."""

    def prepare(self) -> None:
        """Create the namespaces; the time from here to the first packet is the contender's start."""

    def start(self, *, mtu: int) -> None:
        """Create the rest and return when packets can be sent, or soon can be; Invalid when it fails."""

    def check(self) -> None:
        """Raise Invalid when the contender itself reports a fault, such as a lost packet."""

    def close(self) -> None:
        """Remove everything; also after a ``start`` that failed or was interrupted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the table: a description, a constructor, the missing program ('' if none), and its loads (none: all)."""

    what: str
    make: Callable[[], Contender]
    missing: Callable[[], str]
    loads: tuple[str, ...] = ()


WINDOWS: Final = ("16K", "64K", "256K", "1M", "64M")
"""Sizes of windows other than the default, from the smallest; those with room for super-packets carry them."""


def _window(text: str) -> Entry:
    size = parse_size(text)
    ring = Geometry.plan(size, instance=1, removable=False).ring_bytes

    def make() -> Contender:
        return AgentsContender(window_bytes=size, offload=ring >= L.OFFLOAD_RING_MIN)

    return Entry(f"vnetcard with a window of {text}", make, lambda: "", ("tcp",))


CONTENDERS: Final[Mapping[str, Entry]] = {
    "vnetcard": Entry(
        "two agents and shared memory: two queue pairs, the first for flows that send little",
        AgentsContender,
        lambda: "",
    ),
    "vnetcard-1q": Entry(
        "the same over one queue pair (--queues 1)",
        lambda: AgentsContender(options=("--queues", "1")),
        lambda: "",
        (
            *("idle", "tcp", "tcp-x8", "tcp-both", "tcp-both-x8", "udp-64", "udp-1400"),
            *("ping", "rr", "ping-load", "rr-load"),
        ),
    ),
    "vnetcard-2k": Entry(
        "two queue pairs among which the kernel spreads the flows (--steering kernel)",
        lambda: AgentsContender(options=("--queues", "2", "--steering", "kernel")),
        lambda: "",
        ("tcp", "tcp-x8", "tcp-both", "ping-load", "rr-load"),
    ),
    "vnetcard-gro": Entry(
        "the same, merging datagrams that wait in the ring (--gro)",
        lambda: AgentsContender(options=("--gro",)),
        lambda: "",
        ("udp-64", "udp-1400"),
    ),
    "veth": Entry("the kernel's own pair of interfaces: the upper bound", VethContender, lambda: ""),
    "splice": Entry(
        "two TUNs joined in one process, with the same offloads: the limit of anything built on TUN",
        SpliceContender,
        lambda: programs.missing("gcc"),
    ),
    "plain": Entry(
        "the same without offloads", lambda: SpliceContender(offload=False), lambda: programs.missing("gcc")
    ),
    "socat": Entry("two TUNs joined by socat", SocatContender, lambda: programs.missing("socat")),
    "testpmd": Entry(
        "DPDK: memif and TAP, a busy core a side", TestpmdContender, lambda: programs.missing("dpdk-testpmd")
    ),
    "openvpn": Entry(
        "OpenVPN in user space over a veth pair", OpenvpnContender, lambda: programs.missing("openvpn", "openssl")
    ),
    "bar": Entry(
        "the agents with the copies and barriers of a PCI BAR, over plain RAM",
        BarContender,
        lambda: "",
        ("idle", "tcp", "tcp-both", "udp-64", "ping", "rr"),
    ),
    "tap": Entry(
        "two agents with TAPs: Ethernet frames instead of IP packets",
        lambda: AgentsContender(interface="tap0", options=("--port", "tap:tap0")),
        lambda: "",
        ("tcp", "tcp-both", "udp-64", "ping", "rr"),
    ),
    "macvtap": Entry(
        "an agent with a macvtap over a veth, and one with a TAP",
        lambda: PacketContender("macvtap"),
        lambda: "",
        ("tcp", "tcp-both", "udp-64", "ping", "rr"),
    ),
    "packet": Entry(
        "an agent at a veth (`packet:`) and one with a TAP",
        PacketContender,
        lambda: "",
        ("tcp", "tcp-both", "udp-64", "ping", "rr"),
    ),
    "packet-plain": Entry(
        "the same, where the card takes no offloads and the agent at the veth finishes each frame",
        lambda: PacketContender(offload=False),
        lambda: "",
        ("tcp", "ping"),
    ),
    "sim": Entry(
        "the agents beyond the DMA engine, simulated from its RTL", SimContender, sim.missing, ("tcp", "ping")
    ),
    **{f"window-{size}": _window(size) for size in WINDOWS},
}
