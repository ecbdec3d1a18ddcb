"""A link from an interface that exists (`packet:`) to a TAP: sizes, offloads, tags, mishaps, with exact accounts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import need
from tests.harness.pings import run_pings
from tests.harness.programs import VNETCARD, X86, assert_refused, ip, run
from tests.harness.restarts import OUTAGE, until
from tests.harness.traffic import (
    V4,
    V6,
    assert_everything_crosses,
    assert_stream_arrives,
    pinging,
)
from tests.harness.veth_lab import VethLab, veth_lab
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.discard import DiscardCode
from vnetcard.codes.link import LinkReason
from vnetcard.lab.lab import run_in
from vnetcard.ping.suite import Target
from vnetcard.port.netns import inside
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root

LAST_SIZE = 1600
ETH_P_ALL = 3
EARLY = frozenset({"drop_link_down"})
"""What the veth's kernel sends by itself before the link is up: it has carrier."""
EXPERIMENT = b"\x88\xb5"
"""The EtherType of IEEE 802 for experiments."""


class Wired(VethLab):
    """The host's agent serves `veth0` of the namespace `wire`; its far end, `veth0` too, is what programs use."""

    def add_veth(self, *near: str) -> None:
        super().add_veth(*near)
        ip("-n", self.far, "address", "add", f"{V4[HOST]}/24", "dev", "veth0")
        ip("-n", self.far, "address", "add", f"{V6[HOST]}/64", "dev", "veth0", "nodad")

    def start_host(self, *options: str) -> None:
        self.lab.start(HOST, "--netns", self.wire, "--port", "packet:veth0", *options)

    def start_card(self, *options: str) -> None:
        addresses = ("--address", f"{V4[CARD]}/24", "--address", f"{V6[CARD]}/64")
        self.lab.start(CARD, "--port", "tap:tap0", *addresses, *options)

    def restart(self, *, host: tuple[str, ...] = (), card: tuple[str, ...] = ()) -> None:
        self.stop_agents()
        self.start_host(*host)
        self.start_card(*card)
        self.ready()

    def ready(self) -> None:
        """Return once packets pass."""
        self.lab.wait_up()

    def near(self) -> dict[str, Any]:
        """The interface as the kernel shows it."""
        shown: dict[str, Any] = json.loads(ip("-n", self.wire, "-d", "-j", "link", "show", "veth0"))[0]
        return {name: shown[name] for name in ("flags", "mtu", "address", "operstate", "promiscuity", "allmulti")}

    def card_has_carrier(self) -> bool:
        return " state UP " in ip("-n", self.lab.namespaces[CARD], "-o", "link", "show", "tap0")

    def kernel(self) -> dict[str, int]:
        """The kernel's counters in front of the port."""
        counters: dict[str, int] = self.lab.status(HOST)["port"]["kernel"]["counters"]
        return counters


@pytest.fixture(scope="module")
def wired() -> Iterator[Wired]:
    with veth_lab(Wired, HOST, "packet") as wired:
        yield wired


def test_ring_that_is_full_within_a_frame_loses_nothing() -> None:
    """The ring has room for two packets, a super-packet of the veth for forty."""
    with veth_lab(Wired, HOST, "packet-small", f"shm:vnetcard-packet-small-{os.getpid()}+16K") as small:
        small.restart()
        assert_stream_arrives(small.lab, "tcp", 4 << 20, sender=HOST)
        views = assert_ledgers_balance(small.lab, allow=EARLY)
        assert views[0]["sides"][HOST]["tx"]["tx_ring_full"] > 0


@pytest.fixture(scope="module", params=["off", "csum", "auto"])
def offload(request: pytest.FixtureRequest, wired: Wired) -> str:
    """What the card takes; one of the links bypasses the queueing discipline of the interface."""
    offload: str = request.param
    wired.restart(
        host=("--port", f"packet:veth0?qdisc={'off' if offload == 'csum' else 'on'}"), card=("--offload", offload)
    )
    return offload


def test_everything_arrives_whatever_the_peer_takes(wired: Wired, offload: str) -> None:
    """Every ping size, and streams of super-packets, which the port finishes where the peer does not take them."""
    version = 6 if offload == "csum" else 4
    assert_everything_crosses(wired.lab, LAST_SIZE, version=version)
    assert_ledgers_balance(wired.lab, allow=EARLY)
    features = wired.lab.status(HOST)["link"]["features"]
    assert {features[kind] == "on" for kind in ("TSO4", "USO6")} == {offload == "auto"}
    assert features["CSUM"] == "on" or offload == "off"


