"""``vnetcard capture``: the packets at the tap points of a link, as pcapng or as lines."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from typing import Final

from vnetcard.errors import ConfigError
from vnetcard.port.bpf import Filter, compile_filter
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.dissect import describe_packet
from vnetcard.ring.tap_shm import Event, TapRequest
from vnetcard.tap.arguments import add_capture_options, warn_unresponsive
from vnetcard.tap.engine_tap import EngineTap
from vnetcard.tap.pcap_sink import POINTS, FileSink, StreamSink, TapPacket, open_sink, packets_at, realtime_offset
from vnetcard.tap.source import Sources, moves_ethernet, poll_events
from vnetcard.terminal.arguments import Subparsers, add_command, positive
from vnetcard.terminal.sizes import parse_size

EPILOG = """\
examples:
  vnetcard capture                                     a line per packet, at the interfaces of both sides
  vnetcard capture -w - | wireshark -k -i -            live
  vnetcard capture -w lost.pcapng --tap port --tap fifo-out 'tcp port 22'
  vnetcard capture -w ring.pcapng --file-size 100M --ring-files 5

exit status: 0 done, 1 the agents ended meanwhile, 2 bad input or no agent
"""
RING: Final = 16 << 20
HOLD_NS: Final = 1_000_000
"""Packets younger than this at a poll wait for the next one: an older packet of another pump may still come."""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``capture`` to the commands."""
    parser = add_command(
        subparsers,
        "capture",
        help="packets at the interfaces and FIFOs, for Wireshark or as lines",
        description="Capture packets where they enter and leave the link, with drops and their reasons.",
        epilog=EPILOG,
        run=run,
    )
    add_capture_options(parser)
    parser.add_argument("--side", choices=L.SIDES, help="only this side's agent (default: all on this machine)")
    parser.add_argument("-w", dest="out", metavar="FILE", help="write pcapng; -: to standard output")
    parser.add_argument("--tap", action="append", choices=POINTS, help="tap point; may be repeated (default: port)")
    parser.add_argument(
        "--snaplen", type=positive, default=L.FRAME_MAX, metavar="BYTES", help="keep at most this much of each packet"
    )
    parser.add_argument(
        "--segment", action="store_true", help="cut GSO packets into wire packets, with complete checksums"
    )
    parser.add_argument("--file-size", metavar="SIZE", help="start a new file at this size, such as 100M")
    parser.add_argument("--ring-files", type=positive, metavar="N", help="keep the last N files; needs --file-size")


def run(args: argparse.Namespace) -> int:
    """Capture until the count, the time, Ctrl-C, or the end of the agents."""
    if args.ring_files and not args.file_size:
        raise ConfigError("--ring-files needs --file-size")
    if args.file_size and args.out in (None, "-"):
        raise ConfigError("--file-size needs -w FILE")
    most_bytes = parse_size(args.file_size) if args.file_size else 0
    points = tuple(dict.fromkeys(args.tap or ["port"]))
    ethernet = moves_ethernet(args.window)
    chosen = compile_filter(args.filter, ethernet=ethernet)
    sides = (L.HOST, L.CARD) if args.side is None else (L.SIDES.index(args.side),)
    with contextlib.ExitStack() as stack:
        sources = stack.enter_context(Sources(args.window, tap_request(points, args.snaplen), sides))
        warn_unresponsive(sources)
        engine = stack.enter_context(contextlib.closing(EngineTap(args.window))) if "engine" in points else None
        words = chosen.text if chosen else ""
        sink = None
        if args.out:
            sink = open_sink(args.out, args.snaplen, words, most_bytes, args.ring_files or 0, ethernet=ethernet)
        capture = Capture(sources, points, sink, chosen, segment=args.segment, most=args.count, engine=engine)
        try:
            capture.run(args.seconds)
        except BrokenPipeError:
            sys.stderr.close()  # the reader, such as Wireshark, has closed the pipe
            return 0
        print(f"vnetcard: {capture.taken} packets, {capture.missed(*sides)} missed", file=sys.stderr)
        return 0 if sources.live else 1


def tap_request(points: tuple[str, ...], snap: int) -> TapRequest:
    """The events that the pumps must write for tap points."""
    mask = T.mask(tuple(stage for point in points for stage in POINTS[point] if stage in T.STAGES))
    return TapRequest(mask, mask, min(snap, L.FRAME_MAX), 1, RING)


class Capture:
    """One run of the command."""

    def __init__(
        self,
        sources: Sources,
        points: tuple[str, ...],
        sink: StreamSink | FileSink | None,
        chosen: Filter | None,
        *,
        segment: bool,
        most: int | None,
        engine: EngineTap | None = None,
    ) -> None:
        self._engine = engine
        self._sources = sources
        self._points = points
        self._sink = sink
        self._chosen = chosen
        self._segment = segment
        self._most = most
        self._clock = realtime_offset()
        self._wanted = sources.sides
        self._held: list[Event] = []
        self._reported = dict.fromkeys((L.HOST, L.CARD), 0)
        self.taken = 0

    def run(self, limit: float | None) -> None:
        """Run until the end; all captured packets are in the sink then."""
        if self._sink:
            for side in self._sources.sides:
                for point in self._points:
                    self._sink.declare(side, point)
            self._sink.flush()
        for events in poll_events(self._sources, limit):
            self._held += events
            if self._engine:
                self._held += [event for event in self._engine.drain() if event.side in self._wanted]
            if not self._emit_before(self._sources.polled_at - HOLD_NS):
                break
        else:
            self._emit_before(1 << 64)
        if self._sink:
            for side, reported in self._reported.items():
                self._sink.miss(side, self.missed(side) - reported)
            self._sink.close()

    def missed(self, *sides: int) -> int:
        """Packets of ``sides`` that were lost because they were not read fast enough."""
        return sum(self._sources.missed_of(side) + (self._engine.missed[side] if self._engine else 0) for side in sides)

    def _emit_before(self, before: int) -> bool:
        """Emit the packets older than ``before``, in order; False once there were as many as requested."""
        self._held.sort(key=lambda event: event.time)
        ripe = [event for event in self._held if event.time < before]
        self._held = self._held[len(ripe) :]
        for event in ripe:
            if self._chosen and not self._chosen(event.data, event.length):
                continue
            for packet in packets_at(event, self._points, segment=self._segment, clock=self._clock):
                self._emit(packet)
                if self._most and self.taken >= self._most:
                    return False
        if ripe and self._sink:
            self._sink.flush()
        return True

    def _emit(self, packet: TapPacket) -> None:
        self.taken += 1
        if self._sink:
            missed = self.missed(packet.side)
            self._sink.write(packet, missed - self._reported[packet.side])
            self._reported[packet.side] = missed
            return
        stamp = time.strftime("%H:%M:%S", time.localtime(packet.time // 10**9)) + f".{packet.time % 10**9 // 1000:06}"
        direction = "out" if packet.direction == 2 else "in"
        notes = "; ".join(packet.comments[1:])
        place = f"{L.SIDES[packet.side]} {packet.point}"
        line = f"{stamp} {place:14} {direction:3} {packet.length:5} bytes  "
        line += describe_packet(packet.data, ethernet=packet.ethernet)
        print(f"{line}  ({notes})" if notes else line, flush=True)
