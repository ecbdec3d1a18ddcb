"""What an agent sets again on its interface, what it only reports, and what it says about both."""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import time
from typing import Any

import pytest

from vnetcard.agent import managed_interface
from vnetcard.agent.config import Config, load
from vnetcard.agent.managed_interface import MOVE_PAUSE, ManagedInterface
from vnetcard.agent.status import port_problems
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PortUnavailable
from vnetcard.port.address import Address, Route, parse_address
from vnetcard.port.interface import State, is_route
from vnetcard.port.rtnetlink import OUR_PROTOCOL, AddressView, LinkView, RouteView
from vnetcard.ring import layout as L

FOUR, SIX = "10.10.10.1/24", "fd00:7::1/64"
BEHIND = "10.77.0.0/16 via 10.10.10.5"
INDEX = 7


class Events:
    """Notifications that the test puts there: (changed, disturbed)."""

    def __init__(self, *, routes: bool) -> None:
        del routes
        self.next = (False, False)
        self.closed = False

    def fileno(self) -> int:
        return 99

    def read(self, index: int) -> tuple[bool, bool]:
        assert index == INDEX
        now, self.next = self.next, (False, False)
        return now

    def close(self) -> None:
        self.closed = True


class Kernel:
    """An interface with the rules of the kernel for what goes with its MTU, its state and its gateways."""

    def __init__(self) -> None:
        self.index = INDEX
        self.place: str | int | None = None
        self.view = LinkView("tun0", up=True, operational=True, mtu=1500, ipv6_off=False)
        self.addresses: list[Address] = []
        self.routes: list[Route] = []
        self.others: tuple[tuple[str, Address], ...] = ()
        self.detours: tuple[tuple[Address, str], ...] = ()
        self.away = False
        self.found = True
        self.ups = 0

    @property
    def name(self) -> str:
        return self.view.name

    def link(self) -> LinkView:
        if self.away:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return self.view

    def state(self, *, routes: bool) -> State:
        addresses = tuple(AddressView(INDEX, one, ours=True) for one in self.addresses)
        views = [RouteView(INDEX, r.destination, r.gateway, r.effective_metric, OUR_PROTOCOL) for r in self.routes]
        return State(
            INDEX, None, "4:1", self.link(), addresses, tuple(views) if routes else (), self.others, self.detours
        )

    def up(self, *, mtu: int) -> None:
        self.ups += 1
        self.change(up=True, mtu=mtu)

    def set_mtu(self, mtu: int) -> None:
        self.change(mtu=mtu)

    def change(self, **values: Any) -> None:
        """Change the link, with what the kernel then removes."""
        self.view = dataclasses.replace(self.view, **values)
        if not self.view.up:
            self.routes = []
        if not self.view.up or self.view.mtu < 1280 or self.view.ipv6_off:
            self.addresses = [one for one in self.addresses if one.version == 4]
            self.routes = [one for one in self.routes if one.destination.version == 4]

    def add_address(self, address: Address) -> None:
        if address not in self.addresses:
            self.addresses.append(address)

    def remove_address(self, address: Address) -> None:
        self.addresses.remove(address)

    def prepare_routes(self) -> None:
        pass

    def add_route(self, route: Route) -> None:
        reachable = [one.network for one in self.addresses] + [one.destination for one in self.routes]
        if route.gateway is not None and not any(route.gateway in network for network in reachable):
            raise PortUnavailable("no such gateway", code=ErrorCode.ROUTE_UNREACHABLE)
        self.routes.append(route)

    def remove_route(self, view: RouteView) -> None:
        self.routes = [one for one in self.routes if not is_route(view, one)]

    def find(self) -> bool:
        self.away = not self.found
        return self.found

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managed_interface, "RtnetlinkEvents", Events)
    monkeypatch.setattr(managed_interface, "distrust", lambda name, place: [])


def config(*options: str) -> Config:
    return load(L.HOST, list(options))


def words(*addresses: str, routes: tuple[str, ...] = ()) -> list[str]:
    return [word for one in addresses for word in ("--address", one)] + [w for r in routes for w in ("--route", r)]


def managed(kernel: Kernel, *options: str) -> ManagedInterface:
    interface: Any = kernel
    one = ManagedInterface(interface, config(*options), logging.getLogger("test.managed"))
    one.configure()
    return one


def notify(one: ManagedInterface, *, disturbed: bool = False) -> None:
    source: Any = one._events
    source.next = (True, disturbed)
    one.check(force=True)


