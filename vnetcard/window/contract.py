"""The contract of a window: what its opener asks for, and what every window kind has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vnetcard._core import Memory
from vnetcard.errors import ConfigError
from vnetcard.ring.geometry import Geometry
from vnetcard.ring.layout import HOST

if TYPE_CHECKING:
    from vnetcard.engine.transport import EngineTransport
    from vnetcard.window.interrupts import Interrupts


Pulse = Callable[[], None]
"""Called several times a second while a device lets its caller wait; raises WindowUnavailable to end the wait.

Where another process lets it wait, the attribute ``at_once`` is called instead if there is one.
"""


def at_once(pulse: Pulse) -> None:
    """The pulse of a wait for another process, which nobody needs to see to its end."""
    getattr(pulse, "at_once", pulse)()


def no_pulse() -> None:
    """The pulse of a caller that waits for as long as it takes."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the opener of a window asks for; None accepts what exists, or the default.

    ``side`` is HOST or CARD; sizes are in bytes.  ``queues`` is the number of queue pairs of a new window; for the
    host an existing window must have as many, the card accepts any number.  Without it a new window in plain memory has
    ``new_queues``, if it is large enough.  ``pulse`` is called while a device lets the opener wait, and later the link.
    """

    place: str
    side: int
    size: int | None = None
    queue_bytes: int | None = None
    queues: int | None = None
    pulse: Pulse = no_pulse
    new_queues: int = 1

    def objection(self, geometry: Geometry) -> str | None:
        """How the geometry of an existing window differs from the request, in words; None if it does not."""
        return geometry.differs(self.size, self.queue_bytes, self.queues if self.side == HOST else None)

    def want_one_pair(self, url: str, why: str) -> None:
        """Raise ConfigError if several queue pairs are asked for; ``why`` the window at ``url`` has one only."""
        if (self.queues or 1) > 1:
            raise ConfigError(f"window {url} has one queue pair, not {self.queues}: {why}; omit --queues")


class Window(Protocol):
    """An open window.  Its side is locked for this process until ``close``."""

    @property
    def url(self) -> str:
        """The canonical URL, without a size."""

    @property
    def memory(self) -> Memory:
        """The window's bytes, with the barriers that this kind of memory needs."""

    @property
    def geometry(self) -> Geometry:
        """The geometry of the superblock at the time of opening; it is never read again."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the log about the opening, such as that a stale window was replaced."""

    @property
    def futex_wake(self) -> bool:
        """True: a thread that sleeps (futex) on a word of the memory can be woken by the peer.  False: it must poll."""

    @property
    def engine(self) -> EngineTransport | None:
        """The DMA engine or DMA copier between this memory and the peer's; None: both sides share this memory."""

    @property
    def interrupts(self) -> Interrupts | None:
        """The interrupts with which the two sides wake each other; None: this window has none."""

    def vanished(self) -> str | None:
        """Why the memory is no longer shared with the peer (deleted, device removed); None while it is."""

    def close(self) -> None:
        """Unlock and unmap; the last side to close removes memory that an agent created.  Idempotent."""
