"""A mocked device's memory as the tests of device windows see it: its URL, and the file behind it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vnetcard.window import Window, open_window

SIZE = 64 << 10
ADDRESS = 0x3000_0000


@dataclass(frozen=True, slots=True)
class Place:
    """A device: the URL of its memory, and the file in which that memory begins at ``start``."""

    url: str
    file: Path
    start: int = 0

    @property
    def content(self) -> bytes:
        with self.file.open("rb") as file:
            return os.pread(file.fileno(), SIZE, self.start)

    def fill(self, content: bytes, offset: int = 0) -> None:
        with self.file.open("r+b") as file:
            os.pwrite(file.fileno(), content, self.start + offset)

    def open(self, side: int, options: str = "", queue_bytes: int | None = None, queues: int | None = None) -> Window:
        joined = options.replace("?", "&") if "?" in self.url else options
        return open_window(self.url + joined, side=side, queue_bytes=queue_bytes, queues=queues)