def codes(one: ManagedInterface) -> list[str]:
    return [problem["code"] for problem in one.view()["problems"]]


def test_routes_are_set_in_an_order_in_which_each_gateway_is_reachable() -> None:
    kernel = Kernel()
    managed(
        kernel, *words("10.9.0.1/32", routes=("10.8.0.0/16 via 10.77.0.1", "10.77.0.0/16 via 10.9.0.2", "10.9.0.2/32"))
    )
    assert [str(one) for one in kernel.routes] == [
        "10.9.0.2/32",
        "10.77.0.0/16 via 10.9.0.2",
        "10.8.0.0/16 via 10.77.0.1",
    ]


def test_unreachable_gateway_is_an_error() -> None:
    with pytest.raises(PortUnavailable) as caught:
        managed(Kernel(), *words(FOUR, routes=("10.8.0.0/16 via 172.31.9.9",)))
    assert caught.value.code is ErrorCode.ROUTE_UNREACHABLE


@pytest.mark.parametrize(
    ("taken", "given"),
    [({"mtu": 1000}, {"mtu": 1500}), ({"up": False}, {"up": True}), ({"ipv6_off": True}, {"ipv6_off": False})],
    ids=["MTU below 1280", "down", "IPv6 off"],
)
def test_what_the_kernel_took_away_is_named_and_then_set_again(taken: dict[str, Any], given: dict[str, Any]) -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR, SIX, routes=(BEHIND, "fd00:77::/64")))
    whole = one.view()
    assert whole["problems"] == []
    kernel.change(**taken)
    notify(one)
    assert ErrorCode.ADDRESS_MISSING in codes(one)
    assert all("another program" not in problem["message"] for problem in one.view()["problems"])
    kernel.change(**given)
    notify(one)
    again = one.view()
    assert again["problems"] == []
    assert (again["addresses"], sorted(again["routes"])) == (whole["addresses"], sorted(whole["routes"]))


def test_quick_down_and_up_that_was_only_notified_is_repaired() -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR, SIX))
    kernel.change(up=False)
    kernel.change(up=True)
    notify(one, disturbed=True)
    assert one.view()["addresses"] == [FOUR, SIX]


def test_what_comes_back_without_a_notification_is_set_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR, SIX))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    kernel.change(ipv6_off=True)
    notify(one)
    kernel.change(ipv6_off=False)
    wait = one.check()
    assert wait is not None and one.view()["addresses"] == [FOUR]
    now += wait
    assert one.check() is None and one.view()["addresses"] == [FOUR, SIX]


def test_small_mtu_of_the_peer_takes_ipv6_only_while_it_lasts() -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR, SIX))
    one.set_mtu(1000)
    assert one.view()["addresses"] == [FOUR]
    one.set_mtu(1500)
    assert one.view()["addresses"] == [FOUR, SIX]


def test_what_another_program_removed_is_reported_once_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR, "10.20.0.1/24", routes=(BEHIND,)))
    kernel.addresses.remove(parse_address("10.20.0.1/24"))
    for _ in range(3):
        notify(one)
    assert codes(one) == [ErrorCode.ADDRESS_MISSING]
    assert sum("10.20.0.1/24 is gone" in record.message for record in caplog.records) == 1
    kernel.add_address(parse_address("10.20.0.1/24"))
    notify(one)
    assert codes(one) == []


def test_route_that_went_with_an_address_comes_back_with_it() -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR, routes=(BEHIND,)))
    kernel.addresses, kernel.routes = [], []
    notify(one)
    assert sorted(codes(one)) == [ErrorCode.ADDRESS_MISSING, ErrorCode.ROUTE_MISSING]
    kernel.add_address(parse_address(FOUR))
    notify(one)
    assert codes(one) == []


def test_ipv6_that_is_off_at_the_start_is_named_beside_ipv4_and_refused_alone() -> None:
    kernel = Kernel()
    kernel.change(ipv6_off=True)
    one = managed(kernel, *words(FOUR, SIX))
    assert (one.view()["addresses"], codes(one)) == ([FOUR], [ErrorCode.ADDRESS_MISSING])
    kernel.change(ipv6_off=False)
    notify(one)
    assert one.view()["addresses"] == [FOUR, SIX]
    with pytest.raises(PortUnavailable, match="disable_ipv6") as caught:
        kernel = Kernel()
        kernel.change(ipv6_off=True)
        managed(kernel, *words(SIX))
    assert caught.value.code is ErrorCode.FAMILY_OFF


