"""Pings of every size, as fast as replies come, each byte of each reply compared: a program that tests run as root.

    sweep.py ADDRESS FIRST LAST COUNT

Sends COUNT echo requests of each payload size and waits for their replies before the next size.  Prints one JSON
line: how many were sent, answered, dropped by its own full socket, and which (size, number) were lost, spoilt or
answered twice.  Unlike ``ping -c``, which gives the last reply only twice the longest round trip so far, it waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import struct
import sys
import time

SILENCE_S = 10.0
"""Seconds without a reply after which a request counts as lost."""
MOST_LOST = 20
"""The number of lost requests after which the sweep ends."""
SOL_RAW, ICMP_FILTER = 255, 1  # Linux include/linux/socket.h, include/uapi/linux/icmp.h, icmpv6.h
SO_MEMINFO, MEMINFO_DROPS = 55, 8  # Linux include/uapi/asm-generic/socket.h, sock_diag.h
ECHO = struct.Struct("!BBHHH")
PATTERN = random.Random(1).randbytes(1 << 17)


def payload(size: int, number: int) -> bytes:
    """The payload of a request; no two are equal."""
    start = (size * 31 + number * 7919) % 65536
    return PATTERN[start : start + size]


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    words: tuple[int, ...] = struct.unpack(f"!{len(data) // 2}H", data)
    return ~(sum(words) % 0xFFFF) & 0xFFFF


def passing(kind: int, kinds: int) -> bytes:
    """The socket filter that admits only messages of ``kind``: a bit per kind, set for those that it blocks."""
    return ((1 << kinds) - 1 & ~(1 << kind)).to_bytes(kinds // 8, "little")


class Sweep:
    """A raw ICMP or ICMPv6 socket and what became of its requests."""

    def __init__(self, address: str) -> None:
        self.v6 = ":" in address
        family, protocol = (
            (socket.AF_INET6, socket.IPPROTO_ICMPV6) if self.v6 else (socket.AF_INET, socket.IPPROTO_ICMP)
        )
        self.request, self.reply = (128, 129) if self.v6 else (8, 0)
        self.socket = socket.socket(family, socket.SOCK_RAW, protocol)
        # Replies only: the other side's requests would fill the buffer of a process that gets no CPU.
        if self.v6:
            self.socket.setsockopt(protocol, ICMP_FILTER, passing(self.reply, 256))
        else:
            self.socket.setsockopt(SOL_RAW, ICMP_FILTER, passing(self.reply, 32))
        with contextlib.suppress(BlockingIOError):  # what came before that
            while self.socket.recv(1, socket.MSG_DONTWAIT):
                pass
        self._dropped_before = self._dropped()
        self.socket.connect((address, 0))
        self.me = os.getpid() & 0xFFFF
        self.sent = self.answered = 0
        self.lost: list[tuple[int, int]] = []
        self.spoilt: list[tuple[int, int]] = []
        self.twice: list[tuple[int, int]] = []

    def size(self, size: int, count: int) -> None:
        """Send ``count`` requests of ``size`` bytes and wait for their replies."""
        first = self.sent
        for number in range(first, first + count):
            head = ECHO.pack(self.request, 0, 0, self.me, number & 0xFFFF)
            if not self.v6:  # for ICMPv6 the kernel does it
                head = ECHO.pack(self.request, 0, checksum(head + payload(size, number)), self.me, number & 0xFFFF)
            self.socket.send(head + payload(size, number))
            self.sent += 1
        waiting = {number & 0xFFFF: number for number in range(first, first + count)}
        deadline = time.monotonic() + SILENCE_S
        while waiting and (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                packet = self.socket.recv(70_000)
            except TimeoutError:
                break
            if self._take(packet if self.v6 else packet[(packet[0] & 15) * 4 :], size, waiting):
                deadline = time.monotonic() + SILENCE_S
        self.lost += [(size, number) for number in waiting.values()]

    def overflowed(self) -> int:
        """Packets that this socket had no room for: they were lost here, not on the link."""
        return self._dropped() - self._dropped_before

    def _dropped(self) -> int:
        counts: tuple[int, ...] = struct.unpack("9I", self.socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))
        return counts[MEMINFO_DROPS]

    def _take(self, icmp: bytes, size: int, waiting: dict[int, int]) -> bool:
        kind, code, _, me, sequence = ECHO.unpack_from(icmp)
        if (kind, code, me) != (self.reply, 0, self.me):
            return False
        if sequence not in waiting:
            self.twice.append((size, sequence))
            return False
        number = waiting.pop(sequence)
        self.answered += 1
        if icmp[ECHO.size :] != payload(size, number):
            self.spoilt.append((size, number))
        return True


def main() -> None:
    """Run a sweep, as the command line asks."""
    sweep = Sweep(sys.argv[1])
    first, last, count = (int(word) for word in sys.argv[2:])
    for size in range(first, last + 1):
        sweep.size(size, count)
        if len(sweep.lost) > MOST_LOST:
            break
    found = {"sent": sweep.sent, "answered": sweep.answered, "overflowed": sweep.overflowed()}
    print(json.dumps(found | {"lost": sweep.lost, "spoilt": sweep.spoilt, "twice": sweep.twice}))


if __name__ == "__main__":
    main()
