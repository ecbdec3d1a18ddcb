"""The events of an agent on another computer: ``vnetcard trace --export`` there, run by a command such as ``ssh card``.

The request is a line of JSON on its standard input, so that no shell has to quote it; the end of that input ends the
export.  The answer is a greeting and then a line per event.  Packets of the ssh connection itself are left out: each
line about one of them would cause the next.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from vnetcard.agent.control import ask_all_agents
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.port.bpf import compile_filter
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.dissect import Flow, flow_of
from vnetcard.ring.tap_shm import Event, Record, TapRequest
from vnetcard.tap.source import Sources, moves_ethernet, poll_events, transport_of
from vnetcard.terminal.escape import printable
from vnetcard.terminal.ready import readable

CLOSE_LIMIT: Final = 2.0
"""Seconds that the command has to end by itself, and then after SIGTERM."""
MOST: Final = 1 << 20
"""Records that may wait for the end of their batch: one whose end was missed waits indefinitely."""
LINE_MAX: Final = 1 << 20
"""Bytes of a line: more than the largest packet in hexadecimal digits."""
PacketFilter = Callable[[bytes, int], bool]
"""Called with the first bytes of a packet and its length, returns whether it is wanted; as ``bpf.Filter``."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which events to export: of the agent of ``side`` at ``window`` (None: the only one), filtered by ``words``."""

    side: int
    sample: int
    window: str | None = None
    words: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, line: bytes) -> ExportRequest:
        """Decode a line; raises ConfigError when it is no request."""
        try:
            request = cls(**json.loads(line))
            L.SIDES[request.side]
        except (ValueError, TypeError, LookupError) as error:
            raise ConfigError("--export is for trace --peer, which sends its request on standard input") from error
        return request


# --- there -------------------------------------------------------------------------------------------


def export(tap_request: Callable[[int], TapRequest]) -> int:
    """Print the events that the line on standard input requests, as they come, until that input ends."""
    request = ExportRequest.of(sys.stdin.buffer.readline())
    own = own_flow(os.environ)
    url = request.window or _only_window(request.side)
    ethernet = moves_ethernet(url)
    record_filter = RecordFilter(excluding(own, compile_filter(request.words, ethernet=ethernet), ethernet=ethernet))
    with Sources(url, tap_request(request.sample), (request.side,)) as sources:
        greeting = {"side": request.side, "clock": sources.live[0].clock, "transport": transport_of(url)}
        print(json.dumps(greeting | {"own": sorted(own) if own else None}), flush=True)
        missed = 0
        for events in poll_events(sources, None):
            lines = [encode(event) for event in record_filter.select(events)]
            if sources.missed != missed:
                missed = sources.missed
                lines.append(json.dumps({"missed": missed}))
            if lines:
                print("\n".join(lines), flush=True)
            if readable([sys.stdin], 0):  # no more input is ever sent: this is its end
                return 0
    return 0


def _only_window(side: int) -> str:
    urls = [view["window"]["url"] for view in ask_all_agents("status") if view["side"] == L.SIDES[side]]
    if len(urls) != 1:
        there = ", ".join(urls) or "none"
        raise ConfigError(
            f"cannot choose a {L.SIDES[side]}'s agent (found: {there}): name its window with --peer-window",
            code=ErrorCode.AMBIGUOUS_DEVICE,
        )
    found: str = urls[0]
    return found


def excluding(own: Flow | None, chosen: PacketFilter | None, *, ethernet: bool = False) -> PacketFilter:
    """The filter ``chosen`` (None: everything) without the packets of the connection ``own``."""

    def wanted(data: bytes, length: int) -> bool:
        return (own is None or flow_of(data, ethernet=ethernet) != own) and (chosen is None or chosen(data, length))

    return wanted


def own_flow(environment: Mapping[str, str]) -> Flow | None:
    """The TCP connection of the ssh session that runs this process; None outside of ssh."""
    words = environment.get("SSH_CONNECTION", "").split()
    try:
        ends = [(str(ipaddress.ip_address(words[n].partition("%")[0])), int(words[n + 1])) for n in (0, 2)]
    except (ValueError, IndexError):
        return None
    return frozenset(ends)


