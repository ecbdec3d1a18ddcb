"""The packets that probe a kernel's offloads are what they claim to be, and nothing that a host would answer."""

from __future__ import annotations

import struct

import pytest

from vnetcard.port.offload_probe import PROBES, probe_packet
from vnetcard.port.tun import TUN_F

KINDS = tuple(PROBES)
VNET = 10
GSO = {"CSUM": 0, "TSO4": 1, "TSO6": 4, "USO4": 5, "USO6": 5}
"""VIRTIO_NET_HDR_GSO_NONE, TCPV4, TCPV6, UDP_L4 (Linux include/uapi/linux/virtio_net.h)."""
TCP, UDP = 6, 17
HEADER_BYTES = {TCP: 20, UDP: 8}
CHECKSUM_AT = {TCP: 16, UDP: 6}
"""Where the checksum stands in the header: RFC 9293, RFC 768."""


def is_ipv6(kind: str) -> bool:
    return kind.endswith("6")


def protocol(kind: str) -> int:
    return UDP if kind.startswith("USO") else TCP


def ip_bytes(kind: str) -> int:
    return 40 if is_ipv6(kind) else 20


def packet(kind: str) -> bytes:
    """The probe without its virtio_net_hdr."""
    return probe_packet(kind)[VNET:]


def internet_checksum(data: bytes) -> int:
    """0 when the checksum inside ``data`` is right (RFC 1071)."""
    words: tuple[int, ...] = struct.unpack(f"!{len(data) // 2}H", data)
    return ~(sum(words) % 0xFFFF) & 0xFFFF


def test_every_offload_of_a_tun_is_probed() -> None:
    assert set(PROBES) == set(TUN_F) == set(GSO)


@pytest.mark.parametrize("kind", KINDS)
def test_flags_asked_for_include_the_kind_and_what_it_needs(kind: str) -> None:
    assert {kind, "CSUM"} <= set(PROBES[kind])
    assert ("USO4" in PROBES[kind]) == ("USO6" in PROBES[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_vnet_header_describes_the_packet(kind: str) -> None:
    flags, gso, hdr_len, gso_size, csum_start, csum_offset = struct.unpack_from("<BBHHHH", probe_packet(kind))
    assert (flags, gso) == (1, GSO[kind])  # VIRTIO_NET_HDR_F_NEEDS_CSUM
    assert hdr_len == ip_bytes(kind) + HEADER_BYTES[protocol(kind)]
    assert csum_start == ip_bytes(kind)
    assert csum_offset == CHECKSUM_AT[protocol(kind)]
    payload = len(packet(kind)) - hdr_len
    assert payload == 2 * 512
    assert gso_size == (0 if kind == "CSUM" else payload // 2)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not is_ipv6(kind)])
def test_ipv4_probe_is_valid_except_for_its_header_checksum(kind: str) -> None:
    data = packet(kind)
    version, _, total, _, fragment, ttl, inner = struct.unpack_from("!BBHHHBB", data)
    assert (version, total, fragment, ttl, inner) == (0x45, len(data), 0, 1, protocol(kind))
    assert internet_checksum(data[:20]) != 0
    assert data[12:20] == bytes(8)  # from 0.0.0.0 to 0.0.0.0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if is_ipv6(kind)])
def test_ipv6_probe_is_valid_except_that_it_ends_early(kind: str) -> None:
    data = packet(kind)
    first, length, inner, hops = struct.unpack_from("!IHBB", data)
    assert (first >> 28, inner, hops) == (6, protocol(kind), 1)
    assert length > len(data) - 40
    assert data[8:24] == data[24:40] == bytes(15) + b"\x01"  # loopback, which no wire may carry (RFC 4291 2.5.3)


@pytest.mark.parametrize("kind", KINDS)
def test_transport_header_is_complete(kind: str) -> None:
    header = packet(kind)[ip_bytes(kind) :]
    assert struct.unpack_from("!HH", header) == (9, 9)  # discard
    if protocol(kind) == TCP:
        assert header[12] >> 4 == 5  # words: no options
        assert header[13] == 0x10  # ACK alone, which opens no connection
    assert not any(header[HEADER_BYTES[protocol(kind)] :])
