"""The interface is shown as the kernel has it, follows its changes, and changes nothing that belongs to another one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.needs import need
from tests.harness.programs import VNETCARD, X86, Outcome, ip, run
from tests.harness.restarts import until
from vnetcard.codes.error import ErrorCode
from vnetcard.codes.link import LinkReason
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("state") as lab:
        yield lab


def port(lab: Lab, side: int = HOST) -> dict[str, Any]:
    """The interface in the agent's status."""
    return dict(lab.status(side)["port"])


def codes(lab: Lab, side: int = HOST) -> set[str]:
    return {problem["code"] for problem in port(lab, side)["problems"]}


def answers(netns: str, address: str) -> bool:
    """Whether the peer answers a ping."""
    command = run_in(netns, [need("ping"), "-n", "-q", "-c", "2", "-i", "0.05", "-W", "2", address])
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def routes(netns: str) -> list[str]:
    """All routes of a namespace but the link-local ones."""
    lines = ip("-n", netns, "route").splitlines() + ip("-n", netns, "-6", "route").splitlines()
    return sorted(line for line in lines if "fe80" not in line)


def add_lan(netns: str, *addresses: str) -> None:
    """Another interface with ``addresses``, such as the machine's LAN."""
    ip("-n", netns, "link", "add", "eth9", "type", "veth", "peer", "name", "eth9p")
    for address in addresses:
        ip("-n", netns, "address", "add", address, "dev", "eth9", *(["nodad"] if ":" in address else []))
    for name in ("eth9", "eth9p"):
        ip("-n", netns, "link", "set", name, "up")


def start_agent(lab: Lab, *options: str) -> Outcome:
    """A host's agent that is expected to refuse its options."""
    return run([*X86, "--window", lab.window, "--netns", lab.namespaces[HOST], "--json-log", *options])


def test_route_of_another_interface_is_never_replaced(lab: Lab) -> None:
    netns = lab.namespaces[HOST]
    add_lan(netns, "192.168.7.2/24", "fd00:5::2/64")
    ip("-n", netns, "route", "add", "default", "via", "192.168.7.1")
    ip("-n", netns, "-6", "route", "add", "default", "via", "fd00:5::1")
    before = routes(netns)
    six = ["--address", "10.10.10.1/24", "--address", "fd00:9::1/64"]
    for route in ("default via 10.10.10.5", "192.168.7.0/24", "default via fd00:9::5"):
        outcome = start_agent(lab, *six, "--route", route)
        assert outcome.status == 2
        assert json.loads(outcome.stderr.splitlines()[-1])["code"] == ErrorCode.ROUTE_CONFLICT
        assert "eth9" in outcome.stderr
        assert routes(netns) == before
    lab.start(
        HOST, *six, "--route", "default via 10.10.10.5 metric 900", "--route", "default via fd00:9::5 metric 2000"
    )
    assert set(before) < set(routes(netns))
    lab.stop(HOST)
    assert routes(netns) == before


def test_routes_are_taken_in_any_order_over_addresses_without_a_network(lab: Lab) -> None:
    lab.start(HOST, "--address", "10.9.0.1/32", "--route", "10.77.0.0/16 via 10.9.0.2", "--route", "10.9.0.2/32")
    lab.start(CARD, "--address", "10.9.0.2/32", "--route", "10.9.0.1/32")
    lab.wait_up()
    assert "scope link" in ip("-n", lab.namespaces[HOST], "route", "show", "10.9.0.2")
    assert answers(lab.namespaces[HOST], "10.9.0.2")
    assert port(lab)["routes"] == ["10.9.0.2/32", "10.77.0.0/16 via 10.9.0.2"]


def test_rename_and_move_are_followed_and_packets_go_on(lab: Lab, netns_pair: tuple[str, str]) -> None:
    old, new = lab.namespaces[HOST], netns_pair[0]
    lab.start(HOST)
    lab.start(CARD)
    lab.wait_up()
    ip("-n", old, "link", "set", "tun0", "down")
    ip("-n", old, "link", "set", "tun0", "name", "pcie0")
    ip("-n", old, "link", "set", "pcie0", "up")
    until(lambda: port(lab)["name"] == "pcie0" and answers(old, "10.10.10.5"), "packets after the rename")
    ip("-n", old, "link", "set", "pcie0", "netns", new)
    ip("-n", old, "link", "add", "pcie0", "type", "veth", "peer", "name", "pcie0p")
    until(lambda: port(lab).get("netns") == new and port(lab)["addresses"] == ["10.10.10.1/24"], "the move is followed")
    until(lambda: answers(new, "10.10.10.5"), "packets after the move")
    lab.stop(CARD)
    lab.start(CARD)
    until(lambda: answers(new, "10.10.10.5"), "packets after the peer's restart")
    assert json.loads(ip("-n", old, "-j", "address", "show", "pcie0"))[0]["addr_info"] == []


