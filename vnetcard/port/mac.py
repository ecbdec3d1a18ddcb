"""MAC addresses: how they are written, and the one that a TAP of an agent gets by itself."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L

MACHINE_IDS: Final = (
    Path("/etc/machine-id"),
    Path("/var/lib/dbus/machine-id"),
    Path("/proc/device-tree/serial-number"),
)
"""Files that identify this machine over its restarts; a small system may have none of them."""
MULTICAST, LOCAL = 0x01, 0x02
"""Bits of the first byte (IEEE 802)."""
BRIDGED: Final = 0xFE
"""First byte for a port of a bridge, as libvirt has it: a bridge takes the lowest address of its ports for its own."""
_WRITTEN: Final = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")


@dataclass(frozen=True, slots=True)
class Mac:
    """A MAC address; ``raw`` has 6 bytes."""

    raw: bytes

    def __str__(self) -> str:
        return self.raw.hex(":")

    @classmethod
    def parse(cls, text: str) -> Mac:
        """``02:00:5e:00:00:01``; ConfigError for anything else, or an address that no interface can have."""
        if not _WRITTEN.fullmatch(text):
            raise ConfigError(
                f"--mac {text!r} is no MAC address: six bytes in hex, as in 02:00:5e:00:00:01", code=ErrorCode.BAD_MAC
            )
        raw = bytes.fromhex(text.replace("-", "").replace(":", ""))
        if raw[0] & MULTICAST or not any(raw):
            kind = "a multicast address" if any(raw) else "no address at all"
            raise ConfigError(
                f"--mac {text} is {kind}: the first byte must be even, as in {(raw[0] & 0xFE) | LOCAL:02x}:...",
                code=ErrorCode.BAD_MAC,
            )
        return cls(raw)


def own_mac(side: int, window: str, *, bridged: bool = False, machine: str | None = None) -> Mac:
    """The address that ``side`` of ``window`` has on this machine, the same at each start: locally administered.

    ``machine`` identifies the machine; default: its machine id.  A bridged one is high: see ``BRIDGED``.
    """
    words = "\0".join(("vnetcard", machine or machine_id(), L.SIDES[side], window))
    import hashlib  # loads OpenSSL

    raw = hashlib.sha256(words.encode(errors="surrogateescape")).digest()[:6]
    return Mac(bytes([BRIDGED if bridged else (raw[0] & ~MULTICAST) | LOCAL]) + raw[1:])


def given_by_peer(text: str) -> Mac | None:
    """The address that a peer names in its side block; None for one that a peer cannot give.

    It must be unicast and locally administered, so that no peer makes this side pass for a real device.
    """
    if not _WRITTEN.fullmatch(text):
        return None
    raw = bytes.fromhex(text.replace("-", "").replace(":", ""))
    return Mac(raw) if raw[0] & (MULTICAST | LOCAL) == LOCAL else None


def machine_id() -> str:
    """What identifies this machine; its host name where it has none of ``MACHINE_IDS``."""
    for path in MACHINE_IDS:
        try:
            if found := path.read_bytes().strip(b"\0 \n").decode(errors="replace"):
                return found
        except OSError:
            continue
    return socket.gethostname()