def test_start_removes_only_what_an_agent_has_set() -> None:
    kernel = Kernel()
    kernel.add_address(parse_address("10.20.0.1/24"))
    kernel.routes.append(Route.parse("10.66.0.0/16"))
    one = managed(kernel, *words(FOUR))
    assert (one.view()["addresses"], one.view()["routes"]) == ([FOUR], [])


def test_moved_interface_is_found_and_configured_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR))
    kernel.away, kernel.addresses = True, []
    kernel.change(up=False, name="tun0")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    notify(one, disturbed=True)
    assert not kernel.view.up, "the program that moved it may configure it first"
    wait = one.check()
    assert wait is not None and 0 < wait <= MOVE_PAUSE
    now += MOVE_PAUSE
    one.check()
    assert kernel.view.up and one.view()["addresses"] == [FOUR]


def test_interface_out_of_reach_is_a_problem_and_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR))
    kernel.away, kernel.found = True, False
    for _ in range(3):
        notify(one, disturbed=True)
    one.set_mtu(1400)
    assert codes(one) == [ErrorCode.PORT_GONE]
    assert sum("no permission, or deleted" in record.message for record in caplog.records) == 1


def test_mtu_that_the_kernel_refuses_for_a_moment_is_set_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def refuse(*, mtu: int) -> None:
        raise PortUnavailable(f"interface tun0: cannot set MTU {mtu} (No buffer space available)")

    with monkeypatch.context() as full:
        full.setattr(kernel, "set_mtu", lambda mtu: refuse(mtu=mtu))
        one.set_mtu(1400)
        for _ in range(3):
            now += one.check() or 0.0
    assert kernel.view.mtu == 1500 and [r.levelname for r in caplog.records] == ["WARNING"]
    now += one.check() or 0.0
    assert one.check() is None and kernel.view.mtu == 1400


def test_move_at_link_up_is_followed_whatever_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    kernel.away, kernel.addresses = True, []
    with monkeypatch.context() as full:

        def no_descriptor(*, routes: bool) -> Events:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        full.setattr(managed_interface, "RtnetlinkEvents", no_descriptor)
        one.set_mtu(1400)
        for _ in range(3):
            wait = one.check()
            assert wait is not None
            now += wait
    for _ in range(3):
        now += one.check() or 0.0
    assert one.check() is None
    assert kernel.view.mtu == 1400 and one.view()["addresses"] == [FOUR]


def test_rename_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    kernel = Kernel()
    one = managed(kernel, *words(FOUR))
    kernel.change(name="pcie0")
    notify(one)
    assert one.view()["name"] == "pcie0"
    assert "tun0 is named pcie0" in caplog.text


@pytest.mark.parametrize("other", ["10.10.10.1/32", "10.10.10.77/24", "10.10.10.128/25", "10.10.10.5/32"])
def test_address_inside_the_links_network_is_a_conflict(other: str) -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR))
    kernel.others = (("eth9", parse_address(other)),)
    assert codes(one) == [ErrorCode.ADDRESS_CONFLICT]


@pytest.mark.parametrize("other", ["10.10.11.1/24", "192.0.2.1/24", "fd00:7::1/64", "10.0.0.1/8"])
def test_address_outside_the_links_network_is_none(other: str) -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR))
    kernel.others = (("eth9", parse_address(other)),)
    assert codes(one) == []


def test_route_or_rule_that_bypasses_the_link_is_a_conflict() -> None:
    kernel = Kernel()
    one = managed(kernel, *words(FOUR))
    kernel.detours = ((parse_address(FOUR), "wg0"),)
    assert codes(one) == [ErrorCode.ROUTE_CONFLICT]


def test_both_ends_with_one_address_or_in_one_namespace_are_problems() -> None:
    def view(address: str, netns: str) -> dict[str, Any]:
        return {"port": {"addresses": [address], "netns_id": netns, "problems": []}}

    assert port_problems([view("10.10.10.1/24", "4:1"), view("10.10.10.5/24", "4:2")]) == []
    same_address = port_problems([view("10.10.10.1/24", "4:1"), view("10.10.10.1/30", "4:2")])
    same_namespace = port_problems([view("10.10.10.1/24", "4:1"), view("10.10.10.5/24", "4:1")])
    assert [one["code"] for one in same_address] == [ErrorCode.ADDRESS_CONFLICT]
    assert [one["code"] for one in same_namespace] == [ErrorCode.SAME_NAMESPACE]
