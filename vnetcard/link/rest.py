"""The rest of a link: while nothing happens its owner sleeps in the C core, which beats and watches the peer."""

from __future__ import annotations

from typing import Final

from vnetcard.link.link import Link
from vnetcard.link.pulse import HEARTBEAT_LIMIT
from vnetcard.link.types import LinkState

EVERY: Final = 0.2
"""Seconds between two heartbeats at rest: each one wakes a processor."""


class Rest:
    """For the owner of a ``Link``: ``remember``, then the link's ``tick``, then ``sleep`` if that is ``possible``.

    ``able``: whether the peer sees what this side stores without an engine, and the owner needs to poll nothing.
    """

    def __init__(self, link: Link, *, able: bool) -> None:
        self._link, self._able = link, able
        self._seen = b""

    def remember(self) -> None:
        """Keep the peer's control line: what differs from it when ``sleep`` begins needs another tick."""
        self._seen = self._link.peer.control()

    def possible(self) -> bool:
        """Whether the link is up and nothing is due that ``sleep`` would not notice."""
        link = self._link
        return (
            self._able
            and link.state is LinkState.RUN
            and link.pulse.lively
            and not link.braked_for()
            and not link.ports.peer_changed()
        )

    def sleep(self, fds: tuple[int, ...], seconds: float) -> None:
        """At most ``seconds``, less once one of ``fds`` is readable or a tick has something to do."""
        link = self._link
        beat, still = link.own.rest(
            link.peer, self._seen, fds, max(0.0, seconds), every=EVERY, limit=HEARTBEAT_LIMIT / 2
        )
        link.pulse.rested(link.clock(), beat, still)
