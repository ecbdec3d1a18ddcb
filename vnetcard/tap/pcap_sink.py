"""Tap points, and the capture files that their packets are written to."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.dissect import describe_offload
from vnetcard.ring.ethernet import ip_offset
from vnetcard.ring.tap_shm import Event
from vnetcard.tap import engine_tap, pcapng
from vnetcard.tap.block_file import BlockFile
from vnetcard.tap.gso import segments

POINTS: Final[dict[str, tuple[str, ...]]] = {
    "port": ("READ", "WRITE"),
    "fifo-in": ("COMMIT",),
    "fifo-out": ("PEEK",),
    "engine": (engine_tap.STAGE,),
}
"""Tap point: the stages whose packets it shows."""
IN_WORDS: Final = {
    "port": "packets read from and written to the {side}'s interface, and drops",
    "fifo-in": "packets that the {side} puts into its FIFO",
    "fifo-out": "packets that the {side} takes out of its FIFO",
    "engine": "packets that the engine has written to the {side}'s memory",
}


@dataclass(frozen=True, slots=True)
class TapPacket:
    """A packet at a tap point: ``time`` in nanoseconds since 1970, ``data`` the first bytes of its ``length``."""

    point: str
    side: int
    direction: int
    time: int
    data: bytes
    length: int
    comments: tuple[str, ...]
    ethernet: bool = False


def packets_at(event: Event, points: tuple[str, ...], *, segment: bool, clock: int) -> Iterator[TapPacket]:
    """The packets of ``event`` at ``points``; ``clock`` nanoseconds are added to their time."""
    for point in points:
        if event.stage not in POINTS[point]:
            continue
        direction = pcapng.OUTBOUND if event.stage in ("READ", "COMMIT") else pcapng.INBOUND
        host, card = event.epochs
        words = f"{event.direction} epochs host {host:08x} card {card:08x}"
        if not event.flags & T.FLAGS["NOSEQ"]:
            words += f", record {event.seq}" + (f" of queue {event.queue}" if event.queue else "")
        comments = [words]
        if event.drop:
            comments.append(f"dropped: {event.drop_name}")
        if offload := describe_offload(event.vnet):
            comments.append(offload)
        whole = len(event.data) == event.length
        lead = ip_offset(event.data) if event.ethernet else 0
        packets = segments(event.data, event.vnet, lead=lead) if segment and whole else [event.data]
        for n, packet in enumerate(packets, 1):
            part = (f"segment {n} of {len(packets)}",) if len(packets) > 1 else ()
            length = len(packet) if whole else event.length
            yield TapPacket(
                point, event.side, direction, event.time + clock, packet, length, (*comments, *part), event.ethernet
            )


def realtime_offset() -> int:
    """The time since 1970 minus CLOCK_MONOTONIC, in nanoseconds."""
    return time.time_ns() - time.monotonic_ns()


class Section:
    """The single section of a pcapng file or stream."""

    def __init__(self, out: BlockFile, snap: int, chosen: str, link: int = pcapng.DLT_RAW) -> None:
        self._out = out
        self._snap = snap
        self._link = link
        self._chosen = chosen
        self._numbers: dict[tuple[int, str], int] = {}
        self._received: dict[int, int] = {}
        self._missed: dict[int, int] = {}
        self.bytes = 0
        self._put(pcapng.section())

    def _put(self, block: bytes) -> None:
        self._out.write(block)
        self.bytes += len(block)

    def declare(self, side: int, point: str) -> int:
        """The number of a tap point's interface; its block is written when it is new."""
        if (side, point) not in self._numbers:
            name, words = f"{L.SIDES[side]}-{point}", IN_WORDS[point].format(side=L.SIDES[side])
            self._put(pcapng.interface(name, words, self._snap, self._chosen, self._link))
            number = self._numbers[side, point] = len(self._numbers)
            self._received[number] = self._missed[number] = 0
        return self._numbers[side, point]

    def write(self, seen: TapPacket, missed: int) -> None:
        """Write a packet; ``missed`` packets of its side were missed just before it."""
        number = self.declare(seen.side, seen.point)
        self._received[number] += 1
        self._missed[number] += missed
        self._put(
            pcapng.packet(
                number,
                seen.time,
                seen.data,
                seen.length,
                direction=seen.direction,
                comments=seen.comments,
                missed=missed,
            )
        )

    def miss(self, side: int, count: int) -> None:
        """Count ``count`` packets of ``side`` that were missed after the last one written."""
        for (declared, _), number in self._numbers.items():
            if declared == side:
                self._missed[number] += count
                return

    def finish(self) -> None:
        """Write the statistics of every interface."""
        for number, received in self._received.items():
            self._put(pcapng.statistics(number, time.time_ns(), received=received, missed=self._missed[number]))
        self._out.flush()