def test_what_the_kernel_took_away_is_set_again(lab: Lab) -> None:
    netns = lab.namespaces[HOST]
    six = ["--address", "10.10.10.1/24", "--address", "fd00:7::1/64", "--route", "fd00:77::/64"]
    lab.start(HOST, *six, "--route", "10.77.0.0/16 via 10.10.10.5")
    configured = routes(netns)

    def disturbed(*changes: list[str], code: str | None) -> None:
        for change in changes:
            ip("-n", netns, *change)
        if code:
            until(lambda: code in codes(lab), f"{code} after {changes}")

    def restored(*changes: list[str]) -> None:
        for change in changes:
            ip("-n", netns, *change)
        until(lambda: codes(lab) == set() and routes(netns) == configured, f"restored after {changes}")

    disturbed(["link", "set", "tun0", "mtu", "1000"], code=ErrorCode.ADDRESS_MISSING)
    restored(["link", "set", "tun0", "mtu", "1500"])
    disturbed(["link", "set", "tun0", "down"], code=ErrorCode.ROUTE_MISSING)
    restored(["link", "set", "tun0", "up"])
    restored(["link", "set", "tun0", "down"], ["link", "set", "tun0", "up"])
    switch = "net.ipv6.conf.tun0.disable_ipv6"
    for value in ("1", "0"):
        subprocess.run(run_in(netns, [need("sysctl"), "-qw", f"{switch}={value}"]), check=True)
        if value == "1":
            until(lambda: ErrorCode.ADDRESS_MISSING in codes(lab), "IPv6 is off")
            assert any(switch in problem["message"] for problem in port(lab)["problems"])
    until(lambda: codes(lab) == set(), "IPv6 is on again")


def test_small_mtu_of_a_peer_and_a_move_at_link_up_cost_nothing_for_good(lab: Lab, netns_pair: tuple[str, str]) -> None:
    asked = ["10.10.10.1/24", "fd00:7::1/64"]
    more = ("--route", "fd00:77::/64")
    lab.start(HOST, *(word for one in asked for word in ("--address", one)), *more)
    lab.start(CARD, "--mtu", "1000")
    lab.wait_up()
    until(lambda: codes(lab) == {ErrorCode.ADDRESS_MISSING, ErrorCode.ROUTE_MISSING}, "IPv6 is gone with the MTU")
    lab.stop(CARD)
    ip("-n", lab.namespaces[HOST], "link", "set", "tun0", "netns", netns_pair[0])
    lab.start(CARD, "--mtu", "1400")
    until(lambda: port(lab)["addresses"] == asked and codes(lab) == set(), "IPv6 is back behind the move")
    assert (port(lab)["netns"], port(lab)["mtu"], port(lab)["routes"]) == (
        netns_pair[0],
        1400,
        ["fd00:77::/64 metric 1024"],
    )
    until(lambda: answers(netns_pair[0], "10.10.10.5"), "packets after the move")


def test_what_is_down_on_one_side_takes_the_carrier_of_the_other(lab: Lab) -> None:
    ip("-n", lab.namespaces[HOST], "link", "add", "br0", "up", "type", "bridge")
    lab.start(HOST, "--port", "tap", "--bridge", "br0")
    lab.start(CARD, "--port", "tap")
    lab.wait_up()

    def has_carrier(side: int) -> bool:
        return "LOWER_UP" in json.loads(ip("-n", lab.namespaces[side], "-j", "link", "show", "tap0"))[0]["flags"]

    for side, name in ((HOST, "tap0"), (CARD, "tap0"), (HOST, "br0")):
        ip("-n", lab.namespaces[side], "link", "set", name, "down")
        until(lambda other=1 - side: not has_carrier(other), f"no carrier while {name} is down")  # type: ignore[misc]
        assert lab.status(1 - side)["link"]["reason_code"] == LinkReason.PEER_PORT_DOWN.value
        ip("-n", lab.namespaces[side], "link", "set", name, "up")
        until(lambda: has_carrier(HOST) and has_carrier(CARD), f"both carriers with {name}")