def test_vlan_tags_stay_in_the_frames(wired: Wired, offload: str) -> None:
    """The kernel hands the outer tag to a packet socket beside the frame."""
    del offload
    ends = []
    for netns, name in zip(wired.lab.namespaces, ("veth0", "tap0"), strict=True):
        with inside(netns):
            ends.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
        ends[-1].bind((name, ETH_P_ALL))
        ends[-1].settimeout(20)
    for sender in (HOST, CARD):
        for tags in ("", "81000064", "88a8000781000064"):
            body = bytes.fromhex(tags)[4:] + EXPERIMENT + os.urandom(8) + bytes(100)
            frame = bytes.fromhex("02ffffffffff 020000000001" + tags[:8]) + body
            ends[sender].send(frame)
            while not (got := _with_tag(ends[1 - sender])).endswith(body):
                pass
            assert got == frame
    for end in ends:
        end.close()
    assert_ledgers_balance(wired.lab, allow=EARLY)


def _with_tag(end: socket.socket) -> bytes:
    """A frame, with the tag that the kernel hands over beside it (struct tpacket_auxdata, packet(7))."""
    packet, auxdata, valid = 263, 8, 1 << 4
    end.setsockopt(packet, auxdata, 1)
    frame, beside, _, _ = end.recvmsg(4000, 100)
    for _, _, aux in beside:
        if int.from_bytes(aux[:4], "little") & valid:
            tci, tpid = (int.from_bytes(aux[at : at + 2], "little") for at in (16, 18))
            frame = frame[:12] + tpid.to_bytes(2, "big") + tci.to_bytes(2, "big") + frame[12:]
    return frame


def test_queues_share_the_flows(wired: Wired) -> None:
    wired.restart(host=("--queues", "2"), card=("--queues", "2"))
    until(lambda: wired.lab.status(HOST)["link"]["queues"] == 2, "both queues are in use")
    for sender in (HOST, CARD):
        assert_stream_arrives(wired.lab, "tcp", 4 << 20, sender=sender)
    results = run_pings([Target(V4[CARD], netns=wired.lab.namespaces[HOST])], count=5, sizes=[56, 1472])
    assert [result for result in results if not result.ok] == []
    assert_ledgers_balance(wired.lab, allow=EARLY)
    _delete_and_add_again(wired)


# --- mishaps -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def link(wired: Wired) -> Wired:
    """With all offloads."""
    wired.restart()
    return wired


def _delete_and_add_again(wired: Wired) -> None:
    before = wired.log().count("is there again")
    ip("-n", wired.wire, "link", "del", "veth0")
    until(lambda: not wired.card_has_carrier(), "the card has no carrier")
    assert wired.lab.status(CARD)["link"]["reason_code"] == LinkReason.PEER_PORT_DOWN.value
    assert wired.lab.status(HOST)["port"]["present"] is False
    until(lambda: "interface veth0 was deleted" in wired.log(), "the deletion is logged")
    wired.add_veth()
    until(wired.card_has_carrier, "the card has carrier again")
    until(lambda: wired.log().count("is there again") > before, "the return is logged")
    assert wired.log().count("is there again") == before + 1
    until(lambda: _ping(wired), "pings pass again")


def _ping(wired: Wired) -> bool:
    command = run_in(wired.lab.namespaces[CARD], [need("ping"), "-c", "1", "-W", "1", V4[HOST]])
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_interface_that_is_deleted_is_named_and_served_again(link: Wired) -> None:
    for _ in range(2):
        _delete_and_add_again(link)
    ip("-n", link.wire, "link", "set", "veth0", "down")
    until(lambda: not link.card_has_carrier(), "the card has no carrier")
    ip("-n", link.wire, "link", "set", "veth0", "up")
    until(lambda: link.card_has_carrier() and _ping(link), "pings pass again")
    ip("-n", link.lab.namespaces[HOST], "link", "set", "veth0", "down")
    until(lambda: not link.card_has_carrier(), "the far end's carrier counts as well")
    ip("-n", link.lab.namespaces[HOST], "link", "set", "veth0", "up")
    until(lambda: link.card_has_carrier() and _ping(link), "pings pass again")
    ip("-n", link.wire, "link", "set", "veth0", "name", "veth9")
    until(lambda: link.lab.status(HOST)["port"]["name"] == "veth9", "the new name is shown")
    assert _ping(link)
    ip("-n", link.wire, "link", "set", "veth9", "name", "veth0")


