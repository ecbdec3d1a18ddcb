"""The kernel's counters stay those of the link's interface, whatever happens to it: a real TUN, and no agent."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import resource
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.needs import need, skip_or_fail
from tests.harness.programs import NOBODY, ip, run
from vnetcard.agent.kernel_discards import KernelDiscards
from vnetcard.agent.misrouted import Place, judge
from vnetcard.errors import PortUnavailable
from vnetcard.lab.lab import run_in
from vnetcard.port import kernel_counters
from vnetcard.port.address import parse_address
from vnetcard.port.interface import Interface
from vnetcard.port.netns import inside
from vnetcard.port.tun import TunPort, open_port
from vnetcard.ring import layout as L
from vnetcard.ring.dissect import Packet

pytestmark = pytest.mark.root

OWN, FOREIGN = {4: "10.10.10.5/24", 6: "fd00::5/64"}, {4: "10.10.10.9", 6: "fd00::9"}
COUNTER = {4: "kernel_ip_in_addr_errors", 6: "kernel_ip6_in_addr_errors"}


class Tun:
    """An interface that is up and has its addresses, of which the test is the far end."""

    def __init__(self, namespace: str, name: str = "tun0", addresses: dict[int, str] = OWN) -> None:
        self.port: TunPort = open_port(name, netns=namespace)
        self.addresses = [parse_address(text) for text in addresses.values()]
        self.interface = Interface(name, netns=namespace, locate=self.port.locate)
        self.up()

    def up(self) -> None:
        self.interface.up(mtu=1500)
        self.port.set_carrier(True)
        self.interface.wait_open()
        for address in self.addresses:
            self.interface.add_address(address)

    def deliver(self, destination: str, count: int = 5) -> None:
        """Datagrams from the far end, in one step with what the kernel does with them."""
        packed = ipaddress.ip_address(destination).packed
        udp = struct.pack("!HHHH", 1000, 2000, 8, 0)
        if len(packed) == 4:
            head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, bytes([10, 10, 10, 1]), packed)
            checksum = sum(struct.unpack("!10H", head))
            checksum = ~((checksum & 0xFFFF) + (checksum >> 16)) & 0xFFFF
            head = head[:10] + checksum.to_bytes(2, "big") + head[12:]
        else:
            head = struct.pack("!IHBB16s16s", 6 << 28, 8, 17, 64, ipaddress.ip_address("fd00::1").packed, packed)
        for _ in range(count):
            os.write(self.port.fds[0], bytes(L.VNET_HDR) + head + udp)

    def close(self) -> None:
        self.interface.close()
        self.port.close()


@pytest.fixture
def tun(netns_pair: tuple[str, str]) -> Iterator[Tun]:
    tun = Tun(netns_pair[0])
    yield tun
    tun.close()


@pytest.fixture
def discards(tun: Tun) -> Iterator[KernelDiscards]:
    for version in (4, 6):
        tun.deliver(FOREIGN[version], 3)  # before the link is up
    discards = KernelDiscards(tun.interface)
    assert discards.counts() == {}
    deliver(tun)
    discards.begin()
    yield discards
    discards.close()


def counted(discards: KernelDiscards) -> tuple[int, int]:
    counts = discards.counts()
    return counts[COUNTER[4]], counts[COUNTER[6]]


def deliver(tun: Tun) -> None:
    for version in (4, 6):
        tun.deliver(FOREIGN[version])


def test_count_begins_with_the_link(tun: Tun, discards: KernelDiscards) -> None:
    assert not any(discards.counts().values())
    deliver(tun)
    assert counted(discards) == (5, 5)
    discards.begin()  # the link came up again
    assert counted(discards) == (5, 5)


def test_renamed_interface_goes_on_counting(tun: Tun, discards: KernelDiscards) -> None:
    deliver(tun)
    namespace = str(tun.interface.place)
    for words in ("tun0 down", "tun0 name other0", "other0 up"):
        ip("-n", namespace, "link", "set", *words.split())
    tun.up()
    deliver(tun)
    assert counted(discards) == (10, 10)
    assert discards.view()["problem"] == ""


def test_interface_in_another_namespace_keeps_its_count_and_takes_none_of_the_others(
    tun: Tun, discards: KernelDiscards, netns_pair: tuple[str, str]
) -> None:
    resident = Tun(netns_pair[1], "tun9", {4: "10.10.10.7/24", 6: "fd00::7/64"})
    try:
        for version in (4, 6):
            resident.deliver(FOREIGN[version], 7)
        deliver(tun)  # not read before it moves
        ip("-n", netns_pair[0], "link", "set", "tun0", "netns", netns_pair[1])
        assert "cannot be read" in discards.view()["problem"]
        assert tun.interface.find()
        tun.up()
        discards.counts()
        deliver(tun)
        assert discards.counts()[COUNTER[4]] == 10
        assert discards.view()["problem"] == ""
    finally:
        resident.close()


def test_ipv6_discards_of_another_interface_are_not_ours(tun: Tun, discards: KernelDiscards) -> None:
    other = Tun(str(tun.interface.place), "tun8", {4: "10.20.0.5/24", 6: "fd20::5/64"})
    try:
        other.deliver("fd20::9")
        other.deliver("10.20.0.9")
    finally:
        other.close()
    assert counted(discards) == (5, 0), "the kernel counts IPv4 by namespace, IPv6 by interface"
    assert discards.view()["misrouted"] == []


def test_what_was_counted_stays_when_the_interface_loses_ipv6(tun: Tun, discards: KernelDiscards) -> None:
    deliver(tun)
    assert counted(discards) == (5, 5)
    for value in (1, 0):
        words = ["sysctl", "-qw", f"net.ipv6.conf.tun0.disable_ipv6={value}"]
        assert run(run_in(str(tun.interface.place), words)).status == 0
        assert counted(discards) == (5, 5)
    tun.up()
    deliver(tun)
    assert counted(discards) == (10, 10)


def test_kernel_without_ipv6_counts_ipv4_alone(tun: Tun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("snmp", "netstat"):
        text = run(run_in(str(tun.interface.place), ["cat", f"/proc/net/{name}"])).stdout
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(kernel_counters, "FOLDER", str(tmp_path))
    discards = KernelDiscards(tun.interface)
    discards.begin()
    view = discards.view()
    discards.close()
    assert view["problem"] == ""
    assert view["counters"]["kernel_udp_rcvbuf_errors"] == 0
    assert not [name for name in view["counters"] if "6_" in name]


def test_deleted_interface_is_a_problem_in_words_and_keeps_its_count(tun: Tun, discards: KernelDiscards) -> None:
    deliver(tun)
    assert counted(discards) == (5, 5)
    ip("-n", str(tun.interface.place), "link", "del", "tun0")
    view = discards.view()
    assert view["counters"][COUNTER[6]] == 5
    assert "No such device" in view["problem"]


def test_agent_without_descriptors_counts_once_it_has_some(tun: Tun) -> None:
    recent: Any = SimpleNamespace(mark=lambda: None, heads=lambda: iter(()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        discards = KernelDiscards(tun.interface)
        discards.begin()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert discards.view()["since"] is None
    assert "Too many open files" in discards.view()["problem"]
    discards.sample({"h2c cons": 1}, recent)
    tun.deliver(FOREIGN[4])
    assert discards.counts()[COUNTER[4]] == 5
    discards.close()


def test_agent_that_has_given_up_its_permissions_counts(tun: Tun) -> None:
    discards = KernelDiscards(tun.interface)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(PortUnavailable), inside(str(tun.interface.place)):
            pass
        discards.begin()
        deliver(tun)
        assert counted(discards) == (5, 5)
    finally:
        os.seteuid(0)
        discards.close()


def test_idle_link_asks_the_kernel_nothing(tun: Tun, discards: KernelDiscards, monkeypatch: pytest.MonkeyPatch) -> None:
    recent: Any = SimpleNamespace(mark=lambda: None, heads=lambda: iter(()))
    now = 100.0
    monkeypatch.setattr("vnetcard.agent.kernel_discards.time.monotonic", lambda: now)
    discards.sample({"h2c cons": 64}, recent)
    now += 10.0
    tun.deliver(FOREIGN[4])
    assert discards.sample({"h2c cons": 64}, recent)[COUNTER[4]] == 0, "nothing moved"
    assert discards.sample({"h2c cons": 128}, recent)[COUNTER[4]] == 5


def test_every_packet_that_a_queueing_discipline_drops_is_found(tun: Tun, discards: KernelDiscards) -> None:
    namespace = str(tun.interface.place)
    command = [need("tc"), "qdisc", "replace", "dev", "tun0", "root", "tbf", "rate", "1mbit", "burst", "3kb"]
    done = run(run_in(namespace, [*command, "limit", "5kb"]))
    if done.status:
        skip_or_fail(f"this kernel has no tbf: {done.stderr}")
    quiet = ["sysctl", "-qw", "net.ipv6.conf.tun0.disable_ipv6=1"]  # no router solicitation
    assert run(run_in(namespace, quiet)).status == 0
    discards.counts()
    with inside(namespace):
        source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with source:
        for _ in range(100):
            source.sendto(b"v" * 200, ("10.10.10.1", 2000))
    got = 0
    deadline = time.monotonic() + 30.0
    while got + (dropped := discards.counts()["kernel_tx_qdisc_dropped"]) < 100 and time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            got += os.read(tun.port.fds[0], 2000)[L.VNET_HDR] >> 4 == 4  # not one of IPv6, from before
    assert got + dropped == 100
    assert dropped > 50


# --- what the kernel would do with a packet ------------------------------------------------------------

PEER = {4: "10.10.10.1", 6: "fd00::1"}
LAN = (
    *("link add lan0 type veth peer name lan1", "link set lan0 up", "link set lan1 up"),
    *("address add 10.99.0.1/24 dev lan0", "-6 address add fd99::1/64 dev lan0 nodad"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A packet that comes in by tun0: why it or its answer is discarded, and a part of the command that mends it."""

    destination: str
    code: str = ""
    fix: str = ""
    source: str = ""
    settings: tuple[str, ...] = ()
    route: str = ""


