"""The agent's list of what it lends: asked for in any thread, handed to the pumps in the agent's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from vnetcard import _core
from vnetcard.agent.control import Lease
from vnetcard.errors import ConfigError
from vnetcard.ring import tap_layout as T
from vnetcard.ring.tap_shm import Segment, TapRequest


class Tapped(Protocol):
    """The two pumps of a queue, to be looked at: ``vnetcard.link.endpoints.PumpEndpoints``."""

    def tap(self, tx: tuple[_core.Tap, ...], rx: tuple[_core.Tap, ...]) -> None:
        """Tell these, and no others any more, what the pumps do; returns once they do so."""


class TapRegistry:
    """Segments of one agent.  ``wake`` makes the agent's thread call ``settle`` soon.

    ``queues``: how many its interface has, which is known before anybody asks.
    """

    def __init__(self, side: int, wake: Callable[[], None]) -> None:
        self._side = side
        self._wake = wake
        self.queues = 1
        self._lock = threading.Lock()
        self._wanted: list[Segment] = []
        self._settled: list[Segment] = []

    def lend(self, question: Mapping[str, Any]) -> Lease | dict[str, Any]:
        """A segment as ``question`` describes it; what is wrong with that, in words, as an answer."""
        try:
            request = TapRequest.of(question)
            with self._lock:
                if len(self._wanted) >= T.TAPS_MAX:
                    raise ConfigError(f"{T.TAPS_MAX} readers already tap this agent: end one of them")
                segment = Segment(self._side, request, self.queues)
                self._wanted.append(segment)
        except (ConfigError, OSError) as error:
            return {"error": str(error)}
        self._wake()
        return Lease({"bytes": segment.size}, segment.fd, lambda: self._give_back(segment))

    def _give_back(self, segment: Segment) -> None:
        with self._lock:
            self._wanted.remove(segment)
        self._wake()

    def settle(self, pairs: Sequence[Tapped], *, fresh: bool = False) -> None:
        """Make the taps of the pumps, a pair a queue, those that are lent now; ``fresh`` pumps know of none yet."""
        with self._lock:
            wanted = list(self._wanted)
        if wanted == self._settled and not (fresh and wanted):
            return
        for queue, pair in enumerate(pairs):
            taps = [segment.taps[queue] for segment in wanted]
            pair.tap(tuple(tx for tx, _ in taps), tuple(rx for _, rx in taps))
        for segment in wanted:
            segment.set_state("OPEN")
        self._forget(wanted)

    def unsettle(self) -> None:
        """The pumps are gone, for now or for ever."""
        for segment in self._settled:
            segment.set_state("WAITING")

    def _forget(self, wanted: list[Segment]) -> None:
        """Close what nobody wants any more, and no pump has."""
        for segment in self._settled:
            if segment not in wanted:
                segment.close()
        self._settled = wanted

    def close(self) -> None:
        """The agent ends; its pumps are gone."""
        with self._lock:
            everything = {*self._wanted, *self._settled}
            self._settled = []
        for segment in everything:
            segment.set_state("CLOSED")
