"""A side block in a window: the words that one side writes and the other reads."""

from __future__ import annotations

import os
import socket
import struct
import time
from dataclasses import dataclass

from vnetcard import __version__
from vnetcard._core import Memory
from vnetcard.ring import layout as L
from vnetcard.ring.link_counters import LinkCounters, read_link_counters
from vnetcard.terminal.escape import printable

SOFTWARE = f"vnetcard {__version__}"


@dataclass(frozen=True, slots=True)
class Identity:
    """The owner of a side: pid, start time in seconds since 1970, and the names of software and machine.

    ``mac``: the MAC address that the peer's frames must have, as text; '' for any.
    """

    pid: int
    started: float
    software: str
    machine: str
    mac: str = ""


class SideBlock:
    """The block of one side.  Only its owner calls ``store``, ``beat``, ``count``, ``write_identity``, ``restore``."""

    def __init__(self, memory: Memory, side: int) -> None:
        self._memory, self._side = memory, side
        self._base = L.side_offset(side)
        self._beat = self.load("heartbeat")
        self._counters: LinkCounters | None = None
        self._identity = b""
        self._written: dict[str, int] = {}
        self._written64: dict[str, int] = {}

    @property
    def memory_lost(self) -> bool:
        """Whether a part of the window's memory is missing, as ``Memory.lost``."""
        return self._memory.lost

    def load(self, field: str) -> int:
        """A u32 of the control line, acquire; each call reads the word once, since it may change at any time."""
        return self._memory.load32(self._base + L.SIDE_CONTROL.offset(field))

    def store(self, field: str, value: int) -> None:
        """Set a u32 of the control line, release."""
        self._written[field] = value
        self._memory.store32(self._base + L.SIDE_CONTROL.offset(field), value)

    def store64(self, field: str, value: int) -> None:
        """Set a u64 of the control line, release."""
        self._written64[field] = value
        self._memory.store64(self._base + L.SIDE_CONTROL.offset(field), value)

    def offered(self) -> tuple[int, int, int]:
        """(version, mtu, frames): what must suit the other side."""
        return self.load("version"), self.load("mtu"), self.load("frames")

    def final(self) -> tuple[int, int, int]:
        """(own epoch, peer epoch, records) of the last generation that this side received in."""
        records = self._memory.load64(self._base + L.SIDE_CONTROL.offset("final_records"))
        return self.load("final_own_epoch"), self.load("final_peer_epoch"), records

    def beat(self) -> None:
        """Increment the heartbeat."""
        self._beat = (self._beat + 1) & 0x7FFF_FFFF
        self.store("heartbeat", self._beat)

    def control(self) -> bytes:
        """The control line as it is now, for ``rest``."""
        return self._memory.read(self._base, L.LINE)

    def rest(
        self, peer: SideBlock, seen: bytes, fds: tuple[int, ...], seconds: float, *, every: float, limit: float
    ) -> tuple[int, float]:
        """Sleep and beat, as ``Memory.watch`` does; ``seen``: the peer's ``control()`` as the link knows it.

        Returns the peer's heartbeat, and the seconds for which it has been still.
        """
        times = seconds, every, limit
        self._beat, beat, still = self._memory.watch(self._base, peer._base, seen, self._beat, fds, *times)
        return beat, still

    def count(self, name: str, events: int = 1) -> None:
        """Add ``events`` to a link counter."""
        self._own_counters().count(name, events)

    def _own_counters(self) -> LinkCounters:
        """What an earlier owner counted, read when the present one counts first."""
        if self._counters is None:
            self._counters = LinkCounters(self._memory, self._side)
            self._counters.write()
            if self._counters.ruined:
                self._counters.count("ledger_restarted")
        return self._counters

    def counters(self) -> dict[str, int]:
        """The link counters in the window; zeros where another program has overwritten them."""
        return read_link_counters(self._memory, self._side)[0]

    def restore(self) -> tuple[str, ...]:
        """Write again what another program has overwritten in this side's block; what that was.

        The epoch and the answer are the handshake's, which answers another value by a new epoch.
        """
        found = []
        for name, value in self._written.items():
            if name not in ("epoch", "answered", "heartbeat") and self.load(name) != value:
                self.store(name, value)
                found.append(name)
        for name, value in self._written64.items():
            if self._memory.load64(self._base + L.SIDE_CONTROL.offset(name)) != value:
                self.store64(name, value)
                found.append(name)
        if self._identity and self._memory.read(self._base + L.LINE, len(self._identity)) != self._identity:
            self._memory.write(self._base + L.LINE, self._identity)
            found.append("identity")
        if self._own_counters().restore():
            found.append("link counters")
        return tuple(found)

    def write_identity(self, mac: bytes = b"") -> None:
        """Write the identity of this process, which the refusal of a second agent names.

        ``mac``: the 6 bytes of the only MAC address that the peer's frames may have.
        """
        machine = socket.gethostname().encode("ascii", "replace")[:24]
        given = mac and mac + _MAC_GIVEN
        self._identity = _IDENTITY.pack(os.getpid(), 0, time.time_ns(), SOFTWARE.encode(), given, machine)
        self._memory.write(self._base + L.LINE, self._identity)

    def identity(self) -> Identity:
        """The present or last owner of the side."""
        return decode_identity(self._memory.read(self._base + L.LINE, L.LINE))


def served_queues(queue_mask: int) -> int:
    """Number of queue pairs that a side with ``queue_mask`` serves: the lowest set bits without a gap, at least 1."""
    return max(1, (~queue_mask & (queue_mask + 1)).bit_length() - 1)


_IDENTITY = struct.Struct("<IIQ16s8s24s")
_MAC_BYTES, _MAC_GIVEN = 6, b"\x01\x00"


def decode_identity(line: bytes) -> Identity:
    """Decode an identity line; bytes that are not printable ASCII are escaped."""
    pid, _, started, software, mac, machine = _IDENTITY.unpack(line)

    def text(raw: bytes) -> str:
        return printable(raw.split(b"\0")[0].decode("ascii", "backslashreplace"))

    shown = mac[:_MAC_BYTES].hex(":") if mac[_MAC_BYTES:] == _MAC_GIVEN else ""
    return Identity(pid, started / 1e9, text(software), text(machine), shown)
