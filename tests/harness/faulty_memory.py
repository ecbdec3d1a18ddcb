"""A card's memory behind device files, whose transfers fail as a test says."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path


class Memory:
    """A card's memory; ``act`` gets the number of a move and its bytes, and returns how many move or raises OSError."""

    def __init__(self, memory: Path | None = None) -> None:
        self._fd = os.open(memory, os.O_RDWR) if memory else os.memfd_create("card")
        self.act: Callable[[int, int], int] = lambda move, count: count
        self.moves = 0

    def _most(self, count: int) -> int:
        self.moves += 1
        return self.act(self.moves, count)

    def read(self, offset: int, size: int, /) -> bytes:
        return os.pread(self._fd, self._most(size), offset)

    def write(self, offset: int, data: bytes, /) -> int:
        return os.pwrite(self._fd, data[: self._most(len(data))], offset)

    def close(self) -> None:
        os.close(self._fd)


def fails(number: int) -> Callable[[int, int], int]:
    def act(move: int, count: int) -> int:
        raise OSError(number, "")

    return act


def unsteady(move: int, count: int) -> int:
    """Busy, late, and short, by turns."""
    if move % 3 == 0:
        raise OSError(errno.EAGAIN, "")
    if move % 7 == 0:
        time.sleep(0.002)
    return min(count, 1000)
