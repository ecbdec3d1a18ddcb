"""``_core.Neighbours``: the table by which pumps find MAC addresses, as the resolver fills and asks it."""

from __future__ import annotations

import errno
import ipaddress
import os
import random
from collections.abc import Iterator

import pytest

from vnetcard import _core

MAC = bytes.fromhex("02000000000a")
OWN = bytes.fromhex("020000000001")
MAX = 256


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def packet(to: str) -> bytes:
    address = packed(to)
    return bytes([0x45, *bytes(15), *address]) if len(address) == 4 else bytes([0x60, *bytes(23), *address])


@pytest.fixture
def table() -> Iterator[_core.Neighbours]:
    """10.0.0.0/24 with a gateway, and fd00::/64."""
    read, write = os.pipe()
    table = _core.Neighbours(resolver_fd=write)
    table.set_mac(OWN)
    table.configure(connected=[(packed("10.0.0.0"), 24), (packed("fd00::"), 64)], gateways=[packed("10.0.0.1")])
    yield table
    os.close(read)
    os.close(write)


def test_known_neighbour_is_found_until_it_is_removed(table: _core.Neighbours) -> None:
    for to, kind in (("10.0.0.9", b"\x08\x00"), ("fd00::9", b"\x86\xdd")):
        question = packed(to).ljust(16, b"\0") + bytes([4 if kind[0] == 8 else 6]).ljust(8, b"\0")
        assert table.ethernet(packet(to))[::2] == (question, False)
        assert table.put(packed(to), MAC)
        assert table.ethernet(packet(to)) == (question, MAC + OWN + kind, True, False)
        table.mark_stale(packed(to))
        assert [table.ethernet(packet(to))[3] for _ in range(2)] == [True, False], "one question is enough"
        table.remove(packed(to))
        table.remove(packed(to))
        table.mark_stale(packed(to))
        assert table.ethernet(packet(to))[2] is False


def test_next_hop(table: _core.Neighbours) -> None:
    assert table.ethernet(packet("192.0.2.9"))[0][:4] == packed("10.0.0.1")
    assert table.ethernet(packet("fe80::9"))[0][:16] == packed("fe80::9")
    with pytest.raises(OSError, match=os.strerror(errno.ENETUNREACH)):
        table.ethernet(packet("2001:db8::9"))
    table.configure(connected=[(packed("10.0.0.0"), 24)], gateways=[])
    for to in ("fe80::9", "192.0.2.9", "fd00::9"):
        with pytest.raises(OSError, match=os.strerror(errno.ENETUNREACH)):
            table.ethernet(packet(to))


def test_networks_of_two_machines_have_no_broadcast(table: _core.Neighbours) -> None:
    for bits, known in ((24, True), (30, True), (31, False), (32, False)):
        table.configure(connected=[(packed("10.0.0.255"), bits)], gateways=[])
        assert table.ethernet(packet("10.0.0.255"))[2] is known
    assert table.ethernet(packet("255.255.255.255"))[1][:6] == b"\xff" * 6


@pytest.mark.parametrize("data", [b"", b"\x45" * 19, b"\x60" * 39, b"\x55" * 60, bytes(1 << 17)])
def test_what_is_no_ip_packet_is_refused(table: _core.Neighbours, data: bytes) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        table.ethernet(data)


def test_full_table_takes_no_more_and_keeps_what_it_has(table: _core.Neighbours) -> None:
    """In any order of entries and removals it holds what a dict would hold."""
    chance = random.Random(7)
    known: dict[bytes, bytes] = {}
    for n in range(3000):
        to = ipaddress.ip_address(0x0A00_0000 + chance.randrange(1, 254) if n % 2 else (0xFD << 120) + n % 600).packed
        if n % 3 and len(known) > 200 + n % 57:
            table.remove(to)
            known.pop(to, None)
        else:
            mac = bytes([2, *chance.randbytes(5)])
            assert table.put(to, mac) is (to in known or len(known) < MAX)
            if to in known or len(known) < MAX:
                known[to] = mac
        if n % 10 == 0:
            one = chance.choice(list(known))
            assert table.ethernet(packet(str(ipaddress.ip_address(one))))[1][:6] == known[one]
    assert len(known) > 100


def test_wrong_arguments(table: _core.Neighbours) -> None:
    for call in (
        lambda: table.put(b"", MAC),
        lambda: table.put(packed("10.0.0.9"), MAC[:5]),
        lambda: table.remove(bytes(5)),
        lambda: table.mark_stale(bytes(17)),
        lambda: table.set_mac(b""),
        lambda: table.configure(connected=[(packed("10.0.0.0"), 24)] * 9, gateways=[]),
        lambda: table.configure(connected=[(packed("10.0.0.0"), 33)], gateways=[]),
        lambda: table.configure(connected=[], gateways=[bytes(3)]),
    ):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(TypeError):
        table.configure(connected=[], gateways=["10.0.0.1"])  # type: ignore[list-item]
    assert table.unasked == (0, 0)
