"""A card on the network of the host's interface by a macvtap: pings, restarts, carrier, addresses, bad input."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.macvtap_network import CARD_ADDRESS, NODE, OPTIONS, Network, names, shown
from tests.harness.needs import need
from tests.harness.pings import run_pings
from tests.harness.programs import VNETCARD, X86, Outcome, assert_refused, ip, run, started
from tests.harness.restarts import kill_and_restart, until
from vnetcard.codes.error import ErrorCode
from vnetcard.codes.link import LinkReason
from vnetcard.lab.lab import Lab
from vnetcard.ping.suite import Target
from vnetcard.port.netns import inside
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root


@pytest.fixture
def network(netns_pair: tuple[str, str]) -> Iterator[Network]:
    with Lab("macvtap") as lab:
        yield Network(lab, netns_pair[0])


def test_card_is_on_the_network_whatever_happens_to_the_host(network: Network) -> None:
    lab = network.lab
    network.start()
    mac = network.port(HOST)["mac"]
    assert network.port(CARD)["mac"] == mac, "the card took over the MAC address that the macvtap passes"
    targets = [Target(NODE, network.card, "card to node"), Target(CARD_ADDRESS, network.node, "node to card")]
    results = run_pings(targets, count=3)
    assert len(results) == 20 and all(one.ok for one in results), [one for one in results if not one.ok]

    ports = json.loads(run([*VNETCARD, "show", "port", "--json", "--window", lab.url]).stdout)["port"]
    assert [(ports[side]["kind"], ports[side]["mac"]) for side in ("host", "card")] == [("macvtap", mac), ("tap", mac)]
    assert (ports["host"]["lower"]["name"], ports["host"]["device"]["carrier"]) == ("eth1", True)
    assert ports["host"]["device"]["counters"]["rx_dropped"] == 0

    kill_and_restart(lab, [HOST], OPTIONS)
    until(network.reaches_the_node, "the network after kill -9 of the host's agent")
    assert network.port(HOST)["mac"] == mac

    def carrier_is_lost_and_back(netns: str, name: str) -> None:
        ip("-n", netns, "link", "set", name, "down")
        until(lambda: not network.card_has_carrier(), f"NO-CARRIER while {name} is down")
        assert lab.status(CARD)["link"]["reason_code"] == LinkReason.PEER_PORT_DOWN.value
        ip("-n", netns, "link", "set", name, "up")
        until(network.card_has_carrier, f"the carrier with {name}")
        until(network.reaches_the_node, f"the network after {name} was down")

    carrier_is_lost_and_back(network.node, "far")
    carrier_is_lost_and_back(network.host, "eth1")
    carrier_is_lost_and_back(network.host, "macvtap0")

    other = "02:00:5e:00:00:77"
    ip("-n", network.host, "link", "set", "macvtap0", "address", other)
    until(lambda: network.port(CARD)["mac"] == other, "the card follows a new MAC address")
    until(network.reaches_the_node, "the network with the new MAC address")
    ip("-n", network.card, "link", "set", "tap0", "address", "02:00:5e:00:00:78")
    assert ErrorCode.MAC_DIFFERS in {one["code"] for one in network.port(CARD)["problems"]}

    lab.stop(CARD)
    until(lambda: "NO-CARRIER" in shown(network.host, "macvtap0")["flags"], "no carrier without a card")
    lab.stop(HOST)
    assert names(network.host) == {"lo", "eth1"}


def test_moves_of_the_macvtap_and_of_the_interface_below_are_followed(
    netns_pair: tuple[str, str], tmp_path: Path
) -> None:
    node, new = netns_pair
    log = tmp_path / "log"
    with log.open("w") as lines, Lab("macvtap", log=lines) as lab:
        network = Network(lab, node)
        network.start()
        mac = network.port(HOST)["mac"]

        ip("-n", network.host, "link", "set", "eth1", "name", "lan0")
        until(lambda: network.port(HOST)["lower"]["name"] == "lan0", "the new name below")
        assert_logged(log, "the interface below it is lan0 now")

        index = shown(network.host, "lan0")["ifindex"]
        ip("-n", network.host, "link", "set", "lan0", "netns", new)
        # Another interface gets the index that lan0 had: it is down, but not below the macvtap.
        ip("-n", network.host, "link", "add", "other0", "index", str(index), "type", "veth", "peer", "other1")
        until(lambda: not network.card_has_carrier(), "NO-CARRIER while lan0 is down, as each move makes it")
        assert_logged(log, f"interface macvtap0: the interface below it is lan0 now, in the namespace {new}")
        ip("-n", new, "link", "set", "lan0", "up")
        until(network.card_has_carrier, "the carrier of lan0 in its new namespace")
        until(network.reaches_the_node, "the network by lan0 in its new namespace")
        assert network.port(HOST)["lower"] == {"name": "lan0", "netns": new, "up": True, "carrier": True, "mtu": 1500}
        assert f"lan0 in {new}: up" in run([*VNETCARD, "show", "port", "--window", lab.url]).stdout
        ip("-n", node, "link", "set", "far", "down")
        until(lambda: not network.card_has_carrier(), "NO-CARRIER without the other end, seen from another namespace")
        ip("-n", node, "link", "set", "far", "up")
        until(network.card_has_carrier, "the carrier with the other end")

        ip("-n", network.host, "link", "set", "macvtap0", "netns", new)
        until(lambda: network.port(HOST).get("netns") == new, "the macvtap is followed")
        assert_logged(log, f"interface macvtap0 was moved into the namespace {new}")
        until(network.reaches_the_node, "the network after the move: the agent brought the macvtap up again")
        assert network.port(HOST)["mac"] == mac and network.port(HOST)["problems"] == []

        lab.stop(CARD)
        until(lambda: "NO-CARRIER" in shown(new, "macvtap0")["flags"], "no carrier without a card")
        lab.start(CARD, *OPTIONS[CARD])
        until(network.reaches_the_node, "the network after the card's restart")
        lab.stop(HOST)
        assert names(new) == {"lo", "lan0"}
        assert names(network.host) == {"lo", "other0", "other1"}


def test_macvtap_in_a_namespace_without_a_name_is_reported_until_both_go(
    netns_pair: tuple[str, str], tmp_path: Path
) -> None:
    """The other namespace is that of a process, as a container's is."""
    node, log = netns_pair[0], tmp_path / "log"
    with (
        log.open("w") as lines,
        Lab("macvtap", log=lines) as lab,
        started([need("unshare"), "--net", "sleep", "600"]) as sleeper,
    ):
        network = Network(lab, node)
        network.start()
        here = Path("/proc/self/ns/net").readlink()
        until(lambda: Path(f"/proc/{sleeper.pid}/ns/net").readlink() != here, "a namespace of its own")
        ip("-n", network.host, "link", "set", "macvtap0", "netns", str(sleeper.pid))
        assert_logged(log, "a macvtap is followed only into namespaces that `ip netns` lists")
        (problem,) = network.port(HOST)["problems"]
        assert problem["code"] == ErrorCode.PORT_GONE.value and "macvtap0" in problem["message"]
        sleeper.kill()
        assert lab.agent(HOST).wait(60) == 1, "the kernel deletes it with its namespace"
        assert_logged(log, "error: interface macvtap0 was deleted while the agent used it")