FORWARD, DEFAULT = "ipv4.ip_forward", "default via 10.99.0.7"
CASES = [
    Case("10.10.10.5"),
    Case("fd00::5"),
    Case("10.10.10.255"),
    Case("224.0.0.251"),
    Case("ff02::2", source="fe80::1"),
    Case("255.255.255.255", source="0.0.0.0"),
    Case("10.10.10.5", source="10.10.10.5"),  # an address conflict, which is reported as such
    Case("10.10.10.9", "foreign-address", "address add 10.10.10.9/32 dev tun0"),
    Case("10.99.0.7", "not-forwarding", "sysctl -w net.ipv4.ip_forward=1"),
    Case("fd99::7", "not-forwarding", "sysctl -w net.ipv6.conf.all.forwarding=1"),
    Case("10.99.0.7", settings=(FORWARD,)),
    Case("fd99::7", settings=("ipv6.conf.all.forwarding",)),
    Case("10.10.10.5", "no-route-back", "route add 10.97.0.1/32 dev tun0", source="10.97.0.1"),
    Case("fd00::5", "no-route-back", "route add fd97::1/128 dev tun0", source="fd97::1"),
    Case("10.10.10.5", source="10.97.0.1", route=DEFAULT),
    Case(
        "10.10.10.5",
        "no-route-back",
        "route add 10.97.0.1/32 dev tun0",
        source="10.97.0.1",
        settings=("ipv4.conf.all.rp_filter",),
    ),
    Case(
        "10.10.10.5",
        "reverse-path-filter",
        "route add 10.97.0.1/32 dev tun0",
        source="10.97.0.1",
        settings=("ipv4.conf.all.rp_filter",),
        route=DEFAULT,
    ),
    Case("198.51.100.1", "foreign-address", "route add 198.51.100.1/32 via GATEWAY", settings=(FORWARD,)),
    Case("2001:db8::1", "foreign-address", "route add 2001:db8::1/128 via GATEWAY"),
    Case("198.51.100.1", settings=(FORWARD,), route="prohibit 198.51.100.0/24"),
]


