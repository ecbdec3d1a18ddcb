"""Packets of the peer do not configure the host's kernel: router advertisements, redirects, sources of elsewhere."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.programs import ip
from tests.harness.restarts import until
from vnetcard.agent.config import load
from vnetcard.agent.managed_interface import ManagedInterface
from vnetcard.port import netns as ns
from vnetcard.port.interface import Interface
from vnetcard.port.peer_trust import ROOT, SETTINGS, distrust
from vnetcard.port.tun import TunPort, open_port
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

NAME = "trust0"
HOST, CARD = "fd00:7::1", "fd00:7::5"
ROUTER = "fe80::5"
PROBE_PORT = 9


def ipv6(source: str, target: str, protocol: int, body: bytes, *, hops: int = 255) -> bytes:
    """An IPv6 packet behind an empty virtio_net_hdr; the checksum is at bytes 2 and 3 of ``body``."""
    ends = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(target).packed
    data = ends + struct.pack("!II", len(body), protocol) + body
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    body = body[:2] + struct.pack("!H", checksum) + body[4:]
    return bytes(L.VNET_HDR) + struct.pack("!IHBB", 6 << 28, len(body), protocol, hops) + ends + body


def advertisement() -> bytes:
    """A router advertisement of high preference with a lifetime of half an hour."""
    return ipv6(ROUTER, "ff02::1", 58, struct.pack("!BBHBBHII", 134, 0, 0, 64, 0x08, 1800, 0, 0))


def echo_request() -> bytes:
    return ipv6(CARD, HOST, 58, struct.pack("!BBHHH", 128, 0, 0, 1, 1) + b"v" * 16)


def sysctls(place: str) -> dict[str, str]:
    with ns.inside(place):
        return {setting: Path(ROOT, setting.format(NAME)).read_text().strip() for setting in SETTINGS}


class Machine:
    """An interface as an agent configures it, with the test as its peer."""

    def __init__(self, place: str, *options: str) -> None:
        self.place = place
        port = open_port(NAME, netns=place)
        assert isinstance(port, TunPort)
        self.port = port
        self._interface = Interface(NAME, netns=place, locate=port.locate)
        config = load(L.HOST, ["--name", NAME, "--netns", place, "--address", f"{HOST}/64", *options])
        self.managed = ManagedInterface(self._interface, config, logging.getLogger("test.trust"))
        self.managed.configure()
        port.set_carrier(True)
        self._interface.wait_open()

    def receive(self, packet: bytes) -> None:
        os.write(self.port.fds[0], packet)

    def default_routes(self) -> list[Any]:
        return list(json.loads(ip("-n", self.place, "-j", "-6", "route", "show", "default")))

    def answered(self) -> bool:
        """Whether the kernel has answered an echo request: then it has handled what was received before."""
        self.receive(echo_request())
        with contextlib.suppress(BlockingIOError):
            while True:
                if os.read(self.port.fds[0], 65536)[L.VNET_HDR + 40] == 129:
                    return True
        return False

    def close(self) -> None:
        self.managed.close()
        self.port.close()


@pytest.fixture
def machine(netns_pair: tuple[str, str]) -> Iterator[Callable[..., Machine]]:
    with contextlib.ExitStack() as opened:
        yield lambda *options: opened.enter_context(contextlib.closing(Machine(netns_pair[0], *options)))


def test_router_advertisement_of_the_peer_gives_no_route(machine: Callable[..., Machine]) -> None:
    one = machine()
    one.receive(advertisement())
    until(one.answered, "the kernel has handled the advertisement")
    assert one.default_routes() == []
    assert sysctls(one.place) == SETTINGS
    assert "fe80" not in ip("-n", one.place, "-6", "address", "show", "dev", NAME)
    assert one.managed.view()["problems"] == []


def test_trusted_peer_may_advertise(machine: Callable[..., Machine]) -> None:
    one = machine("--trust-peer")
    before = sysctls(one.place)
    until(lambda: one.receive(advertisement()) or one.default_routes() != [], "the advertisement counts")  # type: ignore[func-returns-value]
    assert sysctls(one.place) == before != SETTINGS


@pytest.mark.parametrize("loss", ["mtu", "rename", "sysctl"])
def test_settings_that_the_kernel_forgets_are_set_again(machine: Callable[..., Machine], loss: str) -> None:
    one = machine()
    if loss == "mtu":  # the kernel removes IPv6 with all of its settings
        one.managed.set_mtu(1000)
        one.managed.set_mtu(1500)
    elif loss == "rename":
        for change in (["down"], ["name", "trust1"], ["name", NAME], ["up"]):
            ip("-n", one.place, "link", "set", "trust1" if change == ["name", NAME] else NAME, *change)
    else:
        with ns.inside(one.place):
            Path(ROOT, f"ipv6/conf/{NAME}/accept_ra").write_text("2")
    one.managed.check(force=True)
    assert sysctls(one.place) == SETTINGS
    one.receive(advertisement())
    until(one.answered, "the kernel has handled the advertisement")
    assert one.default_routes() == []


def test_settings_that_cannot_be_set_are_a_problem(
    machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = machine()
    for setting in SETTINGS:
        path = tmp_path / setting.format(NAME)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir()  # neither read nor written
    monkeypatch.setattr("vnetcard.port.peer_trust.ROOT", tmp_path)
    assert len(distrust(NAME, one.place)) == len(SETTINGS)
    one.managed.check(force=True)
    (problem,) = one.managed.view()["problems"]
    assert problem["code"] == "peer-trusted" and f"net/ipv6/conf/{NAME}/accept_ra = 0" in problem["message"]
    assert distrust("absent0", one.place) == []
