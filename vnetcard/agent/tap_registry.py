"""The agent's taps: requested in any thread, given to the pumps in the agent's thread."""

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
    """The two pumps of a queue: ``vnetcard.link.endpoints.PumpEndpoints``."""

    def tap(self, tx: tuple[_core.Tap, ...], rx: tuple[_core.Tap, ...]) -> None:
        """Replace the taps of both pumps; returns once the pumps use them."""


class TapRegistry:
    """Tap memories of one agent.  ``wake`` makes the agent's thread call ``settle`` soon.

    ``queues``: the number of queues of its interface, set before the first request.
    """

    def __init__(self, side: int, wake: Callable[[], None]) -> None:
        self._side = side
        self._wake = wake
        self.queues = 1
        self._lock = threading.Lock()
        self._wanted: list[Segment] = []
        self._settled: list[Segment] = []
        self._returned: list[Segment] = []

    def lend(self, question: Mapping[str, Any]) -> Lease | dict[str, Any]:
        """Tap memory as ``question`` describes it; an answer with ``error`` for an invalid request."""
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
            self._returned.append(segment)
        self._wake()

    def settle(self, pairs: Sequence[Tapped], *, fresh: bool = False) -> None:
        """Give the pumps, one pair per queue, the taps that are lent now; ``fresh`` pumps have none yet."""
        with self._lock:
            wanted = list(self._wanted)
            returned, self._returned = self._returned, []
        for segment in returned:
            if segment not in self._settled:  # its reader was gone before any pump had it
                segment.close()
        if wanted == self._settled and not (fresh and wanted):
            return
        for queue, pair in enumerate(pairs):
            taps = [segment.taps[queue] for segment in wanted]
            pair.tap(tuple(tx for tx, _ in taps), tuple(rx for _, rx in taps))
        for segment in wanted:
            segment.set_state("OPEN")
        self._forget(wanted)

    def unsettle(self) -> None:
        """The pumps are closed: with the window, or at the end."""
        for segment in self._settled:
            segment.set_state("WAITING")

    def _forget(self, wanted: list[Segment]) -> None:
        """Close tap memory that is no longer lent and that no pump uses."""
        for segment in self._settled:
            if segment not in wanted:
                segment.close()
        self._settled = wanted

    def close(self) -> None:
        """The agent ends; its pumps are closed."""
        with self._lock:
            everything = {*self._wanted, *self._settled}
            self._settled = []
        for segment in everything:
            segment.set_state("CLOSED")
