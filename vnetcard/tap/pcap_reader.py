"""Reads the IP packets of capture files, pcap and pcapng, and writes pcap files of raw IP packets.

Both byte orders, stamps of any resolution, and the link types in ``LINKS``, whose headers are removed.  Files that
cannot be replayed as they were on the wire raise ConfigError.  Formats: draft-ietf-opsawg-pcap and -pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L

PCAPNG = b"\x0a\x0d\x0d\x0a"
MAGICS = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
"""First four bytes: byte order, and nanoseconds per unit of the stamp's second half."""

LINKTYPE_ETHERNET = 1
RAW = 101
DLT_RAW = 12
LINKS: dict[int, tuple[str, int, int | None]] = {
    LINKTYPE_ETHERNET: ("Ethernet", 14, 12),
    DLT_RAW: ("raw IP", 0, None),
    RAW: ("raw IP", 0, None),
    113: ("Linux cooked", 16, 14),
    228: ("raw IPv4", 0, None),
    229: ("raw IPv6", 0, None),
    276: ("Linux cooked v2", 20, 0),
}
"""Link type: name, bytes of its header, offset of the EtherType in it.  Numbers: tcpdump.org/linktypes.html."""

SECTION, INTERFACE, SIMPLE, PACKET = 0x0A0D0D0A, 1, 3, 6
"""Types of the pcapng blocks that are read."""
NAME, RESOLUTION, FLAGS, OFFSET = 2, 9, 2, 14
"""Option codes: name, resolution of the stamps, and their offset in seconds, of an interface; flags of a packet."""
DIRECTIONS = {"in": 1, "out": 2}
"""Direction of a packet: the lowest two bits of its flags."""

TIME_MAX = 1_000_000_000 << 32
"""Nanoseconds since 1970 that the stamps of a pcap file cannot hold any more (in 2106)."""

VLAN = (0x8100, 0x88A8)
IP = (0x0800, 0x86DD)


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet, and the time of its capture in nanoseconds since 1970."""

    time: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """The IP packets of a file in order, and the number of other frames, which are left out."""

    packets: tuple[Packet, ...]
    others: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a file, of link type ``link``; ``interface`` is empty when the file names none."""

    time: int
    data: bytes
    length: int
    link: int
    interface: str = ""
    direction: int = 0


