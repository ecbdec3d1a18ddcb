"""The window of one side in simulation: memory that the engine's bus and the project's own code share."""

from __future__ import annotations

import mmap
from collections.abc import Callable

from vnetcard import _core
from vnetcard.ring import layout as L


def never(_: int) -> bool:
    """Select no offset."""
    return False


def at_offset(offset: int) -> Callable[[int], bool]:
    """Return a function that selects ``offset``, for ``bad_read`` and ``bad_write``."""
    return lambda at: at == offset


class Memory:
    """The window of one side on its bus.

    ``check_read`` and ``check_write`` are called before each access; an offset for which ``bad_read`` or
    ``bad_write`` returns True fails.
    """

    def __init__(self, name: str, base: int, size: int) -> None:
        self.name = name
        self.base = base
        self.size = size
        self.bytes = mmap.mmap(-1, size)
        self.core = _core.Memory(self.bytes)
        self.violations: list[str] = []
        self.bad_read: Callable[[int], bool] = never
        self.bad_write: Callable[[int], bool] = never
        self.check_read: Callable[[int, int], None] = lambda at, count: None
        self.check_write: Callable[[int, bytes], None] = lambda at, data: None
        self.bursts = 0  # data bursts acknowledged without error
        self.failed_at: list[int] = []  # bus addresses of failed read beats and write bursts
        self.accesses = 0  # to index words and rings

    def inside(self, address: int, count: int) -> int:
        """Return the offset of a bus address; an access outside the window is a violation and raises ValueError."""
        at = address - self.base
        self.accesses += not 0 <= at < L.QUEUE_OFFSET
        if at < 0 or at + count > self.size:
            self.violations.append(f"{self.name}: access to {count} bytes at {address:#x}, outside the window")
            raise ValueError("outside")
        return at

    async def read(self, address: int, count: int) -> bytes:
        at = self.inside(address, count)
        if self.bad_read(at):
            self.failed_at.append(address)
            raise ValueError("injected")
        self.check_read(at, count)
        return self.bytes[at : at + count]

    def write(self, address: int, data: bytes) -> bool:
        """Apply one complete burst; False when it fails and is to be answered with an error."""
        try:
            at = self.inside(address, len(data))
        except ValueError:
            return False
        if any(self.bad_write(n) for n in range(at, at + len(data), 4)):
            self.failed_at.append(address)
            return False
        self.check_write(at, data)
        self.bytes[at : at + len(data)] = data
        return True