class RecordFilter:
    """Selects the events of chosen packets: the decision on a record's first event holds for its other events."""

    def __init__(self, chosen: PacketFilter) -> None:
        self._chosen = chosen
        self._wanted: set[Record] = set()

    def select(self, events: Iterable[Event]) -> Iterator[Event]:
        """The wanted ones of ``events``, which must be in order for each pump."""
        for event in events:
            if event.stage in ("READ", "PEEK"):
                if not self._chosen(event.data, event.length):
                    continue
                if not event.flags & T.FLAGS["NOSEQ"]:
                    self._wanted = self._wanted if len(self._wanted) < MOST else set()
                    self._wanted.add(event.record)
            elif event.stage in T.PACKET_STAGES:
                if event.record not in self._wanted:
                    continue
            elif not self._forget(event):
                continue
            yield event

    def _forget(self, event: Event) -> bool:
        """Forget the records of a finished batch; returns whether one of them was wanted."""
        found = event.covered(self._wanted)
        self._wanted.difference_update(found)
        return bool(found)


# --- lines -------------------------------------------------------------------------------------------


def encode(event: Event) -> str:
    """Encode an event as a line."""
    values: list[Any] = [getattr(event, name) for name in Event.__slots__]
    return json.dumps([value.hex() if isinstance(value, bytes) else value for value in values])


def decode(line: str) -> Event:
    """Decode a line of ``encode``; raises ValueError for anything else."""
    try:
        values = dict(zip(Event.__slots__, json.loads(line), strict=True))
        event = Event(
            **values
            | {
                "epochs": tuple(values["epochs"]),
                "vnet": bytes.fromhex(values["vnet"]),
                "data": bytes.fromhex(values["data"]),
            }
        )
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"invalid event: {line[:60]!r}") from error
    if event.problem:
        raise ValueError(f"impossible event: {event.problem}")
    return event


def parse(line: bytes) -> Event | int:
    """Decode a line of the export: an event, or how many were missed so far; raises ValueError for anything else."""
    if not line.startswith(b"{"):
        return decode(line.decode())
    try:
        missed = json.loads(line)["missed"]
    except (KeyError, RecursionError) as error:
        raise ValueError(f"invalid line: {line[:60]!r}") from error
    if type(missed) is not int or missed < 0:
        raise ValueError(f"{missed!r} missed events")
    return int(missed)


# --- here --------------------------------------------------------------------------------------------


class RemoteSource:
    """The events that ``vnetcard trace --export`` prints on the peer's computer, run there by ``command``."""

    def __init__(self, command: str, request: ExportRequest) -> None:
        """Raises ConfigError when the command cannot be run, or does not answer."""
        self.missed = 0
        try:
            words = [*shlex.split(command), "vnetcard", "trace", "--export"]
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except (OSError, ValueError) as error:
            raise ConfigError(f"--peer {command!r} cannot be run: {error}", code=ErrorCode.REMOTE_FAILED) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._rest = b""
        try:
            with contextlib.suppress(BrokenPipeError):  # then no answer comes either, and that is reported
                self._in.write(json.dumps(asdict(request)).encode() + b"\n")
                self._in.flush()
            greeting = json.loads(self._out.readline())
            self.side = L.SIDES.index(L.SIDES[greeting["side"]])
            self.clock = str(greeting["clock"])
            self.transport = printable(str(greeting["transport"]))
            self.own: Flow | None = (
                frozenset((host, port) for host, port in greeting["own"]) if greeting["own"] else None
            )
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            self.close()
            raise ConfigError(
                f"--peer {command!r}: vnetcard trace does not answer there (see its message above)",
                code=ErrorCode.REMOTE_FAILED,
            ) from error
        self.since = time.monotonic_ns()
        os.set_blocking(self._out.fileno(), False)

    def drain(self) -> Iterator[Event]:
        """As ``Source.drain``; raises ConfigError for a line that is none of an export."""
        try:
            yield from self._drain()
        except ValueError as error:
            raise ConfigError(
                f"--peer: vnetcard trace there sends what cannot be read: {error}", code=ErrorCode.REMOTE_FAILED
            ) from error

    def _drain(self) -> Iterator[Event]:
        while piece := self._out.read(1 << 16):
            *lines, self._rest = (self._rest + piece).split(b"\n")
            if len(self._rest) > LINE_MAX:
                raise ValueError(f"a line of more than {LINE_MAX} bytes")
            for line in lines:
                said = parse(line)
                if isinstance(said, int):
                    self.missed = said
                else:
                    yield said

    @property
    def ended(self) -> bool:
        """As ``Source.ended``."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End the command: first by the end of its input, which reaches the other computer as a signal does not."""
        with contextlib.suppress(BrokenPipeError):
            self._in.close()
        try:
            self._process.wait(CLOSE_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.terminate()
        try:
            self._process.wait(CLOSE_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()
