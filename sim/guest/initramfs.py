"""Writes an initial RAM file system, a cpio archive of the kind "newc".

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

_MAGIC = "070701"


class Initramfs:
    """Collects files and folders for the archive.  Everything belongs to root; parent folders are added as needed."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, bytes]] = {}

    def add(self, name: str, data: bytes, *, executable: bool = False) -> None:
        """Add a regular file."""
        self._put(name, stat.S_IFREG | (0o755 if executable else 0o644), data)

    def folder(self, name: str) -> None:
        """Add an empty folder."""
        self._put(name, stat.S_IFDIR | 0o755, b"")

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._put(name, stat.S_IFLNK | 0o777, target.encode())

    def copy(self, name: str, path: Path) -> None:
        """Add the file, or the symbolic link, at ``path``."""
        if path.is_symlink():
            self.link(name, str(path.readlink()))
        else:
            self.add(name, path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))

    def encode(self) -> bytes:
        """The archive; each folder precedes its contents."""
        pieces: list[bytes] = []
        for number, (name, (mode, data)) in enumerate(sorted(self._entries.items()), start=1):
            pieces += _entry(name, mode, data, number)
        return b"".join([*pieces, *_entry("TRAILER!!!", 0, b"", 0)])

    def _put(self, name: str, mode: int, data: bytes) -> None:
        for parent in list(Path(name).parents)[:-1]:
            self._entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, b""))
        self._entries[name] = (mode, data)


def _entry(name: str, mode: int, data: bytes, number: int) -> Iterator[bytes]:
    """One entry: thirteen hexadecimal numbers, the name, the contents; name and contents are padded to 4 bytes."""
    path = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(path), 0)
    header = (_MAGIC + "".join(f"{field:08x}" for field in fields)).encode() + path
    yield header + bytes(-len(header) % 4)
    yield data + bytes(-len(data) % 4)
