"""``vnetcard trace``: single packets on their way, with a time stamp at each stage."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any, Final

from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.dissect import describe_offload, describe_packet
from vnetcard.ring.tap_shm import TapRequest
from vnetcard.tap.arguments import add_looking, name_silent
from vnetcard.tap.bpf import compile_filter
from vnetcard.tap.engine_log import EngineLog, Reached
from vnetcard.tap.packet_trace import PacketTrace, Tracer
from vnetcard.tap.remote import Question, RemoteSource, besides, export
from vnetcard.tap.source import Sources, carrier_of, looks
from vnetcard.tap.summary import Summary
from vnetcard.terminal.arguments import Subparsers, add_command, positive

EPILOG = """\
examples:
  vnetcard trace --count 5                         the next five packets, in either direction
  vnetcard trace 'icmp and host 10.10.10.5'        pings, until Ctrl-C; the filter is tcpdump's
  vnetcard trace --summary --seconds 5 --sample 16 where the time goes: one record in 16
  vnetcard trace --peer 'ssh root@10.10.10.5' --count 5    the other side is another computer

With --peer the same vnetcard runs there; the packets of that ssh connection are left out.

exit status: 0 done, 1 the agents ended meanwhile, 2 bad input or no agent
"""
SNAP: Final = 128
"""Bytes of a packet: the headers."""
RING: Final = 4 << 20
PEER_LATE_NS: Final = 500_000_000
"""So much later than this side's the events of another computer may come."""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``trace`` to the commands."""
    parser = add_command(
        subparsers,
        "trace",
        help="packets on their way through both sides, with microseconds between the stages",
        description="Follow single packets through every stage of both sides; or sum up what the stages take.",
        epilog=EPILOG,
        run=run,
    )
    add_looking(parser)
    parser.add_argument("--sample", type=positive, default=1, metavar="N", help="one record in N (default: all)")
    parser.add_argument("--summary", action="store_true", help="only what the stages take, and the bottleneck")
    parser.add_argument("--json", action="store_true", help="print JSON, an object a packet")
    parser.add_argument(
        "--peer", metavar="COMMAND", help="runs its arguments on the other computer, such as 'ssh card'"
    )
    parser.add_argument("--peer-window", metavar="URL", help="there (default: the one that there is)")
    parser.add_argument("--export", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Look until the count, the time, Ctrl-C, or the end of an agent."""
    if args.export:
        return export(wish_for)
    if args.peer_window and not args.peer:
        raise ConfigError("--peer-window needs --peer: which computer?")
    chosen = compile_filter(args.filter)
    with contextlib.ExitStack() as stack:
        # The engine's log comes first: it has to cover the first packet.
        engine = None if args.peer else EngineLog.of(args.window)
        if engine:
            stack.callback(engine.close)
        sources = stack.enter_context(Sources(args.window, wish_for(args.sample)))
        name_silent(sources)
        peer = join_peer(sources, args) if args.peer else None
        tracer = Tracer(
            chosen=besides(peer.own, chosen) if peer else chosen,
            shared_clock=True,
            engine=engine is not None,
            patience_ns=PEER_LATE_NS if peer else 0,
        )
        carrier = "" if engine else carrier_of(args.window) or (peer.carrier if peer else "")
        return Trace(args, sources, tracer, engine, carrier).run()


def wish_for(sample: int) -> TapRequest:
    """Every stage of one record in ``sample``."""
    return TapRequest(T.mask(tuple(T.STAGES)), T.mask(("READ", "PEEK")), SNAP, sample, RING)


def join_peer(sources: Sources, args: argparse.Namespace) -> RemoteSource:
    """Take in the other computer's events."""
    if len(sources.live) == 2:
        raise ConfigError("--peer: both sides' agents are on this computer already")
    remote = RemoteSource(args.peer, Question(1 - sources.sides[0], args.sample, args.peer_window, args.filter))
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
        carrier: str = "",
    ) -> None:
        self._args = args
        self._sources = sources
        self._tracer = tracer
        self._engine = engine
        self._carrier = carrier
        self._left = args.count
        self._summaries = {direction: Summary(direction, carrier) for direction in L.DIRECTIONS}
        self._show: Callable[[PacketTrace], None] = self._add if args.summary else self._print

    def run(self) -> int:
        """Until the end; 1 when an agent ended."""
        done: list[Reached] = []
        for events in looks(self._sources, self._args.seconds):
            self._tracer.clocks.shared &= self._sources.one_clock
            self._tracer.feed(events, done)
            done = self._engine.drain() if self._engine else []
            if not self._take(everything=False):
                break
        else:
            self._take(everything=True)
        self._conclude()
        if not self._sources.live:
            print("vnetcard: every agent that was looked at has ended", file=sys.stderr)
            return 1
        return 0

    def _take(self, *, everything: bool) -> bool:
        """Show what is complete; False once there were as many as asked for."""
        for path in self._tracer.finished(everything=everything):
            if path.aligned(self._tracer.clocks)[0][1] < self._sources.since():
                continue
            self._show(path)
            if self._left is not None:
                self._left -= 1
                if self._left <= 0:
                    return False
        return True

    def _add(self, path: PacketTrace) -> None:
        self._summaries[path.direction].add(path, self._tracer.clocks)

    def _print(self, path: PacketTrace) -> None:
        print(json.dumps(self._as_json(path)) if self._args.json else self._text(path), flush=True)

    # --- one packet ----------------------------------------------------------------------------------

    def _as_json(self, path: PacketTrace) -> dict[str, Any]:
        clocks = self._tracer.clocks
        parts = path.parts(clocks)
        return {
            "direction": path.direction,
            "queue": path.queue,
            "seq": path.seq,
            "epochs": dict(zip(L.SIDES, path.epochs, strict=True)),
            "bytes": path.length,
            "packet": describe_packet(path.data),
            "offload": describe_offload(path.vnet),
            "drop": path.drop or None,
            "delivered": "tun write" in path.steps and not path.drop,
            "time_ns": parts[0][0][1],
            "clocks_known": clocks.known,
            "steps": [
                {"side": path.place(step), "step": step, "us": round((at - part[0][1]) / 1000, 3)}
                for part in parts
                for step, at in part
            ],
        }

    def _text(self, path: PacketTrace) -> str:
        parts = path.parts(self._tracer.clocks)
        host, card = path.epochs
        more = f" ({words})" if (words := describe_offload(path.vnet)) else ""
        number = f"#{path.seq}" if path.seq is not None else "(no record)"
        number += f" of queue {path.queue}" if path.queue else ""
        lines = [f"{path.direction} {number}  {path.length} bytes{more}  {describe_packet(path.data)}"]
        lines[0] += f"   epochs {host:08x} {card:08x}"
        for part in parts:
            before = part[0][1]
            for n, (step, at) in enumerate(part):
                since = "?" if part is not parts[0] and n == 0 else f"{(at - before) / 1000:+.1f}"
                line = f"  {since:>10} us  {path.place(step):6}  {step:14} {self._note(path, step)}"
                lines.append(line.rstrip())
                before = at
        whole = f"{(parts[0][-1][1] - parts[0][0][1]) / 1000:.1f}" if len(parts) == 1 else "?"
        lines.append(f"  {whole:>10} us  {self._verdict(path, parts[-1][-1][0])}")
        return "\n".join(lines) + "\n"

    def _note(self, path: PacketTrace, step: str) -> str:
        if step == "reserve" and path.waited_us:
            return f"the ring was full for {path.waited_us} us"
        if step == "wake-up":
            return f"it had slept for {path.slept_us / 1000:.1f} ms"
        return path.notes.get(step, "")

    def _verdict(self, path: PacketTrace, last: str) -> str:
        if path.drop:
            return f"DROPPED: {path.drop}"
        if path.finished:
            return "delivered"
        missing = {L.HOST, L.CARD} - set(self._sources.sides)
        if silent := missing & set(self._sources.unresponsive):
            return f"as far as is seen: {self._sources.unresponsive[silent.pop()]}"
        if missing:
            return f"as far as this side sees; the {L.SIDES[missing.pop()]}'s agent is elsewhere: --peer 'ssh ...'"
        return f"NOT SEEN AGAIN after {last}"

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
                "carrier_without_events": self._carrier or None,
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
        if self._carrier:
            print(f"note: {self._carrier} writes no events: its time is part of wake-up, or of in the ring")
        print(f"missed: {missed} events" + (": take --sample, or a filter" if missed else ""))
