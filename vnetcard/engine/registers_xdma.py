"""The register page of a DMA engine behind the AXI-Lite master of Xilinx's XDMA: ``/dev/xdmaN_user``.

The driver lets that be mapped, or else takes reads and writes of four aligned bytes.  The user interrupts are
``/dev/xdmaN_events_K``: a read gives a count once there was one.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vnetcard._core import Doorbell, Memory, pread_into, pwrite_from
from vnetcard.engine import registers as R
from vnetcard.engine.dma import MappedRegisters, Registers
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw import xdma
from vnetcard.hw.xdma import AGAIN, BUSY_LIMIT, BUSY_PAUSE, another_device

WORD: Final = 4
"""Bytes of a register."""


class FileRegisters:
    """A register page in a file that cannot be mapped, from ``base`` on: ``vnetcard.engine.dma.Registers``.

    What does not come to its end raises WindowUnavailable.
    """

    def __init__(self, fd: int, name: str, base: int) -> None:
        self._fd, self._name, self._base = fd, name, base

    def read32(self, offset: int, /) -> int:
        """The register, in one piece."""
        data = bytearray(WORD)
        self._whole("a read", lambda: pread_into(self._fd, data, self._base + offset), offset)
        return int.from_bytes(data, "little")

    def write32(self, offset: int, value: int, /) -> None:
        """Set the register, in one piece."""
        data = value.to_bytes(WORD, "little")
        self._whole("a write", lambda: pwrite_from(self._fd, data, self._base + offset), offset)

    def doorbell(self, offset: int, /) -> Doorbell:
        """What the pumps ring by a write of their own."""
        return Doorbell.in_file(self._fd, self._base + offset)

    def _whole(self, what: str, move: Callable[[], int], offset: int) -> None:
        where = f"{what} of register {offset:#x} in {self._name}"
        deadline = time.monotonic() + BUSY_LIMIT
        while True:
            try:
                moved = move()
            except OSError as error:
                if error.errno not in AGAIN:
                    raise WindowUnavailable(f"{where} failed ({error.strerror}): is the card still there?") from error
                if time.monotonic() > deadline:
                    raise WindowUnavailable(f"{where}: busy for {BUSY_LIMIT:.0f} s") from error
                time.sleep(BUSY_PAUSE)
                continue
            if moved != WORD:
                raise WindowUnavailable(f"{where} moved {moved} of {WORD} bytes: is it the device of registers?")
            return


class XdmaUserPage:
    """The page ``engine=xdma:N[@OFFSET]`` names: ``engine_window.Page``.  OFFSET is in the AXI-Lite space."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError (the URL), WindowUnavailable (not there, no permission)."""
        name, at, offset = url.removeprefix("xdma:").rpartition("@")
        if not at:
            name, offset = offset, "0"
        base = xdma.number(offset, f"engine={url}")
        if base % R.PAGE_BYTES:
            raise ConfigError(f"engine={url}: OFFSET {offset} is not a multiple of 4 KiB")
        self.url, self._prefix = url, xdma.prefix(name, f"engine={url}")
        self.file = xdma.device(self._prefix, "user")
        try:
            self._fd = os.open(self.file, os.O_RDWR | os.O_CLOEXEC | os.O_SYNC)
        except OSError as error:
            raise xdma.unavailable(f"engine={url}", self.file, error) from error
        self._map: mmap.mmap | None = None
        with contextlib.suppress(OSError, ValueError):  # an older driver, another page size: by calls then
            self._map = mmap.mmap(self._fd, R.PAGE_BYTES, offset=base)
        self._memory = Memory(self._map, device=True) if self._map else None
        self.registers: Registers = (
            MappedRegisters(self._memory) if self._memory else FileRegisters(self._fd, str(self.file), base)
        )

    def interrupt(self, text: str) -> tuple[Path, bytes]:
        """The device that tells of user interrupt ``text``, 0 unless said; it need not be armed."""
        number = xdma.number(text or "0", f"engine={self.url}, irq")
        return xdma.device(self._prefix, f"events_{number}"), b""

    def lost(self) -> str | None:
        return another_device(self.file, self._fd)

    def close(self) -> None:
        if self._fd < 0:
            return
        if self._memory is not None:
            self._memory.close()
        if self._map is not None:
            self._map.close()
        os.close(self._fd)
        self._fd = -1