def test_macvtap_of_an_agent_that_was_killed_after_a_move_is_replaced(
    network: Network, netns_pair: tuple[str, str]
) -> None:
    """It has the MAC address of the next one, which the kernel gives only once over one interface."""
    new = netns_pair[1]
    network.start()
    ip("-n", network.host, "link", "set", "macvtap0", "netns", new)
    until(lambda: network.port(HOST).get("netns") == new, "the macvtap is followed")
    kill_and_restart(network.lab, [HOST], OPTIONS)
    until(network.reaches_the_node, "the network after kill -9")
    assert (names(new), names(network.host)) == ({"lo"}, {"lo", "eth1", "macvtap0"})


def assert_logged(log: Path, words: str) -> None:
    until(lambda: words in log.read_text(), f"the log says: {words}")


def test_macvtap_that_is_deleted_ends_the_agent_in_a_line(network: Network) -> None:
    for deleted in ("macvtap0", "eth1"):
        lab = network.lab
        words = [*X86, "--window", lab.window, "--netns", network.host, *OPTIONS[HOST]]
        with started(words) as agent:
            assert agent.stdout is not None and agent.stderr is not None
            assert " ready: " in agent.stdout.readline()
            ip("-n", network.host, "link", "del", deleted)
            assert agent.wait(60) == 1
            assert "error: interface macvtap0 was deleted while the agent used it" in agent.stderr.read()


# --- what the kernel refuses; the words of the command line are in tests/unit/test_config.py ---------------

REFUSED = {
    "--port macvtap:eth9": ("macvtap:eth9", "no interface eth9", "`ip link`"),
    "--port macvtap:lo": ("lo is no Ethernet interface",),
    "--port macvtap:tun9": ("tun9 is no Ethernet interface",),
    "--port macvtap:port0": ("macvtap:port0", "belongs to a bridge", "--port tap --bridge"),
    "--port macvtap:eth1 --name port0": ("port0 is the name of another interface", "--name"),
    "--port macvtap:eth1 --name mine0": ("mine0 is the name of another interface", "--name"),
    "--port macvtap:eth1 --name held0": ("another agent holds held0",),
    "--port macvtap:eth1 --mtu 9000": ("the MTU of eth1 is 1500", "--mtu 1500"),
    "--port macvtap:eth1 --netns vnc-no-such": ("'vnc-no-such'", "ip netns add"),
}


def test_refusal_is_a_line_and_leaves_nothing(network: Network) -> None:
    netns = network.host
    for words in (
        "link add br0 type bridge",
        "link add port0 type veth peer port1",
        "link set port0 master br0",
        "tuntap add tun9 mode tun",
        "link add link eth1 name mine0 type macvtap mode bridge",
    ):
        ip("-n", netns, *words.split())
    before = names(netns)

    def outcome(case: tuple[int, str]) -> Outcome:
        number, words = case
        more = [] if "--netns" in words else ["--netns", netns]
        more += [] if "--name" in words else ["--name", f"macvtap{number}"]  # they run at the same time
        return run([*X86, "--window", f"{network.lab.window}-{number}", *more, *words.split()])

    with inside(netns):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with claim, ThreadPoolExecutor(3) as pool:
        claim.bind("\0vnetcard/macvtap/held0")
        for words, found in zip(REFUSED, pool.map(outcome, enumerate(REFUSED)), strict=True):
            assert_refused(found, "vnetcard-x86", *REFUSED[words])
    assert names(netns) == before
