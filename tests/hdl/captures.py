"""Capture files of the classic pcap format: the IP packets in them, and files of raw IP packets written anew.

Read: both byte orders, stamps in micro- or nanoseconds, and the link types in ``LINKS``, whose headers are taken
off.  What cannot be replayed as it was on the wire is refused: ``CaptureError`` says what, where and what to do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vnetcard import layout as L

PCAPNG = b"\x0a\x0d\x0d\x0a"
MAGICS = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
"""First four bytes: byte order, and nanoseconds in a unit of the stamp's second half."""

RAW = 101
LINKS: dict[int, tuple[str, int, int | None]] = {
    1: ("Ethernet", 14, 12),
    RAW: ("raw IP", 0, None),
    113: ("Linux cooked", 16, 14),
    228: ("raw IPv4", 0, None),
    229: ("raw IPv6", 0, None),
    276: ("Linux cooked v2", 20, 0),
}
"""Link type: name, bytes of its header, and where in it the EtherType stands."""

VLAN = (0x8100, 0x88A8)
IP = (0x0800, 0x86DD)


class CaptureError(Exception):
    """A file that cannot be replayed; one line."""


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet, and when it was seen in nanoseconds since 1970."""

    time: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """The IP packets of a file in its order; ``others`` frames carried something else and are left out."""

    packets: tuple[Packet, ...]
    others: int


def read(path: Path) -> Capture:
    """The IP packets of a capture file; CaptureError when it is none, or holds what cannot be replayed."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read ({error.strerror})") from error
    if data[:4] == PCAPNG:
        raise CaptureError(f"{path} is a pcapng file; convert it with: editcap -F pcap {path} {path.stem}.pcap")
    if data[:4] not in MAGICS or len(data) < 24:
        raise CaptureError(f"{path} is no capture file: it starts with {data[:4].hex() or 'nothing'}")
    order, unit = MAGICS[data[:4]]
    link = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF  # above: the length of a frame check sequence
    if link not in LINKS:
        known = ", ".join(f"{name} ({number})" for number, (name, *_) in LINKS.items())
        raise CaptureError(f"{path} has link type {link}, of which no IP packet can be taken; these can be: {known}")
    packets, others = [], 0
    for number, (time, frame) in enumerate(_frames(path, data, order, unit), 1):
        packet = _ip_packet(frame, link)
        if packet is None:
            others += 1
        elif len(packet) > L.FRAME_MAX:
            raise CaptureError(f"{path}: packet {number} has {len(packet)} bytes, a record holds {L.FRAME_MAX}")
        else:
            packets.append(Packet(time, packet))
    if not packets:
        raise CaptureError(f"{path} holds no IP packet ({others} others)")
    return Capture(tuple(packets), others)


def _frames(path: Path, data: bytes, order: str, unit: int) -> Iterator[tuple[int, bytes]]:
    """(stamp, frame) of each record."""
    header = struct.Struct(f"{order}IIII")
    at, number = 24, 1
    while at < len(data):
        if at + header.size > len(data):
            raise CaptureError(f"{path} ends within packet {number}: it was not written to its end")
        seconds, part, kept, length = header.unpack_from(data, at)
        at += header.size
        if kept < length:
            raise CaptureError(
                f"{path}: packet {number} was cut from {length} to {kept} bytes: capture with tcpdump -s 0"
            )
        if at + kept > len(data):
            raise CaptureError(f"{path} ends within packet {number}: it was not written to its end, or is damaged")
        yield seconds * 1_000_000_000 + part * unit, data[at : at + kept]
        at += kept
        number += 1


def _ip_packet(frame: bytes, link: int) -> bytes | None:
    """The IP packet in a frame; None when it carries something else.  A short Ethernet frame keeps its padding."""
    _, size, type_at = LINKS[link]
    if type_at is not None:
        kind = int.from_bytes(frame[type_at : type_at + 2], "big")
        while kind in VLAN:
            kind = int.from_bytes(frame[size + 2 : size + 4], "big")
            size += 4
        if kind not in IP:
            return None
    return frame[size:] or None


def write(path: Path, packets: Iterable[Packet]) -> None:
    """A capture file of raw IP packets with stamps in nanoseconds."""
    with path.open("wb") as file:
        file.write(struct.pack("<4sHHiIII", b"\x4d\x3c\xb2\xa1", 2, 4, 0, 0, 1 << 18, RAW))
        for packet in packets:
            seconds, part = divmod(packet.time, 1_000_000_000)
            file.write(struct.pack("<IIII", seconds, part, len(packet.data), len(packet.data)) + packet.data)
