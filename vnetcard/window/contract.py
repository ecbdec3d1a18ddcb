"""The contract of a window: what its opener asks for, and what every window kind has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vnetcard._core import Memory
from vnetcard.errors import ConfigError
from vnetcard.ring.geometry import Geometry
from vnetcard.ring.layout import HOST

if TYPE_CHECKING:
    from vnetcard.engine.transport import EngineTransport
    from vnetcard.window.interrupts import Interrupts


@dataclass(frozen=True, slots=True)
class Request:
    """What the opener of a window asks for; None: whatever is there, or the default.

    ``side`` is HOST or CARD; sizes are in bytes.  ``queues`` is for whoever makes the window; it is the host that
    insists on it, the card serves what it finds.
    """

    place: str
    side: int
    size: int | None = None
    queue_bytes: int | None = None
    queues: int | None = None

    def objection(self, geometry: Geometry) -> str | None:
        """In words, what of a window that is there is not as asked for."""
        return geometry.differs(self.size, self.queue_bytes, self.queues if self.side == HOST else None)

    def want_one_pair(self, url: str, why: str) -> None:
        """ConfigError if more are asked for; ``why`` the window at ``url`` has but one queue pair."""
        if (self.queues or 1) > 1:
            raise ConfigError(f"window {url} has one queue pair, not {self.queues}: {why}; leave --queues out")


class Window(Protocol):
    """An open window.  The end of ``side`` is locked for this process until ``close``."""

    @property
    def url(self) -> str:
        """The canonical URL, without a size."""

    @property
    def memory(self) -> Memory:
        """The bytes, with the barriers that this kind of memory needs."""

    @property
    def geometry(self) -> Geometry:
        """What the superblock said when the window was opened; never read again."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What happened at opening that a log should tell, such as a stale window made anew."""

    @property
    def futex_wake(self) -> bool:
        """True: whoever sleeps (futex) on a word of the memory is woken when the peer moves it.  False: poll."""

    @property
    def engine(self) -> EngineTransport | None:
        """The DMA engine or mover between this memory and the peer's; None: the peer has this memory too."""

    @property
    def interrupts(self) -> Interrupts | None:
        """Interrupts by which the two sides wake one another; None: there are none."""

    def vanished(self) -> str | None:
        """Why the memory is no longer the peer's too (deleted, device removed), or None."""

    def close(self) -> None:
        """Unlock and unmap; the last one out removes memory that the agents made.  Twice is once."""
