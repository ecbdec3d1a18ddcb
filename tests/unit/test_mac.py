"""The MAC address that a TAP gets by itself: the same at each start, and of no other interface."""

from __future__ import annotations

import socket

import pytest

from vnetcard._core import Memory
from vnetcard.port import mac
from vnetcard.port.mac import Mac, given_by_peer, own_mac
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SOFTWARE, SideBlock, decode_identity
from vnetcard.ring.window_dump import aligned


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


def test_peer_can_give_only_an_address_that_no_device_has() -> None:
    assert given_by_peer("02:00:5e:00:00:01") == Mac.parse("02:00:5e:00:00:01")
    for text in ("", "00:1b:21:00:00:01", "01:00:5e:00:00:01", "03:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "02:00"):
        assert given_by_peer(text) is None


def test_side_block_has_the_address_that_the_peers_frames_must_have() -> None:
    memory = Memory(aligned(bytes(L.WINDOW_MIN)))
    own, other = SideBlock(memory, L.HOST), SideBlock(memory, L.CARD)
    for given in (own_mac(L.HOST, "shm:a").raw, b""):
        own.write_identity(given)
        assert own.identity().mac == given.hex(":")
    assert SOFTWARE.startswith(own.identity().software) and own.identity().software
    assert other.identity().mac == ""
    line = b"\0" * 16 + b"vnetcard 12.34.56-later-than-this"
    assert decode_identity(line.ljust(L.LINE, b"\0")).mac == "", "a long name of older software is no address"


def test_machine_without_an_id_has_its_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mac, "MACHINE_IDS", ())
    assert mac.machine_id() == socket.gethostname()


def test_address_is_written_with_colons_or_dashes() -> None:
    assert Mac.parse("02:00:5E:00:00:01") == Mac.parse("02-00-5e-00-00-01") == Mac(bytes.fromhex("02005e000001"))