def test_what_another_program_removed_is_named_and_left_alone(lab: Lab) -> None:
    netns = lab.namespaces[HOST]
    lab.start(HOST, "--address", "10.10.10.1/24", "--address", "10.20.0.1/24", "--route", "10.77.0.0/16")
    ip("-n", netns, "address", "del", "10.20.0.1/24", "dev", "tun0")
    ip("-n", netns, "route", "del", "10.77.0.0/16")
    until(lambda: {ErrorCode.ADDRESS_MISSING, ErrorCode.ROUTE_MISSING} <= codes(lab), "both are named as missing")
    assert port(lab)["addresses"] == ["10.10.10.1/24"]


def test_restart_removes_from_a_persistent_interface_what_is_no_longer_asked_for(lab: Lab) -> None:
    netns = lab.namespaces[HOST]
    lab.start(HOST, "--persist", "--address", "10.10.10.1/24", "--address", "10.20.0.1/24", "--route", "10.77.0.0/16")
    lab.stop(HOST)
    ip("-n", netns, "address", "add", "10.30.0.1/24", "dev", "tun0")
    lab.start(HOST, "--persist", "--address", "10.10.10.1/24")
    assert port(lab)["addresses"] == ["10.10.10.1/24", "10.30.0.1/24"]
    assert port(lab)["routes"] == []


def test_address_and_network_of_another_interface_are_reported(lab: Lab) -> None:
    netns = lab.namespaces[HOST]
    lab.start(HOST)
    assert codes(lab) == set()
    add_lan(netns, "10.10.10.77/24")
    assert ErrorCode.ADDRESS_CONFLICT in codes(lab)
    ip("-n", netns, "address", "flush", "dev", "eth9")
    ip("-n", netns, "address", "add", "10.10.10.1/32", "dev", "eth9")
    assert ErrorCode.ADDRESS_CONFLICT in codes(lab)
    doctor = run([*VNETCARD, "doctor", "--no-measure", "--window", lab.url])
    assert "eth9" in doctor.stdout
    ip("-n", netns, "address", "flush", "dev", "eth9")
    assert codes(lab) == set()


@pytest.mark.parametrize("same", ["namespace", "address"])
def test_ping_that_does_not_cross_the_link_fails(lab: Lab, same: str) -> None:
    lab.start(HOST)
    if same == "namespace":
        lab.namespaces = (lab.namespaces[HOST], lab.namespaces[HOST])
        lab.start(CARD, "--name", "tun1")
    else:
        lab.start(CARD, "--address", "10.10.10.1/24")
    for side in (HOST, CARD):
        lab.wait_for(side, "run")
    outcome = run([*VNETCARD, "ping", "--window", lab.url, "--sizes", "56", "--count", "5"])
    assert outcome.status == 1
    assert "crossed the link" in outcome.stdout
    status = json.loads(run([*VNETCARD, "status", "--json", "--window", lab.url]).stdout)
    wanted = {"namespace": ErrorCode.SAME_NAMESPACE, "address": ErrorCode.ADDRESS_CONFLICT}[same]
    assert wanted in {problem["code"] for problem in status["problems"]}


@pytest.mark.parametrize("only_six", [False, True])
def test_without_ipv6_the_agent_runs_with_ipv4_or_names_the_switch(lab: Lab, only_six: bool) -> None:
    netns = lab.namespaces[HOST]
    for scope in ("all", "default"):
        command = [need("sysctl"), "-qw", f"net.ipv6.conf.{scope}.disable_ipv6=1"]
        subprocess.run(run_in(netns, command), check=True)
    if only_six:
        outcome = start_agent(lab, "--address", "fd00:7::1/64")
        last = json.loads(outcome.stderr.splitlines()[-1])
        assert (outcome.status, last["code"]) == (2, ErrorCode.FAMILY_OFF)
        assert "disable_ipv6" in last["message"]
        return
    lab.start(HOST, "--address", "10.10.10.1/24", "--address", "fd00:7::1/64")
    assert port(lab)["addresses"] == ["10.10.10.1/24"]
    assert codes(lab) == {ErrorCode.ADDRESS_MISSING}
