"""The blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian, with stamps in nanoseconds since 1970."""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterable
from typing import Final

from vnetcard.ring.sideblock import SOFTWARE
from vnetcard.terminal.escape import printable

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
BYTE_ORDER: Final = 0x1A2B3C4D
LINKTYPE_ETHERNET: Final = 1
DLT_RAW: Final = 12
"""Packets that start with their IP header.  The official number in files is 101 (LINKTYPE_RAW), but libpcap (1.10) maps
only the first interface of a file from 101 to 12, and then refuses the others as of another type; 12 is read by all.
"""
INBOUND, OUTBOUND = 1, 2
"""Values of the lowest two bits of epb_flags."""

_COMMENT, _END = 1, 0
_NAME, _DESCRIPTION, _RESOLUTION, _FILTER = 2, 3, 9, 11
_HARDWARE, _OS, _PROGRAM = 2, 3, 4
_FLAGS, _DROPCOUNT = 2, 4
_RECEIVED, _DROPPED = 4, 5
_NANOSECONDS: Final = b"\x09"


def _option(code: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<HH", code, len(data)) + data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes, options: bytes = b"") -> bytes:
    if options:
        options += struct.pack("<HH", _END, 0)
    size = 12 + len(body) + len(options)
    return struct.pack("<II", kind, size) + body + options + struct.pack("<I", size)


def section() -> bytes:
    """The section header block, the first of a file."""
    options = _option(_HARDWARE, platform.machine()) + _option(_OS, f"{platform.system()} {platform.release()}")
    options += _option(_PROGRAM, SOFTWARE)
    return _block(SECTION, struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1), options)


def interface(name: str, description: str, snap: int, chosen: str = "", link: int = DLT_RAW) -> bytes:
    """An interface description block; interfaces are numbered from 0 in their order.

    ``chosen``: the filter's text; ``link``: the link type of its packets.
    """
    options = (
        _option(_NAME, printable(name))
        + _option(_DESCRIPTION, printable(description))
        + _option(_RESOLUTION, _NANOSECONDS)
    )
    if chosen:
        options += _option(_FILTER, b"\0" + chosen.encode(errors="surrogateescape"))
    return _block(INTERFACE, struct.pack("<HHI", link, 0, snap), options)


def packet(
    number: int, time: int, data: bytes, length: int, *, direction: int, comments: Iterable[str] = (), missed: int = 0
) -> bytes:
    """An enhanced packet block: ``data`` of ``length`` bytes at interface ``number``, ``missed`` packets before it."""
    options = b"".join(_option(_COMMENT, printable(comment)) for comment in comments)
    options += _option(_FLAGS, struct.pack("<I", direction))
    if missed:
        options += _option(_DROPCOUNT, struct.pack("<Q", missed))
    head = struct.pack("<IIIII", number, time >> 32, time & 0xFFFF_FFFF, len(data), length)
    return _block(PACKET, head + data + bytes(-len(data) % 4), options)


def statistics(number: int, time: int, *, received: int, missed: int) -> bytes:
    """An interface statistics block."""
    options = _option(_RECEIVED, struct.pack("<Q", received)) + _option(_DROPPED, struct.pack("<Q", missed))
    return _block(STATISTICS, struct.pack("<III", number, time >> 32, time & 0xFFFF_FFFF), options)
