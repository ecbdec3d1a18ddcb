"""A link from a TUN to an Ethernet (`packet:IF?frames=ip`): sizes, offloads, gateways, mishaps, with exact accounts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.ip_wire import EARLY, PORT, Wired, frames_of, mac_of, packed, pings, wiring
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.program_ends import port_folder
from tests.harness.programs import FPGA, assert_refused, ip, run
from tests.harness.restarts import OUTAGE, until
from tests.harness.traffic import V4, V6, assert_everything_crosses, assert_stream_arrives
from vnetcard.port.client import PortClient
from vnetcard.port.neighbour_messages import arp
from vnetcard.port.netns import inside
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root

LAST_SIZE = 1600


@pytest.fixture(scope="module")
def wired() -> Iterator[Wired]:
    with wiring("packet-ip") as wired:
        yield wired


@pytest.fixture(scope="module", params=["off", "auto"])
def offload(request: pytest.FixtureRequest, wired: Wired) -> str:
    """What the TUN takes."""
    offload: str = request.param
    wired.start(host=("--offload", offload))
    return offload


def test_everything_arrives_whatever_the_peer_takes(wired: Wired, offload: str) -> None:
    """Every ping size, from 0, whose frames have padding; and streams of super-packets."""
    version = 6 if offload == "off" else 4
    assert_everything_crosses(wired.lab, LAST_SIZE, version=version)
    assert_ledgers_balance(wired.lab, allow=EARLY)
    features = wired.lab.status(CARD)["link"]["features"]
    assert {features[kind] == "on" for kind in ("TSO4", "USO6")} == {offload == "auto"}


def test_network_beyond_a_gateway_is_reached(wired: Wired) -> None:
    """The far end is a router between the Ethernet and a namespace beyond."""
    beyond = f"{wired.wire}-2"
    ip("netns", "add", beyond)
    try:
        ip("link", "add", "out", "netns", wired.far, "type", "veth", "peer", "name", "eth0", "netns", beyond)
        for netns, name, addresses in (
            (wired.far, "out", ("192.0.2.1/24", "2001:db8::1/64")),
            (beyond, "eth0", ("192.0.2.2/24", "2001:db8::2/64")),
        ):
            for address in addresses:
                ip("-n", netns, "address", "add", address, "dev", name)
            ip("-n", netns, "link", "set", name, "up")
        for via in ("192.0.2.1", "2001:db8::1"):
            ip("-n", beyond, "route", "add", "default", "via", via)
        with inside(wired.far):
            for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                Path("/proc/sys/net", setting).write_text("1")
        routes = ("--route", "192.0.2.0/24", "--route", "2001:db8::/64")
        wired.start(host=routes, port=f"{PORT}&gateway={V4[CARD]}&gateway={V6[CARD]}")
        for address in ("192.0.2.2", "2001:db8::2"):
            assert pings(wired.host, address, "-W", "20", "-s", "1400")
        for address in (V4[HOST], V6[HOST]):
            assert pings(beyond, address, "-W", "20", "-s", "1400")
        assert_ledgers_balance(wired.lab, allow=EARLY)
    finally:
        ip("netns", "del", beyond)


def test_packets_that_a_program_gives_back_are_sent(wired: Wired) -> None:
    """They find their neighbours as those of the link do."""
    with port_folder() as folder:
        path = folder / "punt"
        wired.start(card=("--punt", f"icmp or icmp6=unix:{path}"))
        assert not pings(wired.host, V4[CARD])
        with PortClient.open(path, timeout=60) as client, ThreadPoolExecutor() as thread:
            done = thread.submit(lambda: [client.send(packet) for packet in client])
            for address in (V4[CARD], V6[CARD], V4[CARD]):
                until(lambda to=address: pings(wired.host, to), "the program passes pings on")  # type: ignore[misc]
            assert_stream_arrives(wired.lab, "tcp", 1 << 20, sender=HOST)
            wired.lab.stop(CARD)  # ends the program, too
            assert all(done.result(60))


# --- mishaps -----------------------------------------------------------------------------------------


def host_has_carrier(wired: Wired) -> bool:
    return " state UP " in ip("-n", wired.host, "-o", "link", "show", "tun0")


@pytest.mark.parametrize("queues", [1, 2])
def test_interface_that_comes_and_goes_is_served_again(wired: Wired, queues: int) -> None:
    least = ("--privileges", "least") if queues == 1 else ()  # a single socket is bound again without any
    wired.start(host=("--queues", str(queues)), card=("--queues", str(queues), *least))
    assert wired.lab.status(CARD)["link"]["queues"] == queues
    for sender in (HOST, CARD):
        assert_stream_arrives(wired.lab, "tcp", 4 << 20, sender=sender)
    ip("-n", wired.wire, "link", "set", "veth0", "down")
    until(lambda: not host_has_carrier(wired), "the TUN has no carrier")
    ip("-n", wired.wire, "link", "set", "veth0", "up")
    until(lambda: host_has_carrier(wired) and pings(wired.host, V4[CARD]), "pings pass again")
    for _ in range(2):
        ip("-n", wired.wire, "link", "del", "veth0")
        until(lambda: not host_has_carrier(wired), "the TUN has no carrier")
        wired.add_veth()  # with new MAC addresses
        until(lambda: host_has_carrier(wired) and pings(wired.host, V4[CARD]), "pings pass again")
        for netns, address in ((wired.far, V6[HOST]), (wired.far, V4[HOST]), (wired.host, V6[CARD])):
            until(lambda netns=netns, to=address: pings(netns, to), f"{address} answers")  # type: ignore[misc]
    assert_ledgers_balance(wired.lab, allow=OUTAGE | {"drop_port_down"})
    assert wired.log().count("is there again") == 2 * queues
    near = json.loads(ip("-n", wired.wire, "-d", "-j", "link", "show", "veth0"))[0]
    assert (near["promiscuity"], near["allmulti"]) == (0, queues)


def test_address_that_another_machine_has_is_reported_once(wired: Wired) -> None:
    both = (f"{V4[HOST]}/24", f"{V6[HOST]}/64")
    for address in both:
        ip("-n", wired.far, "address", "add", address, "dev", "veth0", *(("nodad",) if ":" in address else ()))
    words = "is in use by another machine of veth0, "
    assert words not in wired.log()
    wired.start()
    far, third = mac_of(wired.far), bytes.fromhex("020000000003")
    until(lambda: wired.log().count(words + far.hex(":")) == 2, "both are reported")
    with frames_of(wired.far) as end:
        for mac in (far, far, third):
            reply = arp(False, mac, packed(V4[HOST]), mac_of(wired.wire), packed(V4[HOST]))
            end.send(mac_of(wired.wire) + mac + b"\x08\x06" + reply)
    until(lambda: words + third.hex(":") in wired.log(), "a third machine is reported")
    assert wired.log().count(words) == 3
    for address in both:
        ip("-n", wired.far, "address", "del", address, "dev", "veth0")


# --- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("frames=ip", "frames=ip needs an address"),
        ("frames=ip&address=10.0.0.7", "has no prefix length"),
        ("frames=ip&address=10.0.0.7/24&gateway=10.0.1.1", "is in the network of no address= of this port"),
    ],
)
def test_bad_url_is_one_line(wired: Wired, tmp_path: Path, options: str, words: str) -> None:
    """The others are in tests/unit/test_packet_options.py."""
    command = [*FPGA, "--window", f"file:{tmp_path / 'window'}", "--netns", wired.wire, "--port"]
    assert_refused(run([*command, f"packet:veth0?{options}"]), "vnetcard-fpga", words)


def test_interface_that_is_no_ethernet_is_refused(wired: Wired, tmp_path: Path) -> None:
    command = [*FPGA, "--window", f"file:{tmp_path / 'window'}", "--netns", wired.wire, "--port"]
    assert_refused(run([*command, "packet:lo?frames=ip&address=10.0.0.7/24"]), "vnetcard-fpga", "not an Ethernet")
