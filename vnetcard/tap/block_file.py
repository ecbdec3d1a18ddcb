"""A file of whole blocks: whatever ends the writing, a full disk too, the file ends at the end of a block."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError

_FLUSH_BYTES: Final = 1 << 16
"""Blocks are collected up to this size before they are written."""


class BlockFile:
    """Writes blocks to ``fd``, which it owns and which ``name`` names in messages.

    The methods raise ConfigError (FILE_UNWRITABLE) when the file cannot be written, and BrokenPipeError when the
    reader of a pipe has closed it.
    """

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._blocks: list[bytes] = []
        self._waiting = 0
        self._whole = 0

    @classmethod
    def create(cls, path: Path) -> BlockFile:
        """Create or truncate the file at ``path``, or open the named pipe; raises ConfigError."""
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise ConfigError(
                f"-w {path} cannot be written: {error.strerror}", code=ErrorCode.FILE_UNWRITABLE
            ) from error
        return cls(fd, f"-w {path}")

    def write(self, block: bytes) -> None:
        """Append a block."""
        self._blocks.append(block)
        self._waiting += len(block)
        if self._waiting >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write all blocks to the file.  If that fails the file is cut to its last whole block."""
        blocks, self._blocks, self._waiting = self._blocks, [], 0
        data, done = memoryview(b"".join(blocks)), 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except BrokenPipeError:
            raise
        except OSError as error:
            self._cut(blocks, done)
            raise ConfigError(
                f"{self._name} cannot be written any further: {error.strerror}; it holds everything before that",
                code=ErrorCode.FILE_UNWRITABLE,
            ) from error
        self._whole += done

    def _cut(self, blocks: list[bytes], done: int) -> None:
        """Cut the file behind the last of ``blocks`` that is whole, when ``done`` of their bytes were written."""
        for block in blocks:
            if done < len(block):
                break
            done -= len(block)
            self._whole += len(block)
        with contextlib.suppress(OSError):  # a pipe or a device
            os.ftruncate(self._fd, self._whole)

    def close(self) -> None:
        """Write all blocks, and close the file; it is closed also when that raises.  Idempotent."""
        if self._fd < 0:
            return
        try:
            self.flush()
        finally:
            os.close(self._fd)
            self._fd = -1
