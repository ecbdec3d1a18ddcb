"""Interfaces, routes and addresses as the kernel and the command line have them."""

from __future__ import annotations

import errno
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port.address import Route, parse_address
from vnetcard.port.interface import Interface
from vnetcard.port.rtnetlink import Rtnetlink
from vnetcard.terminal import limits


@pytest.mark.parametrize("lacks", ["pyroute2", "sqlite3"])
def test_missing_library_is_named_with_what_it_needs(monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("pyroute2", lacks)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, lacks, None)
    interface = Interface("lo")
    with pytest.raises(PortUnavailable, match=rf"pyroute2 cannot be loaded.*{lacks}.*install it"):
        interface.add_route(Route.parse("10.99.0.0/24"))
    interface.close()


def test_missing_interface_is_named() -> None:
    with pytest.raises(PortUnavailable, match="none0") as caught:
        Interface("none0")
    assert caught.value.code is ErrorCode.PORT_GONE


def test_netlink_reports_link_and_addresses_as_sysfs_has_them() -> None:
    index = socket.if_nametoindex("lo")
    netlink = Rtnetlink()
    seen = netlink.link(index)
    assert seen.name == "lo"
    assert seen.mtu == int(Path("/sys/class/net/lo/mtu").read_text())
    assert seen.up == bool(int(Path("/sys/class/net/lo/flags").read_text(), 16) & 1)
    assert {one.name for one in netlink.links().values()} == {path.name for path in Path("/sys/class/net").iterdir()}
    assert [
        one.address.ip.is_loopback for one in netlink.addresses() if one.index == index and one.address.version == 4
    ]
    with pytest.raises(OSError) as caught:
        netlink.link(1 << 30)
    assert caught.value.errno == errno.ENODEV
    netlink.close()


def test_threads_may_share_a_netlink_socket() -> None:
    index, netlink = socket.if_nametoindex("lo"), Rtnetlink()

    def ask() -> bool:
        return all(netlink.link(index).name == "lo" and netlink.addresses() for _ in range(200))

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(ask) for _ in range(4)]
        assert all(future.result(timeout=30) for future in futures)
    netlink.close()


@pytest.mark.parametrize(
    ("text", "destination", "gateway", "metric"),
    [
        ("10.0.0.0/8", "10.0.0.0/8", None, None),
        ("10.0.0.0/8 via 10.10.10.5", "10.0.0.0/8", "10.10.10.5", None),
        ("10.0.0.0/8 metric 7", "10.0.0.0/8", None, 7),
        ("default via 10.10.10.5 metric 100", "0.0.0.0/0", "10.10.10.5", 100),
        ("default via fd00::5", "::/0", "fd00::5", None),
        ("10.9.0.2/32", "10.9.0.2/32", None, None),
        ("default", "0.0.0.0/0", None, None),
    ],
)
def test_route_is_read_and_written_alike(text: str, destination: str, gateway: str | None, metric: int | None) -> None:
    route = Route.parse(text)
    assert (str(route.destination), route.metric) == (destination, metric)
    assert (None if route.gateway is None else str(route.gateway)) == gateway
    assert Route.parse(str(route)) == route


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0/8 via", "10.0.0.1/8", "10.0.0.0/8 via fd00::1", "fd00::/64 metric x", "a b c"]
)
def test_invalid_route_has_a_code(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Route.parse(text)
    assert caught.value.code is ErrorCode.BAD_ROUTE


@pytest.mark.parametrize("text", ["", "10.0.0.1", "10.0.0.1/33", "224.0.0.1/4", "::/0", "fd00::1"])
def test_invalid_address_has_a_code(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(text)
    assert caught.value.code is ErrorCode.BAD_ADDRESS


def test_kernels_default_metric_depends_on_the_family() -> None:
    assert [Route.parse(text).effective_metric for text in ("10.0.0.0/8", "fd00::/64")] == [0, 1024]


def test_limit_is_named_for_an_error_that_means_one_and_no_other() -> None:
    for number, word in (
        (errno.EAGAIN, "pids.max|RLIMIT_NPROC"),
        (errno.EMFILE, "RLIMIT_NOFILE"),
        (errno.ENOMEM, "RLIMIT_AS"),
    ):
        named = limits.name_of(OSError(number, ""))
        assert named is not None and any(part in named for part in word.split("|"))
    assert limits.name_of(OSError(errno.EPERM, "")) is None