def read(path: Path, *, interface: str | None = None, direction: str | None = None, ethernet: bool = False) -> Capture:
    """The IP packets of a capture file; with ``ethernet`` its Ethernet frames, whatever they carry.

    ``interface`` chooses one of a file that has several; ``direction`` only packets captured going ``in`` or ``out``.
    Raises ConfigError when the file is no capture, or cannot be replayed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", code=ErrorCode.BAD_CAPTURE) from error
    if data[:4] == PCAPNG:
        frames = list(_pcapng(path, data))
    elif data[:4] in MAGICS and len(data) >= 24:
        frames = list(_pcap(path, data, *MAGICS[data[:4]]))
    else:
        raise ConfigError(
            f"{path} is not a capture file: it starts with {data[:4].hex() or 'nothing'}", code=ErrorCode.BAD_CAPTURE
        )
    frames = _choose(path, frames, interface)
    packets, others = [], 0
    for number, frame in enumerate(frames, 1):
        if direction and frame.direction != DIRECTIONS[direction]:
            continue
        packet = _frame(path, frame) if ethernet else _ip_packet(frame.data, _known(path, frame.link))
        if frame.length > len(frame.data):
            raise ConfigError(
                f"{path}: packet {number} was cut from {frame.length} to {len(frame.data)} bytes: "
                "capture with tcpdump -s 0",
                code=ErrorCode.BAD_CAPTURE,
            )
        if packet is None:
            others += 1
        elif not 0 <= frame.time < TIME_MAX:
            raise ConfigError(
                f"{path}: packet {number} has an impossible time, {frame.time // 1_000_000_000} s since 1970",
                code=ErrorCode.BAD_CAPTURE,
            )
        elif len(packet) > L.FRAME_MAX:
            raise ConfigError(
                f"{path}: packet {number} has {len(packet)} bytes, a record holds {L.FRAME_MAX}",
                code=ErrorCode.BAD_CAPTURE,
            )
        else:
            packets.append(Packet(frame.time, packet))
    if not packets:
        raise ConfigError(f"{path} holds no IP packet ({others} others)", code=ErrorCode.BAD_CAPTURE)
    return Capture(tuple(packets), others)


def _known(path: Path, link: int) -> int:
    if link not in LINKS:
        known = ", ".join(f"{name} ({number})" for number, (name, *_) in LINKS.items())
        raise ConfigError(
            f"{path} has the unsupported link type {link} (supported: {known})", code=ErrorCode.BAD_CAPTURE
        )
    return link


def _frame(path: Path, frame: Frame) -> bytes:
    if frame.link != LINKTYPE_ETHERNET:
        name = LINKS[_known(path, frame.link)][0]
        raise ConfigError(
            f"{path} holds packets of the link type {name}, and this link moves Ethernet frames (--port tap): "
            "capture at an Ethernet interface",
            code=ErrorCode.BAD_CAPTURE,
        )
    return frame.data


def _choose(path: Path, frames: list[Frame], interface: str | None) -> list[Frame]:
    """The frames of the chosen interface."""
    names = list(dict.fromkeys(frame.interface for frame in frames))
    if interface is None:
        if len(names) > 1:
            raise ConfigError(
                f"{path} has packets of several interfaces: choose one of {', '.join(names)}",
                code=ErrorCode.BAD_CAPTURE,
            )
        return frames
    if interface not in names:
        raise ConfigError(
            f"{path} has no packet of interface {interface!r}, but of {', '.join(filter(None, names))}",
            code=ErrorCode.BAD_CAPTURE,
        )
    return [frame for frame in frames if frame.interface == interface]


def _pcap(path: Path, data: bytes, order: str, unit: int) -> Iterator[Frame]:
    """The frames of a classic file."""
    header = struct.Struct(f"{order}IIII")
    link = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF  # above: the length of a frame check sequence
    _known(path, link)
    at, number = 24, 1
    while at < len(data):
        if at + header.size > len(data):
            raise ConfigError(f"{path} ends within packet {number}: it is truncated", code=ErrorCode.BAD_CAPTURE)
        seconds, part, kept, length = header.unpack_from(data, at)
        at += header.size
        if at + kept > len(data):
            raise ConfigError(
                f"{path} ends within packet {number}: it is truncated or damaged", code=ErrorCode.BAD_CAPTURE
            )
        yield Frame(seconds * 1_000_000_000 + part * unit, data[at : at + kept], length, link)
        at += kept
        number += 1


def _pcapng(path: Path, data: bytes) -> Iterator[Frame]:
    """The frames of a pcapng file; other blocks are skipped."""
    order, interfaces, time = "<", list[_Interface](), 0
    at = 0
    while at < len(data):
        kind = struct.unpack_from("<I", data, at)[0] if at + 12 <= len(data) else None
        if kind == SECTION:
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        size = struct.unpack_from(f"{order}I", data, at + 4)[0] if kind is not None else 0
        if size < 12 or size % 4 or at + size > len(data):
            raise ConfigError(f"{path} ends within a block: it is truncated or damaged", code=ErrorCode.BAD_CAPTURE)
        kind = struct.unpack_from(f"{order}I", data, at)[0]
        body = data[at + 8 : at + size - 4]
        try:
            if kind == INTERFACE:
                interfaces.append(_Interface.of(body, order, len(interfaces)))
            elif kind == PACKET:
                number, high, low, kept, length = struct.unpack_from(f"{order}IIIII", body)
                where = interfaces[number]
                time = where.nanoseconds(high << 32 | low)
                flags = dict(_options(body[20 + (kept + 3 & ~3) :], order)).get(FLAGS, b"\0\0\0\0")
                direction = struct.unpack(f"{order}I", flags)[0] & 3
                yield Frame(time, body[20 : 20 + kept], length, where.link, where.name, direction)
            elif kind == SIMPLE:
                (length,) = struct.unpack_from(f"{order}I", body)
                yield Frame(time, body[4 : 4 + length], length, interfaces[0].link, interfaces[0].name)
        except (struct.error, IndexError) as error:
            raise ConfigError(
                f"{path} has an invalid block at byte {at}: it is damaged", code=ErrorCode.BAD_CAPTURE
            ) from error
        at += size


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    name: str
    units: int
    """Units of a stamp per second."""
    offset: int

    @classmethod
    def of(cls, body: bytes, order: str, number: int) -> _Interface:
        """Decode an interface block."""
        found = dict(_options(body[8:], order))
        power = found.get(RESOLUTION, b"\x06")[0]
        units = 1 << (power & 0x7F) if power & 0x80 else 10**power
        offset = struct.unpack(f"{order}q", found[OFFSET])[0] if OFFSET in found else 0
        name = found.get(NAME, f"#{number}".encode()).decode(errors="replace")
        return cls(struct.unpack_from(f"{order}H", body)[0], name, units, offset)

    def nanoseconds(self, stamp: int) -> int:
        return self.offset * 1_000_000_000 + stamp * 1_000_000_000 // self.units


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from(f"{order}HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)


def _ip_packet(frame: bytes, link: int) -> bytes | None:
    """The IP packet of a frame; None when it carries another protocol.  Padding of short Ethernet frames stays."""
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
    """Write a pcap file of raw IP packets with stamps in nanoseconds."""
    with path.open("wb") as file:
        file.write(struct.pack("<4sHHiIII", b"\x4d\x3c\xb2\xa1", 2, 4, 0, 0, 1 << 18, RAW))
        for packet in packets:
            seconds, part = divmod(packet.time, 1_000_000_000)
            file.write(struct.pack("<IIII", seconds, part, len(packet.data), len(packet.data)) + packet.data)
