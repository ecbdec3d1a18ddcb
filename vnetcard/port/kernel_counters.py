"""What the kernel itself counts about an interface and its network namespace, and each socket that dropped datagrams.

The files are opened once, so that a process which has given up the permission to enter the namespace still reads them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vnetcard.port import netns as ns
from vnetcard.port.address import Gateway
from vnetcard.port.kernel_queries import KernelQueries

FOLDER: Final = "/proc/thread-self/net"
TABLES: Final = ("snmp", "netstat", "snmp6")
SOCKETS: Final = ("udp", "udp6")
BY_INTERFACE: Final = "dev_snmp6"
READ_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class DroppingSocket:
    """A UDP socket that has dropped datagrams since it was opened; ``address`` is unspecified where it takes any."""

    address: Gateway
    port: int
    inode: int
    drops: int


class KernelCounters:
    """The counters of interface ``index`` in the namespace ``place`` (as ``netns.inside`` takes it).

    Raises OSError when the process has no more descriptors, PortUnavailable or ConfigError without access to the
    namespace.  A table that the kernel lacks, such as those of IPv6, is left out.
    """

    def __init__(self, place: str | int | None, index: int) -> None:
        self.index = index
        self._files: dict[str, int] = {}
        with contextlib.ExitStack() as opened, ns.inside(place):
            for name in (*TABLES, *SOCKETS, BY_INTERFACE):
                try:
                    fd = os.open(f"{FOLDER}/{name}", os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:
                    continue
                opened.callback(os.close, fd)
                self._files[name] = fd
            self.queries = KernelQueries()
            opened.callback(self.queries.close)
            self._opened = opened.pop_all()

    def read(self) -> dict[str, int]:
        """All counters, by the names of ``codes.discard``; OSError (ENODEV) when the interface is gone."""
        name, found = self.queries.link_counters(self.index)
        found |= self._ipv6(name)
        with contextlib.suppress(OSError):  # a kernel without queueing disciplines
            found["qdisc.drops"] = self.queries.queue_drops(self.index)
        return found | self.tables()

    def _ipv6(self, name: str) -> dict[str, int]:
        """``inet6.NAME``, which IPv6 counts by interface; nothing where the interface has no IPv6."""
        folder = self._files.get(BY_INTERFACE)
        if folder is None:
            return {}
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError:
            return {}
        try:
            found = parse_table(_read(fd))
        finally:
            os.close(fd)
        return {f"inet6.{key[3:]}": n for key, n in found.items() if key.startswith("Ip6")}

    def tables(self) -> dict[str, int]:
        """Those of the namespace alone."""
        found: dict[str, int] = {}
        for name in TABLES:
            found |= parse_table(self._text(name))
        return found

    def sockets(self) -> list[DroppingSocket]:
        """The UDP sockets that have dropped datagrams, those with most drops first."""
        found = [one for name in SOCKETS for one in parse_sockets(self._text(name))]
        return sorted(found, key=lambda one: -one.drops)

    def _text(self, name: str) -> str:
        return _read(self._files[name]) if name in self._files else ""

    def close(self) -> None:
        """Close the files and the socket.  Idempotent."""
        self._opened.close()
        self._files = {}


def _read(fd: int) -> str:
    parts, at = [], 0
    while part := os.pread(fd, READ_BYTES, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts).decode(errors="replace")


def parse_table(text: str) -> dict[str, int]:
    """``Ip.InAddrErrors`` from two lines of snmp or netstat, ``Ip6InReceives`` from one of snmp6; proc(5)."""
    found: dict[str, int] = {}
    names: list[str] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        first, *rest = line.split()
        with contextlib.suppress(ValueError):
            if not first.endswith(":"):
                found[first] = int(rest[0]) if rest else 0
            elif names and names[0] == first:
                found |= {f"{first[:-1]}.{name}": int(n) for name, n in zip(names[1:], rest, strict=False)}
                names = []
            else:
                names = [first, *rest]
    return found


def parse_sockets(text: str) -> Iterator[DroppingSocket]:
    """The sockets of /proc/net/udp or udp6 with drops."""
    for line in text.splitlines()[1:]:
        words = line.split()
        with contextlib.suppress(ValueError, IndexError):
            drops = int(words[-1])
            if drops:
                address, _, port = words[1].partition(":")
                yield DroppingSocket(_address(address), int(port, 16), int(words[9]), drops)


def _address(text: str) -> Gateway:
    """An address as the kernel prints it: each 32 bits of it as a number in this machine's byte order."""
    words = (int(text[at : at + 8], 16) for at in range(0, len(text), 8))
    return ipaddress.ip_address(b"".join(struct.pack("=I", word) for word in words))
