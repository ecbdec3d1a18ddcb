"""An interface on a system that lacks what is needed to configure it."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from vnetcard.errors import PortUnavailable
from vnetcard.port.interface import Interface, Route
from vnetcard.port.rtnetlink import Rtnetlink


@pytest.mark.parametrize("lacks", ["pyroute2", "sqlite3"])
def test_missing_library_is_named_with_what_it_needs(monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("pyroute2", lacks)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, lacks, None)
    interface = Interface("lo")
    with pytest.raises(PortUnavailable, match=rf"pyroute2 cannot be loaded.*{lacks}.*install it"):
        interface.add_route(Route.parse("10.99.0.0/24"))
    interface.close()


def test_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(PortUnavailable, match="interface none0: it is not there"):
        Interface("none0")


def test_kernel_tells_what_an_interface_is() -> None:
    index = socket.if_nametoindex("lo")
    netlink = Rtnetlink()
    seen = netlink.link(index)
    assert seen.mtu == int(Path("/sys/class/net/lo/mtu").read_text())
    assert seen.up == bool(int(Path("/sys/class/net/lo/flags").read_text(), 16) & 1)
    with pytest.raises(OSError, match="No such device"):
        netlink.link(1 << 30)
    netlink.close()
