"""A kernel that refuses a super-packet at run time: the kind is withdrawn, with the reason, and the link goes on.

The refused packet comes from a peer that is a test: the real link and pumps, over a socket in place of a TUN.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import need
from vnetcard.codes.link import LinkReason
from vnetcard.lab.lab import Lab
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.link import Link
from vnetcard.link.types import Agreement, LinkState, Offer
from vnetcard.port.memory_pair import PairPort
from vnetcard.port.offload_probe import probe_packet
from vnetcard.ring import layout as L
from vnetcard.window import open_window

pytestmark = pytest.mark.root

ALL = sum(L.FEATURES[name] for name in ("CSUM", "TSO4", "TSO6", "USO4", "USO6"))
LIMIT_S = 30.0
REFUSED = "the kernel refused a packet with it (EINVAL)"
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


def vnet_header(gso: int, *, flags: int = 0, size: int = 512, start: int = 0, offset: int = 0) -> bytes:
    """struct virtio_net_hdr (Linux include/uapi/linux/virtio_net.h)."""
    return struct.pack("<BBHHHH", flags, gso, 0, size, start, offset)


def cut_short(kind: str) -> bytes:
    """A super-packet of ``kind`` that ends inside its transport header: sane to the pump, EINVAL to the kernel."""
    ipv6 = kind.endswith("6")
    ip_bytes, transport = (40 if ipv6 else 20), (18 if kind.startswith("TSO") else 7)
    first = b"\x60" if ipv6 else b"\x45"
    return vnet_header(GSO[kind], flags=1, start=ip_bytes, offset=4) + first + bytes(ip_bytes + transport - 1)


def features(lab: Lab) -> dict[str, str]:
    found: dict[str, str] = lab.status(L.HOST)["link"]["features"]
    return found


@pytest.mark.parametrize("kind", GSO)
def test_refused_kind_is_withdrawn_and_the_link_comes_back(lab: Lab, peer: Peer, kind: str) -> None:
    assert set(features(lab).values()) == {"on"}
    before = lab.status(L.HOST)["link"]["epoch"]
    peer.packets.send(cut_short(kind))
    wait_until(lambda: len(peer.agreements) == 2 and peer.link.state is LinkState.RUN)
    lab.wait_for(L.HOST, "run")
    assert features(lab) == dict.fromkeys(features(lab), "on") | {kind: REFUSED}
    assert peer.agreements[1].features == ALL & ~L.FEATURES[kind]
    assert lab.status(L.HOST)["link"]["epoch"] != before
    (view,) = assert_ledgers_balance(lab, allow={"drop_port_refused", "lost_restart", "drop_link_down"})
    host = view["sides"][L.HOST]
    assert (host["rx"]["drop_port_refused"], host["link"]["offload_refused"]) == (1, 1)


def test_packets_still_pass_after_a_refusal(lab: Lab, peer: Peer) -> None:
    peer.packets.send(cut_short("TSO4"))
    wait_until(lambda: len(peer.agreements) == 2 and peer.link.state is LinkState.RUN)
    lab.wait_for(L.HOST, "run")
    delivered = lab.status(L.HOST)["sides"][L.HOST]["rx"]["rx_delivered"]
    peer.packets.send(probe_packet("TSO6"))  # another kind, valid, which no host answers
    wait_until(lambda: lab.status(L.HOST)["sides"][L.HOST]["rx"]["rx_delivered"] == delivered + 1)
    assert features(lab)["TSO6"] == "on"


def test_kinds_are_withdrawn_one_after_the_other_until_plain_packets_are_left(lab: Lab, peer: Peer) -> None:
    for number, kind in enumerate(GSO, start=2):
        peer.packets.send(cut_short(kind))
        wait_until(lambda n=number: len(peer.agreements) == n and peer.link.state is LinkState.RUN)
        lab.wait_for(L.HOST, "run")
    assert features(lab) == {"CSUM": "on"} | dict.fromkeys(GSO, REFUSED)
    assert peer.agreements[-1].features == L.FEATURES["CSUM"]