class StreamSink:
    """A capture to standard output."""

    def __init__(self, out: BlockFile, snap: int, chosen: str, link: int = pcapng.DLT_RAW) -> None:
        self._out = out
        self._section = Section(out, snap, chosen, link)
        self.declare, self.write, self.miss = self._section.declare, self._section.write, self._section.miss
        self.flush = out.flush

    def close(self) -> None:
        """Write the statistics; the end of the capture."""
        self._section.finish()
        self._out.close()


class FileSink:
    """A capture to a file; with ``most_bytes`` a new file at that size, of which the last ``most_files`` are kept."""

    def __init__(
        self,
        path: Path,
        snap: int,
        chosen: str,
        *,
        most_bytes: int = 0,
        most_files: int = 0,
        link: int = pcapng.DLT_RAW,
    ) -> None:
        """Raises ConfigError when the file cannot be created."""
        self._path = path
        self._settings = (snap, chosen, link)
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._kept: deque[Path] = deque()
        self._number = 0
        self._out: BlockFile
        self._section: Section
        self._open()

    def _open(self) -> None:
        path = self._path
        if self._most_bytes:
            self._number += 1
            stamp = time.strftime("%Y%m%d%H%M%S")
            path = path.with_name(f"{path.stem}_{self._number:05}_{stamp}{path.suffix or '.pcapng'}")
        self._out = BlockFile.create(path)
        self._kept.append(path)
        if self._most_files and len(self._kept) > self._most_files:
            self._kept.popleft().unlink(missing_ok=True)
        self._section = Section(self._out, *self._settings)

    def declare(self, side: int, point: str) -> None:
        """Add an interface to the file, even if it gets no packet."""
        self._section.declare(side, point)

    def write(self, seen: TapPacket, missed: int) -> None:
        """As ``Section.write``."""
        if self._most_bytes and self._section.bytes >= self._most_bytes:
            self.close()
            self._open()
        self._section.write(seen, missed)

    def miss(self, side: int, count: int) -> None:
        """As ``Section.miss``."""
        self._section.miss(side, count)

    def flush(self) -> None:
        """Make everything that was written readable."""
        self._out.flush()

    def close(self) -> None:
        """Write the statistics; the end of the capture."""
        self._section.finish()
        self._out.close()


def open_sink(
    name: str, snap: int, chosen: str, most_bytes: int, most_files: int, *, ethernet: bool = False
) -> StreamSink | FileSink:
    """The sink for ``-w NAME``, of IP packets or of Ethernet frames."""
    link = pcapng.LINKTYPE_ETHERNET if ethernet else pcapng.DLT_RAW
    if name != "-":
        return FileSink(Path(name), snap, chosen, most_bytes=most_bytes, most_files=most_files, link=link)
    if sys.stdout.isatty():
        raise ConfigError(
            "-w -: standard output is a terminal; pipe the capture, as in ... -w - | wireshark -k -i -",
            code=ErrorCode.NO_TERMINAL,
        )
    return StreamSink(BlockFile(os.dup(sys.stdout.fileno()), "standard output"), snap, chosen, link)