def test_killed_agents_come_back_and_nothing_is_uncounted(link: Wired) -> None:
    before = link.near()
    assert before["promiscuity"] >= 1
    with pinging(link.lab), pinging(link.lab, side=CARD):
        for side in (HOST, CARD, HOST):
            link.lab.stop(side, signal.SIGKILL)
            link.start_host() if side == HOST else link.start_card()
            link.ready()
    results = run_pings([Target(V4[CARD], netns=link.lab.namespaces[HOST])], count=20, sizes=[56, 1472])
    assert [result for result in results if not result.ok] == []
    assert_ledgers_balance(link.lab, allow=OUTAGE | {"drop_port_down"})
    assert link.near() == before
    link.lab.stop(HOST)
    after = link.near()
    assert after.pop("promiscuity") == before.pop("promiscuity") - 1
    assert after == before, "the interface is as it was"
    link.start_host()
    link.ready()


def test_frames_that_find_the_socket_full_are_counted_with_a_cause(link: Wired) -> None:
    agent = link.lab.agent(HOST)
    agent.send_signal(signal.SIGSTOP)
    try:
        with inside(link.lab.namespaces[HOST]):
            flood = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        with flood:
            flood.bind(("veth0", 0))
            frame = bytes.fromhex("02ffffffffff 020000000001") + EXPERIMENT + bytes(1400)
            for _ in range(6000):  # each takes more than its length of the 4 MiB
                flood.send(frame)
    finally:
        agent.send_signal(signal.SIGCONT)
    until(lambda: link.kernel()[DiscardCode.TX_PACKET_SOCKET] > 0, "drops are shown")
    views = assert_ledgers_balance(link.lab, allow=OUTAGE | {"drop_port_down"})
    taken = views[0]["sides"][HOST]["tx"]["tx_taken"]
    assert taken + link.kernel()[DiscardCode.TX_PACKET_SOCKET] >= 6000
    said = run([*VNETCARD, "show", "errors", "--window", link.lab.url, "--json"])
    assert CauseCode.INTERFACE_QUEUE_FULL.value in said.stdout, said


def test_full_queueing_discipline_holds_the_link_back(link: Wired) -> None:
    """It refuses packets by ENOBUFS, which poll(2) cannot foresee: the pump keeps them, and waits without spinning."""
    need("tc")
    before = _port_writes(link)
    shape = ["tc", "qdisc", "add", "dev", "veth0", "root", "tbf", "rate", "20mbit", "burst", "10k", "limit", "20k"]
    subprocess.run(run_in(link.wire, shape), check=True)
    try:
        assert_stream_arrives(link.lab, "tcp", 1 << 20, sender=CARD)
    finally:
        subprocess.run(run_in(link.wire, ["tc", "qdisc", "del", "dev", "veth0", "root"]), check=True)
    writes, packets = (now - then for now, then in zip(_port_writes(link), before, strict=True))
    assert packets < writes < 100 * packets


def _port_writes(link: Wired) -> tuple[int, int]:
    """Writes into the port, and packets that it took."""
    rx = link.lab.status(HOST)["sides"][HOST]["rx"]
    return rx["rx_port_writes"], rx["rx_delivered"]


# --- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--port packet:", "expected packet:IF"),
        ("--port packet", "expected packet:IF"),
        ("--port packet:veth0 --name eth1", "without --name"),
        ("--port packet:no-such-if", "no such interface"),
        ("--port packet:lo", "not an Ethernet interface"),
        ("--port packet:sixteen-bytes-xx", "invalid interface name"),
        ("--port packet:veth0?qdisc=maybe", "expected qdisc=on or qdisc=off"),
        ("--port packet:veth0?", "expected qdisc=on or qdisc=off"),
        ("--port packet:veth0 --mtu 1501", "exceeds the MTU of veth0: give --mtu 1500"),
        ("--port packet:veth0 --address 10.1.1.1/24", "--address would change veth0"),
        ("--port packet:veth0 --route 10.2.0.0/16", "--route would change veth0"),
        ("--port packet:veth0 --persist", "--persist would change veth0"),
        ("--port packet:veth0 --bridge br0", "needs Ethernet frames"),
        ("--port packet:veth0 --mac 02:00:00:00:00:01", "needs Ethernet frames"),
        ("--port packet:veth0 --netns no-such-netns", "no-such-netns"),
    ],
)
def test_bad_port_is_one_line(wired: Wired, tmp_path: Path, options: str, words: str) -> None:
    command = [*X86, "--window", f"file:{tmp_path / 'window'}", "--netns", wired.wire, *options.split()]
    assert_refused(run(command), "vnetcard-x86", words)
