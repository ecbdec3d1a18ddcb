"""Who a port `packet:IF?frames=ip` asks and answers on its Ethernet, what it lets pass, and what is counted."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.ip_wire import EARLY, Wired, frames_of, mac_of, packed, pings, wiring
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.programs import VNETCARD, ip, run
from tests.harness.restarts import until
from tests.harness.traffic import V4, V6
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.discard import DiscardCode
from vnetcard.port.neighbour_messages import arp, group_mac, parse_arp, parse_discovery, solicitation, solicited_group
from vnetcard.port.netns import inside
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root

EXPERIMENT = b"\x88\xb5"
"""The EtherType of IEEE 802 for experiments."""
EXPERIMENTAL = 253
"""A protocol behind IPv4 (RFC 3692)."""


@pytest.fixture(scope="module")
def link() -> Iterator[Wired]:
    """With all offloads."""
    with wiring("packet-ip") as wired:
        wired.start()
        yield wired


def test_far_end_finds_the_tun_by_its_addresses(link: Wired) -> None:
    ip("-n", link.far, "neigh", "flush", "dev", "veth0")
    for address in (V4[HOST], V6[HOST], "fe80::1%veth0"):
        assert pings(link.far, address, "-W", "20")
    found = link.neighbours()
    assert {found[one]["lladdr"] for one in (V4[HOST], V6[HOST], "fe80::1")} == {mac_of(link.wire).hex(":")}
    (six,) = [one["local"] for one in json.loads(ip("-n", link.far, "-j", "address", "show", "veth0"))[0]["addr_info"]
              if one["local"].startswith("fe80")]  # fmt: skip
    assert pings(link.host, f"{six}%tun0", "-W", "20")
    details = details_of(link)
    assert details["neighbours"] == {"known": 3, "unresolved": 0}
    assert details["kind"] == "packet"


def details_of(link: Wired) -> dict[str, Any]:
    """The card's port as `show port --json` has it."""
    said = run([*VNETCARD, "show", "port", "--window", link.lab.url, "--json"])
    details: dict[str, Any] = json.loads(said.stdout)["port"]["card"]
    return details


def test_only_its_own_addresses_are_answered(link: Wired) -> None:
    """A question about another machine's address gets no answer, one about the port's does."""
    mine, others, own = mac_of(link.far), ("10.10.10.9", "fd00::9"), (V4[HOST], V6[HOST])
    with frames_of(link.far) as end:
        for four, six in ((others[0], others[1]), own):
            end.send(b"\xff" * 6 + mine + b"\x08\x06" + arp(True, mine, packed(V4[CARD]), bytes(6), packed(four)))
            group = solicited_group(packed(six))
            end.send(group_mac(group) + mine + b"\x86\xdd" + solicitation(mine, packed(V6[CARD]), group, packed(six)))
        answers: list[bytes] = []
        while len(answers) < 2:
            frame = end.recv(2000)
            if frame[6:12] == mine:
                continue
            message = parse_arp(frame[14:]) if frame[12:14] == b"\x08\x06" else parse_discovery(frame[14:])
            if message is not None and not message.asked:
                answers.append(message.owner)
    assert sorted(answers) == sorted(map(packed, own))


def test_new_mac_address_of_a_neighbour_is_learned(link: Wired) -> None:
    for n in (1, 2):
        assert pings(link.host, V4[CARD], "-W", "20") and pings(link.host, V6[CARD], "-W", "20")
        ip("-n", link.far, "link", "set", "veth0", "address", f"02:00:00:00:00:{n:02x}")
        ip("-n", link.far, "neigh", "flush", "dev", "veth0")
        for version, to in ((4, V4[HOST]), (6, V6[HOST])):
            assert pings(link.far, to, "-W", "20"), f"IPv{version}: the question of the neighbour has its new address"
        assert pings(link.host, V4[CARD], "-W", "20") and pings(link.host, V6[CARD], "-W", "20")
    ip("-n", link.far, "address", "replace", f"{V6[CARD]}/64", "dev", "veth0", "nodad")


def test_groups_and_broadcasts_have_their_mac_addresses(link: Wired) -> None:
    """RFC 1112, RFC 2464, and of IPv4 the broadcasts of the network and of all."""
    wanted = {
        "239.129.2.3": "01005e010203",
        "10.10.10.255": "ffffffffffff",
        "255.255.255.255": "ffffffffffff",
        "ff02::1:2345": "333300012345",
    }
    with frames_of(link.far) as end, inside(link.host):
        for to in wanted:
            six = ":" in to
            with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as source:
                source.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                source.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tun0")
                source.sendto(b"to all", (to, 9))
        found: dict[str, str] = {}
        while len(found) < len(wanted):
            frame = end.recv(2000)
            if frame.endswith(b"to all"):
                where = slice(30, 34) if frame[12:14] == b"\x08\x00" else slice(38, 54)
                found[str(ipaddress.ip_address(frame[where]))] = frame[:6].hex()
                assert frame[6:12] == mac_of(link.wire)
    assert found == wanted


