"""``vnetcard trace``: single packets through both sides, with a time stamp at each stage."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any, Final

from vnetcard.errors import ConfigError
from vnetcard.port.bpf import compile_filter
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.dissect import describe_offload, describe_packet
from vnetcard.ring.tap_shm import TapRequest
from vnetcard.tap.arguments import add_capture_options, warn_unresponsive
from vnetcard.tap.engine_log import EngineLog, Reached
from vnetcard.tap.packet_trace import PacketTrace, Tracer
from vnetcard.tap.remote import ExportRequest, RemoteSource, excluding, export
from vnetcard.tap.source import Sources, moves_ethernet, poll_events, transport_of
from vnetcard.tap.summary import Summary
from vnetcard.terminal.arguments import Subparsers, add_command, positive

EPILOG = """\
examples:
  vnetcard trace --count 5                         the next five packets, in either direction
  vnetcard trace 'icmp and host 10.10.10.5'        pings, until Ctrl-C; the filter is tcpdump's
  vnetcard trace --summary --seconds 5 --sample 16 where the time goes: one record in 16
  vnetcard trace --peer 'ssh root@10.10.10.5' --count 5    the other side is another computer

With --peer the same version of vnetcard runs there; the packets of that ssh connection are left out.

exit status: 0 done, 1 the agents ended meanwhile, 2 bad input or no agent
"""
SNAP: Final = 128
"""Bytes kept of each packet: enough for the headers."""
RING: Final = 4 << 20
PEER_LATE_NS: Final = 500_000_000
"""How much later than this side's the events of another computer may come."""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``trace`` to the commands."""
    parser = add_command(
        subparsers,
        "trace",
        help="packets through both sides, with microseconds between the stages",
        description="Trace single packets through every stage of both sides, or summarize the stages.",
        epilog=EPILOG,
        run=run,
    )
    add_capture_options(parser)
    parser.add_argument("--sample", type=positive, default=1, metavar="N", help="one record in N (default: all)")
    parser.add_argument("--summary", action="store_true", help="only statistics of the stages, and the bottleneck")
    parser.add_argument("--json", action="store_true", help="print JSON, an object per packet")
    parser.add_argument(
        "--peer", metavar="COMMAND", help="a command that runs its arguments on the other computer, such as 'ssh card'"
    )
    parser.add_argument("--peer-window", metavar="URL", help="the window there (default: the only one)")
    parser.add_argument("--export", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Trace until the count, the time, Ctrl-C, or the end of an agent."""
    if args.export:
        return export(tap_request)
    if args.peer_window and not args.peer:
        raise ConfigError("--peer-window needs --peer")
    ethernet = moves_ethernet(args.window)
    chosen = compile_filter(args.filter, ethernet=ethernet)
    with contextlib.ExitStack() as stack:
        # The engine's log is opened first: it has to cover the first packet.
        engine = None if args.peer else EngineLog.of(args.window)
        if engine:
            stack.callback(engine.close)
        sources = stack.enter_context(Sources(args.window, tap_request(args.sample)))
        warn_unresponsive(sources)
        peer = join_peer(sources, args) if args.peer else None
        tracer = Tracer(
            chosen=excluding(peer.own, chosen, ethernet=ethernet) if peer else chosen,
            shared_clock=True,
            engine=engine is not None,
            late_ns=PEER_LATE_NS if peer else 0,
        )
        transport = "" if engine else transport_of(args.window) or (peer.transport if peer else "")
        return Trace(args, sources, tracer, engine, transport).run()


def tap_request(sample: int) -> TapRequest:
    """The events of every stage, of one record in ``sample``."""
    return TapRequest(T.mask(tuple(T.STAGES)), T.mask(("READ", "PEEK")), SNAP, sample, RING)


def join_peer(sources: Sources, args: argparse.Namespace) -> RemoteSource:
    """Add the events of the agent on the other computer."""
    if len(sources.live) == 2:
        raise ConfigError("--peer: the agents of both sides are on this computer")
    remote = RemoteSource(args.peer, ExportRequest(1 - sources.sides[0], args.sample, args.peer_window, args.filter))
    sources.add(remote)
    return remote


class Trace:
    """One run of the command."""

    def __init__(
        self,
        args: argparse.Namespace,
        sources: Sources,
        tracer: Tracer,
        engine: EngineLog | None = None,
        transport: str = "",
    ) -> None:
        self._args = args
        self._sources = sources
        self._tracer = tracer
        self._engine = engine
        self._transport = transport
        self._left = args.count
        self._summaries = {direction: Summary(direction, transport) for direction in L.DIRECTIONS}
        self._show: Callable[[PacketTrace], None] = self._add if args.summary else self._print

    def run(self) -> int:
        """Run until the end; 1 when all agents have ended."""
        done: list[Reached] = []
        for events in poll_events(self._sources, self._args.seconds):
            self._tracer.clocks.shared &= self._sources.one_clock
            self._tracer.feed(events, done)
            done = self._engine.drain() if self._engine else []
            if not self._take(everything=False):
                break
        else:
            self._take(everything=True)
        self._conclude()
        if not self._sources.live:
            print("vnetcard: all traced agents have ended", file=sys.stderr)
            return 1
        return 0

    def _take(self, *, everything: bool) -> bool:
        """Show the complete traces; False once there were as many as requested."""
        for trace in self._tracer.finished(everything=everything):
            if trace.aligned(self._tracer.clocks)[0][1] < self._sources.since():
                continue
            self._show(trace)
            if self._left is not None:
                self._left -= 1
                if self._left <= 0:
                    return False
        return True

    def _add(self, trace: PacketTrace) -> None:
        self._summaries[trace.direction].add(trace, self._tracer.clocks)

    def _print(self, trace: PacketTrace) -> None:
        print(json.dumps(self._as_json(trace)) if self._args.json else self._text(trace), flush=True)

    # --- one packet ----------------------------------------------------------------------------------

    def _as_json(self, trace: PacketTrace) -> dict[str, Any]:
        clocks = self._tracer.clocks
        parts = trace.parts(clocks)
        return {
            "direction": trace.direction,
            "queue": trace.queue,
            "seq": trace.seq,
            "epochs": dict(zip(L.SIDES, trace.epochs, strict=True)),
            "bytes": trace.length,
            "packet": describe_packet(trace.data, ethernet=trace.ethernet),
            "offload": describe_offload(trace.vnet),
            "drop": trace.drop or None,
            "delivered": "port write" in trace.steps and not trace.drop,
            "time_ns": parts[0][0][1],
            "clocks_known": clocks.known,
            "steps": [
                {"side": trace.place(step), "step": step, "us": round((at - part[0][1]) / 1000, 3)}
                for part in parts
                for step, at in part
            ],
        }

    def _text(self, trace: PacketTrace) -> str:
        parts = trace.parts(self._tracer.clocks)
        host, card = trace.epochs
        more = f" ({words})" if (words := describe_offload(trace.vnet)) else ""
        number = f"#{trace.seq}" if trace.seq is not None else "(no record)"
        number += f" of queue {trace.queue}" if trace.queue else ""
        lines = [f"{trace.direction} {number}  {trace.length} bytes{more}  "]
        lines[0] += describe_packet(trace.data, ethernet=trace.ethernet)
        lines[0] += f"   epochs {host:08x} {card:08x}"
        for part in parts:
            before = part[0][1]
            for n, (step, at) in enumerate(part):
                since = "?" if part is not parts[0] and n == 0 else f"{(at - before) / 1000:+.1f}"
                line = f"  {since:>10} us  {trace.place(step):6}  {step:14} {self._note(trace, step)}"
                lines.append(line.rstrip())
                before = at
        whole = f"{(parts[0][-1][1] - parts[0][0][1]) / 1000:.1f}" if len(parts) == 1 else "?"
        lines.append(f"  {whole:>10} us  {self._verdict(trace, parts[-1][-1][0])}")
        return "\n".join(lines) + "\n"

    def _note(self, trace: PacketTrace, step: str) -> str:
        if step == "reserve" and trace.waited_us:
            return f"the ring was full for {trace.waited_us} us"
        if step == "wake-up":
            return f"after a sleep of {trace.slept_us / 1000:.1f} ms"
        return trace.notes.get(step, "")

    def _verdict(self, trace: PacketTrace, last: str) -> str:
        if trace.drop:
            return f"DROPPED: {trace.drop}"
        if trace.finished:
            return "delivered"
        missing = {L.HOST, L.CARD} - set(self._sources.sides)
        if unresponsive := missing & set(self._sources.unresponsive):
            return f"seen so far: {self._sources.unresponsive[unresponsive.pop()]}"
        if missing:
            return f"seen by this side; the {L.SIDES[missing.pop()]}'s agent is on another computer: --peer 'ssh ...'"
        return f"NO EVENT AFTER {last}"

    # --- at the end ----------------------------------------------------------------------------------

    def _conclude(self) -> None:
        missed = self._sources.missed
        clocks = self._tracer.clocks
        measured = clocks.measured(clocks.latest)
        if self._args.json:
            end: dict[str, Any] = {
                "missed": missed,
                "clock_offset_us": None if measured.bound is None else measured.value / 1000,
                "clock_bound_us": None if measured.bound is None else measured.bound / 1000,
                "one_clock": clocks.shared,
                "transport_without_events": self._transport or None,
            }
            if self._args.summary:
                end["directions"] = [summary.as_json() for summary in self._summaries.values()]
                print(json.dumps(end, indent=2))
            else:
                print(json.dumps(end), flush=True)
            return
        if self._args.summary:
            print("\n".join(summary.text() for summary in self._summaries.values() if summary.packets) or "no packets")
        if measured.bound is not None or len(self._sources.live) == 2:
            print(f"clocks: {clocks.describe()}")
        if self._transport:
            print(f"note: {self._transport} writes no events: its time is part of wake-up, or of in the ring")
        print(f"missed: {missed} events" + (": use --sample, or a filter" if missed else ""))
