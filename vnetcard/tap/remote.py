"""The events of an agent on another computer: ``vnetcard trace --export`` there, run by a command such as ``ssh card``.

What is wanted goes there as a line of JSON on its standard input, so no shell on the way has to understand it; the
end of that input ends the export.  Back come a greeting and then a line an event.  The packets of the ssh connection
itself are nobody's: each line about one of them would make the next.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from vnetcard.agent.control import ask_everybody
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.dissect import Flow, flow_of
from vnetcard.ring.tap_shm import Event, TapRequest
from vnetcard.tap.bpf import compile_filter
from vnetcard.tap.source import Sources, carrier_of, looks

CLOSE_LIMIT: Final = 2.0
"""Seconds for the command to end by itself, and then by a signal."""
MOST: Final = 1 << 20
"""Records that may wait for the end of their batch: one whose end was missed waits for ever."""
Chosen = Callable[[bytes, int], bool]
"""Is a packet wanted?  Its first bytes, and how long it is; as ``bpf.Filter``."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is wanted: of ``side``, whose ``window`` is the only one there if it is not named; ``words`` of a filter."""

    side: int
    sample: int
    window: str | None = None
    words: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, line: bytes) -> Question:
        """From a line; ConfigError when it is none of ours."""
        try:
            question = cls(**json.loads(line))
            L.SIDES[question.side]
        except (ValueError, TypeError, LookupError) as error:
            raise ConfigError("--export is for trace --peer, which says on standard input what it wants") from error
        return question


# --- there -------------------------------------------------------------------------------------------


def export(wish: Callable[[int], TapRequest]) -> int:
    """Print the events that the line on standard input asks for, as they come, until that input ends."""
    question = Question.of(sys.stdin.buffer.readline())
    own = own_flow(os.environ)
    sieve = RecordFilter(besides(own, compile_filter(question.words)))
    url = question.window or _only_window(question.side)
    with Sources(url, wish(question.sample), (question.side,)) as sources:
        hello = {"side": question.side, "clock": sources.live[0].clock, "carrier": carrier_of(url)}
        print(json.dumps(hello | {"own": sorted(own) if own else None}), flush=True)
        missed = 0
        for events in looks(sources, None):
            lines = [encode(event) for event in sieve.let_through(events)]
            if sources.missed != missed:
                missed = sources.missed
                lines.append(json.dumps({"missed": missed}))
            if lines:
                print("\n".join(lines), flush=True)
            if select.select([sys.stdin], [], [], 0)[0]:  # nothing more is ever sent: it has ended
                return 0
    return 0


def _only_window(side: int) -> str:
    urls = [view["window"]["url"] for view in ask_everybody("status") if view["side"] == L.SIDES[side]]
    if len(urls) != 1:
        there = ", ".join(urls) or "none"
        raise ConfigError(f"which {L.SIDES[side]}'s agent is meant? there is {there}: name its window by --peer-window")
    found: str = urls[0]
    return found


def besides(own: Flow | None, chosen: Chosen | None) -> Chosen:
    """What ``chosen`` wants (None: everything), but for the packets of the connection ``own``."""

    def wanted(data: bytes, length: int) -> bool:
        return (own is None or flow_of(data) != own) and (chosen is None or chosen(data, length))

    return wanted


def own_flow(environment: Mapping[str, str]) -> Flow | None:
    """The TCP connection by which ssh has brought us here."""
    words = environment.get("SSH_CONNECTION", "").split()
    try:
        ends = [(str(ipaddress.ip_address(words[n].partition("%")[0])), int(words[n + 1])) for n in (0, 2)]
    except (ValueError, IndexError):
        return None
    return frozenset(ends)


class RecordFilter:
    """Lets through the events of chosen packets: what a pump's first event of a record says holds for the others."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._wanted: set[object] = set()

    def let_through(self, events: Iterable[Event]) -> Iterator[Event]:
        """Those of ``events``, each pump's in their order."""
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
        """A batch is through, with all its records; was one of them wanted?"""
        batch = set(event.batch())
        found = self._wanted & batch
        self._wanted -= batch
        return bool(found)


# --- lines -------------------------------------------------------------------------------------------


def encode(event: Event) -> str:
    """An event as a line."""
    values: list[Any] = [getattr(event, name) for name in Event.__slots__]
    return json.dumps([value.hex() if isinstance(value, bytes) else value for value in values])


def decode(line: str) -> Event:
    """The event in a line; ValueError when it is none."""
    try:
        values = dict(zip(Event.__slots__, json.loads(line), strict=True))
        return Event(
            **values
            | {
                "epochs": tuple(values["epochs"]),
                "vnet": bytes.fromhex(values["vnet"]),
                "data": bytes.fromhex(values["data"]),
            }
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"no event: {line[:60]!r}") from error


# --- here --------------------------------------------------------------------------------------------


class RemoteSource:
    """What ``vnetcard trace --export`` prints on the peer's computer, run there by ``command``."""

    def __init__(self, command: str, question: Question) -> None:
        """ConfigError when it does not begin."""
        self.missed = 0
        try:
            words = [*shlex.split(command), "vnetcard", "trace", "--export"]
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except (OSError, ValueError) as error:
            raise ConfigError(f"--peer {command!r} cannot be run: {error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._rest = b""
        try:
            with contextlib.suppress(BrokenPipeError):  # then nothing comes either
                self._in.write(json.dumps(asdict(question)).encode() + b"\n")
                self._in.flush()
            hello = json.loads(self._out.readline())
            self.side = int(hello["side"])
            self.clock = str(hello["clock"])
            self.carrier = str(hello["carrier"])
            self.own: Flow | None = frozenset((host, port) for host, port in hello["own"]) if hello["own"] else None
        except (ValueError, KeyError, TypeError) as error:
            self.close()
            raise ConfigError(f"--peer {command!r}: no vnetcard trace answers there (see its message above)") from error
        self.since = time.monotonic_ns()
        os.set_blocking(self._out.fileno(), False)

    def drain(self) -> Iterator[Event]:
        """As ``Source.drain``."""
        while piece := self._out.read(1 << 16):
            *lines, self._rest = (self._rest + piece).split(b"\n")
            for line in lines:
                if line.startswith(b"{"):
                    self.missed = int(json.loads(line)["missed"])
                else:
                    yield decode(line.decode())

    @property
    def ended(self) -> bool:
        """As ``Source.ended``."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End the command: first by the end of its input, which goes further than a signal does."""
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
