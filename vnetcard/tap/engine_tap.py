"""The packets that a simulated engine has written to the consumer's memory, at each publication.

The bytes are read from that memory shortly afterwards.  What was overwritten by then is missed, and counted.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.tap_shm import Event
from vnetcard.tap.engine_log import EngineLog
from vnetcard.window import WindowUrl
from vnetcard.window import sim_bus as B
from vnetcard.window.sim_client import open_object

STAGE = "ENGINE"
_HEADER = struct.Struct("<IHHII")


class EngineTap:
    """The engine of a simulation; ``missed`` counts by the side whose memory the packets were written to."""

    def __init__(self, window: str) -> None:
        """Raises ConfigError when ``window`` is no simulation, or its log cannot be read."""
        url = WindowUrl.parse(window)
        log = EngineLog.of(window)
        if log is None:
            raise ConfigError(
                f"--tap engine: {url} has no simulated engine; use --tap fifo-in and --tap fifo-out",
                code=ErrorCode.ENGINE_MISSING,
            )
        self._log = log
        name = url.place.partition(".")[0]
        self._memories = [_map(B.memory_name(name, side), name) for side in (L.HOST, L.CARD)]
        self._at = [ring.published for ring in log.progress]
        self.missed = [0, 0]

    def drain(self) -> Iterator[Event]:
        """The packets that were published since the last call."""
        reached = [what for what in self._log.drain() if what.step == "engine publish"]
        last = {what.direction: what.index for what in reached}
        for what in reached:
            number = L.DIRECTIONS.index(what.direction)
            yield from self._published(number, what.index, what.time, last[what.direction])

    def _published(self, number: int, index: int, time: int, last: int) -> Iterator[Event]:
        ring = self._log.progress[number].rings[1 - number]
        if (index - self._at[number]) & 0xFFFF_FFFF > ring.size:  # a new generation starts at 0
            self._at[number] = 0
        while (left := (index - self._at[number]) & 0xFFFF_FFFF) > 0:
            event = self._record(number, time, last) if left <= ring.size else None
            if event is None:
                self.missed[1 - number] += 1
                self._at[number] = index
                return
            self._at[number] = event.index
            yield event

    def _record(self, number: int, time: int, last: int) -> Event | None:
        """The next record of this direction; None when it was overwritten."""
        at, sink = self._at[number], 1 - number
        ring, memory = self._log.progress[number].rings[sink], self._memories[sink]
        start = ring.offset + at % ring.size
        header = memory[start : start + _HEADER.size]
        length, flags, lead, seq, _ = _HEADER.unpack(header)
        size = L.align_record(length)
        if not lead < length <= L.FRAME_MAX or not size <= (last - at) & 0xFFFF_FFFF <= ring.size:
            return None
        begin = start + _HEADER.size
        payload = memory[begin : min(begin + length, ring.offset + ring.size)]
        payload += memory[ring.offset : ring.offset + length - len(payload)]
        if memory[start : start + _HEADER.size] != header:
            return None
        vnet = payload[:lead] if flags & L.RECORD_FLAGS["VNET"] else b""
        return Event(
            sink,
            L.DIRECTIONS[number],
            0,
            STAGE,
            0,
            (T.FLAGS["VNET"] if vnet else 0) | (T.FLAGS["ETHERNET"] if self._word(1 - sink, "frames") else 0),
            time,
            (self._word(L.HOST, "epoch"), self._word(L.CARD, "epoch")),
            seq,
            length - lead,
            (at + size) & 0xFFFF_FFFF,
            0,
            0,
            vnet,
            payload[lead:],
        )

    def _word(self, side: int, field: str) -> int:
        at = L.side_offset(side) + L.SIDE_CONTROL.offset(field)
        return int.from_bytes(self._memories[side][at : at + 4], "little")

    def close(self) -> None:
        """Close the log and unmap the memories."""
        self._log.close()
        for memory in self._memories:
            memory.close()


def _map(name: str, simulation: str) -> mmap.mmap:
    fd = open_object(name, simulation)
    try:
        return mmap.mmap(fd, os.fstat(fd).st_size, prot=mmap.PROT_READ)
    finally:
        os.close(fd)