def test_frames_that_are_not_for_the_port_stay_outside(link: Wired) -> None:
    """VLAN tags, other machines' frames, neighbour discovery, no IP; what has padding loses it."""
    mine, port, to_all = mac_of(link.far), mac_of(link.wire), b"\xff" * 6
    four = packed(V4[CARD]) + packed(V4[HOST])
    packet = bytes.fromhex("450000150000000040fd0000") + four + b"!"
    advertised = bytes.fromhex("6000000000103aff") + packed("fe80::9") + packed("ff02::1") + b"\x86" + bytes(15)
    with frames_of(link.far) as out, frames_of(link.host, "tun0") as got:
        for frame in (
            port + mine + b"\x81\x00\x00\x05\x08\x00" + packet,
            bytes.fromhex("02ffffffffff") + mine + b"\x08\x00" + packet,
            to_all + mine + EXPERIMENT + packet,
            bytes.fromhex("333300000001") + mine + b"\x86\xdd" + advertised,
            port + mine + b"\x08\x00" + packet[:12] + four[:4] + packed(V4[HOST]) + b"?" + bytes(40),
        ):
            out.send(frame)
        seen = [got.recv(2000)]
        while not seen[-1].endswith(b"?"):  # the TUN's own kernel sends some, too
            seen.append(got.recv(2000))
    assert seen[-1] == packet[:-1] + b"?"
    assert [one for one in seen[:-1] if one == advertised or one[9] == EXPERIMENTAL] == []
    assert_ledgers_balance(link.lab, allow=EARLY)


def test_malformed_packets_are_dropped(link: Wired) -> None:
    before = taken(link, "drop_malformed")
    with frames_of(link.far) as out:
        for head in ("46000400", "4500000a", "35000014", "45"):
            out.send(mac_of(link.wire) + mac_of(link.far) + b"\x08\x00" + bytes.fromhex(head).ljust(20, b"\0"))
    until(lambda: taken(link, "drop_malformed") == before + 4, "four packets are dropped")
    assert_ledgers_balance(link.lab, allow=EARLY | {"drop_malformed"})


def taken(link: Wired, name: str) -> int:
    """A counter of the card's packets from the interface."""
    return int(link.lab.status(CARD)["sides"][CARD]["tx"][name])


# --- neighbours that do not answer -------------------------------------------------------------------


def unresolved(link: Wired) -> dict[int, int]:
    counters = link.lab.status(CARD)["port"]["kernel"]["counters"]
    return {4: counters[DiscardCode.PORT_UNRESOLVED], 6: counters[DiscardCode.PORT6_UNRESOLVED]}


def send_from_host(link: Wired, to: str, count: int) -> None:
    with inside(link.host):
        source = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
    with source:
        for _ in range(count):
            source.sendto(bytes(900), (to, 9))


@pytest.mark.parametrize(("count", "others"), [(2, 1), (300, 1), (1, 100)])
def test_packets_that_find_no_neighbour_are_counted_exactly(link: Wired, count: int, others: int) -> None:
    """Few, whose questions stay open; more than the port keeps; to more machines than are asked for at one time."""
    before, delivered = unresolved(link), link.lab.status(CARD)["sides"][CARD]["rx"]["rx_delivered"]
    for n in range(others):
        send_from_host(link, f"10.10.10.{100 + n}", count)
        send_from_host(link, f"fd00::{100 + n}", count)
    every = count * others
    until(lambda: unresolved(link) == {4: before[4] + every, 6: before[6] + every}, "all of them are counted")
    rx = assert_ledgers_balance(link.lab, allow=EARLY | {"drop_malformed"})[0]["sides"][CARD]["rx"]
    assert rx["rx_delivered"] >= delivered + 2 * every
    said = json.loads(run([*VNETCARD, "show", "errors", "--window", link.lab.url, "--json"]).stdout)["errors"]
    (cause,) = [one for one in said["causes"] if one["code"] == CauseCode.NEIGHBOUR_FAILED]
    assert cause["side"] == "card" and "no machine on veth0 answers for" in cause["words"], cause
    assert pings(link.host, V4[CARD], "-W", "20") and pings(link.host, V6[CARD], "-W", "20")


def test_packets_without_a_route_are_refused(link: Wired) -> None:
    """Without ``gateway=`` there is nothing beyond the Ethernet."""
    ip("-n", link.host, "route", "add", "192.0.2.0/24", "dev", "tun0")

    def refused() -> int:
        return int(link.lab.status(CARD)["sides"][CARD]["rx"]["drop_port_refused"])

    before = refused()
    send_from_host(link, "192.0.2.9", 5)
    until(lambda: refused() == before + 5, "they are counted")
    ip("-n", link.host, "route", "del", "192.0.2.0/24", "dev", "tun0")
