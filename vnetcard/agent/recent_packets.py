"""The first bytes of packets that came through the link a moment ago: the rings still hold them after delivery."""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from vnetcard.ring import layout as L
from vnetcard.ring.ethernet import ip_packet
from vnetcard.ring.fifo import locate
from vnetcard.window import Window

KEPT: Final = 6
"""How many earlier moments are remembered."""
KEPT_INTERVAL: Final = 0.9
"""Least seconds between two of them."""
WALKED_MAX: Final = 256
"""Records that are read between two moments."""
SEARCHED_LINES: Final = 1024
"""Lines of a ring in which the beginning of a record is searched: as many as the largest record has."""
HEAD_BYTES: Final = 64
"""Bytes of an IP packet that are returned: enough for the addresses and ports of IPv4 and IPv6."""
_RECORD: Final = struct.Struct("<IHHII")


class RecentPackets:
    """The packets that ``side`` received through ``window``; costs nothing per packet."""

    def __init__(self, window: Window, side: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = window.memory
        self._frames_at = L.side_offset(side) + L.SIDE_CONTROL.offset("frames")
        self._clock = clock
        direction = L.DIRECTIONS[1 - side]
        queues = range(len(window.geometry.rings))
        self._rings = [locate(window.geometry, direction, "consumer", queue) for queue in queues]
        self._now = self._before = self._indices()
        self._earlier: deque[list[int]] = deque(maxlen=KEPT)
        self._kept_at = float("-inf")

    def _indices(self) -> list[int]:
        """Where the consumers are: a record begins there."""
        return [self._memory.load32(end.own) for end in self._rings]

    def mark(self) -> None:
        """Begin a new moment: what was received before it is not fresh at the next call of ``mark``."""
        self._before, self._now = self._now, self._indices()
        if self._before != self._now and self._clock() >= self._kept_at + KEPT_INTERVAL:
            self._kept_at = self._clock()
            self._earlier.append(self._before)

    def heads(self) -> Iterator[tuple[bool, bytes]]:
        """The first bytes of received packets, and whether each came after the last mark but one; the fresh first.

        Of an Ethernet frame they are those of its IP packet, or empty.
        The peer may write any value into a ring, and overwrites what it holds: a head may be anything.
        """
        for number, end in enumerate(self._rings):
            prod = self._memory.load32(end.peer)
            first = self._before[number]
            if _ahead(first, prod) > end.ring.size:  # which has been overwritten: all in the ring is newer
                first = self._search(number, prod)
            for head in self._walk(number, first, _ahead(first, prod)):
                yield True, head
        for earlier, later in reversed(list(pairwise([*self._earlier, self._before]))):
            for number, end in enumerate(self._rings):
                if _ahead(earlier[number], self._memory.load32(end.peer)) <= end.ring.size:
                    for head in self._walk(number, earlier[number], _ahead(earlier[number], later[number])):
                        yield False, head

    def _search(self, number: int, prod: int) -> int:
        """Where one of the latest records before ``prod`` begins, by its number and its successor's; else ``prod``."""
        size = self._rings[number].ring.size
        for back in range(min(SEARCHED_LINES * L.LINE, size), 0, -L.LINE):
            start = (prod - back) & 0xFFFF_FFFF
            length, seq = self._record(number, start)
            step = L.align_record(length)
            if length and step <= back and (step == back or self._record(number, start + step)[1] == seq + 1):
                return start
        return prod

    def _record(self, number: int, index: int) -> tuple[int, int]:
        """Length and number of the record at ``index``; length 0 where there is none."""
        ring = self._rings[number].ring
        place = index & (ring.size - L.LINE)
        length, flags, hdr_len, seq, _ = _RECORD.unpack(self._memory.read(ring.offset + place, L.RECORD_HEADER))
        valid = 1 <= length <= L.FRAME_MAX and hdr_len in (0, L.VNET_HDR) and not flags & ~L.RECORD_FLAGS["VNET"]
        return (length if valid else 0), seq

    def _walk(self, number: int, start: int, span: int) -> Iterator[bytes]:
        ring = self._rings[number].ring
        at = 0
        if span > ring.size:
            return
        for _ in range(WALKED_MAX):
            if at >= span:
                return
            place = (start + at) & (ring.size - L.LINE)
            length, _, hdr_len, _, _ = _RECORD.unpack(self._memory.read(ring.offset + place, L.RECORD_HEADER))
            step = L.align_record(length)
            if not 1 <= length <= L.FRAME_MAX or hdr_len not in (0, L.VNET_HDR) or at + step > span:
                return
            kept = min(length, hdr_len + L.FRAME_OVERHEAD[L.FRAMES["ETHERNET"]] + HEAD_BYTES)
            head = self._read(number, place + L.RECORD_HEADER, kept)[hdr_len:kept]
            head = ip_packet(head) if self._memory.load32(self._frames_at) else head
            yield head[:HEAD_BYTES]
            at += step

    def _read(self, number: int, place: int, count: int) -> bytes:
        """``count`` bytes or a few more of a ring from ``place``, a multiple of 8, over its end if need be."""
        ring = self._rings[number].ring
        place &= ring.size - 1
        count = (count + 7) & ~7
        first = min(count, ring.size - place)
        found = self._memory.read(ring.offset + place, first)
        return found + (self._memory.read(ring.offset, count - first) if count > first else b"")


def _ahead(start: int, stop: int) -> int:
    """Bytes from one free-running index to another."""
    return (stop - start) & 0xFFFF_FFFF
