"""Where events come from: the agents on this machine; that of another one comes from ``remote.py``."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from vnetcard.agent.control import ask_all, borrow, folder
from vnetcard.errors import ConfigError, PeerGone
from vnetcard.ring import layout as L
from vnetcard.ring.tap_shm import Event, Reader, TapRequest
from vnetcard.window import WindowUrl

OPEN_LIMIT: Final = 5.0
"""Seconds for an agent to begin."""
FIND_EVERY: Final = 0.2
"""Seconds between two looks for an agent that is not here, or was restarted."""
FIND_SILENT_EVERY: Final = 10.0
"""The same for one that is here and does not answer, which is noticed by waiting: others' events wait too."""
LOOK_EVERY: Final = 0.01
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Source(Protocol):
    """The events of one agent; ``since``: what happened before, by this machine's clock, was not seen.

    ``clock`` names the clock of its time stamps.
    """

    side: int
    since: int
    clock: str

    def drain(self) -> Iterator[Event]:
        """What has come since the last time."""

    @property
    def missed(self) -> int:
        """Events that were not written, because they were not read fast enough."""

    @property
    def ended(self) -> bool:
        """Has the agent ended?"""

    def close(self) -> None:
        """Look no more."""


class LocalSource:
    """A tap of an agent on this machine; PeerGone when there is none, ConfigError when it may not be asked."""

    def __init__(self, url: str, side: int, wish: TapRequest) -> None:
        self.side = side
        self.since = time.monotonic_ns()
        with contextlib.ExitStack() as stack:
            _, fd = stack.enter_context(borrow(url, side, wish.question()))
            self._reader = Reader(fd)
            stack.callback(self._reader.close)
            self._stack = stack.pop_all()
        self.clock = clock_of(self._reader.pid)
        self.drain = self._reader.drain

    def wait_open(self) -> None:
        """Return once the pumps write; PeerGone when they do not."""
        deadline = time.monotonic() + OPEN_LIMIT
        while self._reader.state != "OPEN":
            if time.monotonic() > deadline or self.ended:
                raise PeerGone(f"the {L.SIDES[self.side]}'s agent has no window to look at now: see vnetcard status")
            time.sleep(0.001)

    @property
    def missed(self) -> int:
        return self._reader.missed

    @property
    def ended(self) -> bool:
        return self._reader.state == "CLOSED" or not Path(f"/proc/{self._reader.pid}").exists()

    def close(self) -> None:
        """Give it back."""
        self._stack.close()


class Sources:
    """All that is looked at: the agents of a window that are here, again when they come back, and perhaps one more."""

    def __init__(self, window: str, wish: TapRequest, sides: Sequence[int] = (L.HOST, L.CARD)) -> None:
        """ConfigError when there is no agent, or none that can be looked at; ``silent``: why one is not, by side."""
        self._url = str(WindowUrl.parse(window))
        self._wish = wish
        self._sides = sides
        self._look_at = 0.0
        self.looked_at = 0
        self._missed = [0, 0]
        self.unresponsive: dict[int, str] = {}
        self.live: list[Source] = []
        refusal = self._find()
        if not self.live:
            raise ConfigError(
                refusal
                or f"no agent for {self._url} answers in {folder()}: "
                "start vnetcard-x86 or vnetcard-fpga, or name its --window"
            )
        try:
            for source in self.live:
                if isinstance(source, LocalSource):
                    source.wait_open()
            for source in self.live:
                source.since = time.monotonic_ns()
        except BaseException as error:
            self.close()
            if isinstance(error, PeerGone):
                raise ConfigError(str(error)) from error
            raise

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def sides(self) -> list[int]:
        """Whose events there are."""
        return [source.side for source in self.live]

    @property
    def one_clock(self) -> bool:
        """Do all of them look at one clock?"""
        return len({source.clock for source in self.live}) <= 1

    @property
    def missed(self) -> int:
        """Events that nobody will see."""
        return sum(self.missed_of(side) for side in (L.HOST, L.CARD))

    def missed_of(self, side: int) -> int:
        """Of one side."""
        return self._missed[side] + sum(source.missed for source in self.live if source.side == side)

    def since(self) -> int:
        """Of what began before, not every side has seen all."""
        return max((source.since for source in self.live), default=0)

    def add(self, source: Source) -> None:
        """One more."""
        self.live.append(source)

    def drain(self) -> list[Event]:
        """What has come since the last time; agents that have ended are let go, and those that are back taken in."""
        self.looked_at = time.monotonic_ns()  # whatever was done before is in the rings now
        found = [event for source in self.live for event in source.drain()]
        for source in [source for source in self.live if source.ended]:
            found += source.drain()
            self._missed[source.side] += source.missed
            self.live.remove(source)
            source.close()
        if self.live and time.monotonic() >= self._look_at:
            self._find()
        return found

    def _find(self) -> str:
        """Take in the agents that are here; why one does not want to, if so."""
        refusal = ""
        for side in self._sides:
            if side in self.sides:
                continue
            self.unresponsive.pop(side, None)
            try:
                self.live.append(LocalSource(self._url, side, self._wish))
            except PeerGone as error:
                if error.unresponsive:
                    self.unresponsive[side] = str(error)
                if error.unresponsive or "cannot answer" in str(error):
                    refusal = str(error)
        self._look_at = time.monotonic() + (FIND_SILENT_EVERY if self.unresponsive else FIND_EVERY)
        return refusal

    def close(self) -> None:
        """Look no more."""
        for source in self.live:
            source.close()
        self.live = []


def looks(sources: Sources, limit: float | None) -> Iterator[list[Event]]:
    """What has come, every ``LOOK_EVERY``, until the time, Ctrl-C or SIGTERM, or the end of all agents.

    The signals are heard between two looks, so that what was read is also shown.
    """
    told: list[int] = []
    before = {number: signal.signal(number, lambda number, _: told.append(number)) for number in STOP_SIGNALS}
    try:
        end = time.monotonic() + limit if limit else None
        while sources.live:
            yield sources.drain()
            if told or (end and time.monotonic() > end):
                return
            time.sleep(LOOK_EVERY)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def clock_of(pid: int) -> str:
    """Which CLOCK_MONOTONIC a process of this machine has: that of its boot, and of its time namespace."""
    boot = _BOOT_ID.read_text().strip()
    try:
        return f"{boot} {Path(f'/proc/{pid}/ns/time').stat().st_ino}"
    except OSError:  # none before Linux 5.6, or not ours to look at
        return boot


def carrier_of(url: str) -> str:
    """What carries between the two sides, as far as their agents here say; empty: they share the memory."""
    try:
        engines = [view["engine"] for view in ask_all(url, "status").said]
    except ConfigError:  # it has just ended
        engines = []
    return next((f"the {engine['engine'].partition(',')[0]}" for engine in engines if engine), "")
