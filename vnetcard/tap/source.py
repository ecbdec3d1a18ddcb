"""Sources of events: the agents on this machine; those on another one are in ``remote.py``."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from vnetcard.agent.control import ask_all, borrow
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PeerGone
from vnetcard.ring import layout as L
from vnetcard.ring.tap_shm import Event, Reader, TapRequest
from vnetcard.window import WindowUrl
from vnetcard.window.run_folder import folder

OPEN_LIMIT: Final = 5.0
"""Seconds for an agent to open a tap."""
FIND_EVERY: Final = 0.2
"""Seconds between two attempts to find an agent that is absent or was restarted."""
FIND_UNRESPONSIVE_EVERY: Final = 10.0
"""The same for an agent that does not answer: each attempt waits for a time-out, and delays other events."""
POLL_EVERY: Final = 0.01
"""Seconds between two reads of the events."""
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Source(Protocol):
    """The events of one agent.

    ``since``: events before this time, by this machine's clock, are missing.  ``clock`` identifies the clock of the
    time stamps: equal for two sources that use one clock.
    """

    side: int
    since: int
    clock: str

    def drain(self) -> Iterator[Event]:
        """The events since the last call."""

    @property
    def missed(self) -> int:
        """Events that were not written because they were not read fast enough."""

    @property
    def ended(self) -> bool:
        """Whether the agent has ended."""

    def close(self) -> None:
        """Close the tap."""


class LocalSource:
    """A tap of an agent on this machine.

    Raises PeerGone when there is no such agent or it does not answer, ConfigError when access is denied.
    """

    def __init__(self, url: str, side: int, request: TapRequest) -> None:
        self.side = side
        self.since = time.monotonic_ns()
        with contextlib.ExitStack() as stack:
            _, fd = stack.enter_context(borrow(url, side, request.as_question()))
            self._reader = Reader(fd)
            stack.callback(self._reader.close)
            self._stack = stack.pop_all()
        self.clock = clock_of(self._reader.pid)
        self.drain = self._reader.drain

    def wait_open(self) -> None:
        """Return once the pumps write events; raises PeerGone after ``OPEN_LIMIT``."""
        deadline = time.monotonic() + OPEN_LIMIT
        while self._reader.state != "OPEN":
            if time.monotonic() > deadline or self.ended:
                raise PeerGone(f"the {L.SIDES[self.side]}'s agent has no window at the moment: see vnetcard status")
            time.sleep(0.001)

    @property
    def missed(self) -> int:
        return self._reader.missed

    @property
    def ended(self) -> bool:
        return self._reader.state == "CLOSED" or not Path(f"/proc/{self._reader.pid}").exists()

    def close(self) -> None:
        """Close the tap."""
        self._stack.close()


class Sources:
    """The taps of a window's agents on this machine, opened again when an agent returns; others can be added."""

    def __init__(self, window: str, request: TapRequest, sides: Sequence[int] = (L.HOST, L.CARD)) -> None:
        """Raises ConfigError when no agent can be tapped.

        ``unresponsive`` says, by side, why an agent that exists does not answer.
        """
        self._url = str(WindowUrl.parse(window))
        self._request = request
        self._sides = sides
        self._find_at = 0.0
        self.polled_at = 0
        self._missed = [0, 0]
        self.unresponsive: dict[int, str] = {}
        self.live: list[Source] = []
        refusal = self._find()
        if not self.live:
            raise ConfigError(
                refusal
                or f"no agent for {self._url} answers in {folder()}: "
                "start vnetcard-x86 or vnetcard-fpga, or name its --window",
                code=ErrorCode.NO_AGENT,
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
        """The sides whose events are read."""
        return [source.side for source in self.live]

    @property
    def one_clock(self) -> bool:
        """Whether the time stamps of all sources come from one clock."""
        return len({source.clock for source in self.live}) <= 1

    @property
    def missed(self) -> int:
        """Events that were lost because they were not read fast enough."""
        return sum(self.missed_of(side) for side in (L.HOST, L.CARD))

    def missed_of(self, side: int) -> int:
        """Lost events of one side."""
        return self._missed[side] + sum(source.missed for source in self.live if source.side == side)

    def since(self) -> int:
        """Time from which on the events of every side are complete."""
        return max((source.since for source in self.live), default=0)

    def add(self, source: Source) -> None:
        """Add a source, which is closed with the others."""
        self.live.append(source)

    def drain(self) -> list[Event]:
        """The events since the last call; also closes the taps of agents that ended, and opens those that returned."""
        self.polled_at = time.monotonic_ns()  # events up to now are in the rings
        found = [event for source in self.live for event in source.drain()]
        for source in [source for source in self.live if source.ended]:
            found += source.drain()
            self._missed[source.side] += source.missed
            self.live.remove(source)
            source.close()
        if self.live and time.monotonic() >= self._find_at:
            self._find()
        return found

    def _find(self) -> str:
        """Open the taps of agents that have none yet; returns why an agent refused, or ''."""
        refusal = ""
        for side in self._sides:
            if side in self.sides:
                continue
            self.unresponsive.pop(side, None)
            try:
                self.live.append(LocalSource(self._url, side, self._request))
            except PeerGone as error:
                if error.unresponsive:
                    self.unresponsive[side] = str(error)
                if error.unresponsive or error.code is ErrorCode.AGENT_REFUSED:
                    refusal = str(error)
        self._find_at = time.monotonic() + (FIND_UNRESPONSIVE_EVERY if self.unresponsive else FIND_EVERY)
        return refusal

    def close(self) -> None:
        """Close the tap."""
        for source in self.live:
            source.close()
        self.live = []


def poll_events(sources: Sources, limit: float | None) -> Iterator[list[Event]]:
    """The events of each poll, until ``limit`` seconds have passed, SIGINT or SIGTERM comes, or all agents have ended.

    A signal takes effect between two polls, so that every event that was read is processed.
    """
    received: list[int] = []
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in STOP_SIGNALS}
    try:
        end = time.monotonic() + limit if limit else None
        while sources.live:
            yield sources.drain()
            if received or (end and time.monotonic() > end):
                return
            time.sleep(POLL_EVERY)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def clock_of(pid: int) -> str:
    """Identifies the CLOCK_MONOTONIC of a process on this machine: by the boot and the time namespace."""
    boot = _BOOT_ID.read_text().strip()
    try:
        return f"{boot} {Path(f'/proc/{pid}/ns/time').stat().st_ino}"
    except OSError:  # no time namespaces before Linux 5.6, or no permission
        return boot


def moves_ethernet(url: str) -> bool:
    """Do the agents of the window ``url`` on this machine move Ethernet frames?  False where none answers."""
    try:
        return any(view["port"].get("frames") == "ethernet" for view in ask_all(url, "status").said)
    except ConfigError:  # opening the taps says why
        return False


def transport_of(url: str) -> str:
    """The engine between the two sides, as their agents on this machine name it; empty when they share the memory."""
    try:
        engines = [view["engine"] for view in ask_all(url, "status").said]
    except ConfigError:  # the agent has just ended
        engines = []
    return next((f"the {engine['engine'].partition(',')[0]}" for engine in engines if engine), "")