def test_kernel_itself_says_what_it_does_with_a_packet(tun: Tun) -> None:
    namespace = str(tun.interface.place)
    for words in LAN:
        ip("-n", namespace, *words.split())
    counters = kernel_counters.KernelCounters(namespace, tun.interface.index)
    place = Place(tun.interface.index, "tun0", namespace)
    try:
        for case in CASES:
            set_up(namespace, case, value=1, command="add")
            packet = Packet(case.source or PEER[6 if ":" in case.destination else 4], case.destination, 17, b"")
            found = None
            with contextlib.suppress(PermissionError):  # of the route that prohibits it
                found = judge(counters.queries, place, packet)
            assert (found.code if found else "") == case.code, case
            assert found is None or (case.fix in found.fix and namespace in found.fix), case
            set_up(namespace, case, value=0, command="del")
        set_up(namespace, Case("", settings=(FORWARD,)), value=1, command="add")
        set_up(namespace, Case("", settings=("ipv4.conf.tun0.forwarding",)), value=0, command="add")
        found = judge(counters.queries, place, Packet(PEER[4], "10.99.0.7", 17, b""))
        assert found is not None
        assert "sysctl -w net.ipv4.conf.tun0.forwarding=1" in found.fix
    finally:
        counters.close()


def set_up(namespace: str, case: Case, *, value: int, command: str) -> None:
    """Set the settings of ``case`` to ``value``, and add or delete its route."""
    for setting in case.settings:
        assert run(run_in(namespace, ["sysctl", "-qw", f"net.{setting}={value}"])).status == 0
    if case.route:
        ip("-n", namespace, "route", command, *case.route.split())
