"""Super-packets that the kernel would refuse because their headers are broken take no offload away from the link.

They come from a peer that is a test: the real link and pumps, over a socket in place of a TUN.  What happens when the
kernel refuses good packets is in tests/unit/test_withdrawn.py.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import need
from tests.harness.programs import ip
from vnetcard.codes.link import LinkReason
from vnetcard.lab.lab import Lab
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.link import Link
from vnetcard.link.types import Agreement, LinkState, Offer
from vnetcard.port import open_port
from vnetcard.port.memory_pair import PairPort
from vnetcard.port.offload_probe import probe_packet
from vnetcard.port.tun import TunPort
from vnetcard.ring import layout as L
from vnetcard.window import open_window

pytestmark = pytest.mark.root

ALL = sum(L.FEATURES[name] for name in ("CSUM", "TSO4", "TSO6", "USO4", "USO6"))
LIMIT_S = 30.0
GSO = {"TSO4": 1, "TSO6": 4, "USO4": 5, "USO6": 5}


class Peer:
    """The card's side of ``url`` in a thread of this process: what ``packets`` sends goes into the ring as it is."""

    def __init__(self, url: str) -> None:
        self.window = open_window(url, side=L.CARD)
        self.port = PairPort("peer")
        self.port.vnet = True  # so the pumps take the virtio_net_hdr from the sender
        self.packets = self.port.far
        self.attention = os.eventfd(0, os.EFD_NONBLOCK)
        memory, geometry = self.window.memory, self.window.geometry
        self.ends = PumpEndpoints(
            memory,
            geometry,
            L.CARD,
            self.port,
            attention_fd=self.attention,
            wait="adaptive",
            futex=self.window.futex_wake,
        )
        self.link = Link(memory, L.CARD, self.ends, self, Offer(ALL, L.MTU_DEFAULT))
        self.agreements: list[Agreement] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def link_up(self, agreement: Agreement) -> None:
        self.agreements.append(agreement)

    def carrier(self, up: bool, reason: str) -> None:
        """Not used by these tests."""

    def report(self, message: str, code: LinkReason) -> None:
        """Not used by these tests."""

    def _run(self) -> None:
        self.link.start()
        while not self._stop.wait(min(self.link.tick(), 0.01)):
            pass
        self.link.stop()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.ends.close()
        self.window.close()
        self.port.close()
        os.close(self.attention)


@pytest.fixture
def lab() -> Iterator[Lab]:
    need("ip")
    with Lab("refuse") as lab:
        lab.start(L.HOST)
        yield lab


@pytest.fixture
def peer(lab: Lab) -> Iterator[Peer]:
    peer = Peer(lab.url)
    try:
        lab.wait_for(L.HOST, "run")
        wait_until(lambda: peer.link.state is LinkState.RUN)
        yield peer
    finally:
        peer.close()


def wait_until(true: Callable[[], bool]) -> None:
    """Return once ``true``; fail after a generous time."""
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def vnet_header(gso: int, *, flags: int = 1, size: int = 512, start: int = 0, offset: int = 0) -> bytes:
    """struct virtio_net_hdr (Linux include/uapi/linux/virtio_net.h)."""
    return struct.pack("<BBHHHH", flags, gso, 0, size, start, offset)


def broken(kind: str) -> dict[str, bytes]:
    """Super-packets of ``kind`` with headers that are not whole, by what is wrong with them."""
    good = probe_packet(kind)
    tcp, at = kind.startswith("TSO"), 40 if kind.endswith("6") else 20
    size = 20 if tcp else 8
    head, packet = good[: L.VNET_HDR], good[L.VNET_HDR :]
    field = 16 if tcp else 6
    return {
        "cut in its transport header": head + packet[: at + size - 1],
        "cut in its IP header": vnet_header(GSO[kind], start=4, offset=field) + packet[:19],
        "checksum elsewhere": vnet_header(GSO[kind], start=at, offset=4) + packet,
        "checksum inside the IP header": vnet_header(GSO[kind], start=at - 8, offset=field) + packet,
        "transport header beyond the end": vnet_header(GSO[kind], start=len(packet) - size + 1, offset=field) + packet,
        "no IP": head + b"\x15" + packet[1:],
    } | ({"length of the TCP header": head + packet[: at + 12] + b"\xf0" + packet[at + 13 : at + 40]} if tcp else {})


def host(lab: Lab) -> dict[str, Any]:
    view: dict[str, Any] = lab.status(L.HOST)
    return view


def bad_frames(lab: Lab) -> int:
    return int(host(lab)["sides"][L.HOST]["rx"]["drop_bad_frame"])


@pytest.mark.parametrize("kind", GSO)
def test_broken_super_packets_are_dropped_and_lower_nothing(lab: Lab, peer: Peer, kind: str) -> None:
    before = host(lab)["link"]
    assert set(before["features"].values()) == {"on"}
    packets = broken(kind)
    for packet in packets.values():
        peer.packets.send(packet)
    wait_until(lambda: bad_frames(lab) == len(packets))
    delivered = host(lab)["sides"][L.HOST]["rx"]["rx_delivered"]
    peer.packets.send(probe_packet(kind))  # a good one, which no host answers
    wait_until(lambda: host(lab)["sides"][L.HOST]["rx"]["rx_delivered"] == delivered + 1)
    after = host(lab)["link"]
    assert (after["epoch"], after["features"]) == (before["epoch"], before["features"])
    (view,) = assert_ledgers_balance(lab, allow={"drop_bad_frame"})
    assert view["sides"][L.HOST]["rx"]["drop_bad_frame"] == len(packets)


def test_running_port_says_which_offloads_it_refuses(lab: Lab) -> None:
    lab.start(L.CARD)
    lab.wait_up()
    with contextlib.closing(open_port("tun:probe0", netns=lab.namespaces[L.HOST])) as port:
        assert isinstance(port, TunPort)
        verdicts = port.probe_offload()
        assert port.refused_now(ALL) == 0, "no verdict on an interface that is down"
        ip("-n", lab.namespaces[L.HOST], "link", "set", "probe0", "up")
        assert port.refused_now(ALL) == sum(L.FEATURES[kind] for kind in verdicts if port.probe_offload()[kind])
