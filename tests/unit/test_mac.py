"""The MAC address that a TAP gets by itself: the same at each start, and of no other interface."""

from __future__ import annotations

import socket

import pytest

from vnetcard.port import mac
from vnetcard.port.mac import Mac, own_mac
from vnetcard.ring import layout as L


def test_own_address_stays_and_is_different_for_each_machine_side_and_window() -> None:
    places = [(side, window, machine) for side in (L.HOST, L.CARD) for window in ("shm:a", "shm:b") for machine in "12"]
    found = {own_mac(side, window, machine=machine) for side, window, machine in places}
    assert len(found) == len(places)
    assert found == {own_mac(side, window, machine=machine) for side, window, machine in places}


def test_own_address_is_unicast_and_locally_administered() -> None:
    for number in range(200):
        first = own_mac(L.HOST, f"shm:{number}").raw[0]
        assert first & mac.LOCAL and not first & mac.MULTICAST


def test_address_of_a_bridge_port_is_high() -> None:
    assert str(own_mac(L.HOST, "shm:a", bridged=True)).startswith("fe:")
    assert own_mac(L.HOST, "shm:a", bridged=True) != own_mac(L.CARD, "shm:a", bridged=True)


def test_machine_without_an_id_has_its_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mac, "MACHINE_IDS", ())
    assert mac.machine_id() == socket.gethostname()


def test_address_is_written_with_colons_or_dashes() -> None:
    assert Mac.parse("02:00:5E:00:00:01") == Mac.parse("02-00-5e-00-00-01") == Mac(bytes.fromhex("02005e000001"))
