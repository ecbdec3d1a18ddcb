"""The register page of a DMA engine behind the AXI-Lite master of Xilinx's XDMA: ``/dev/xdmaN_user``.

The driver lets that be mapped, or else takes reads and writes of four aligned bytes.  The user interrupts are
``/dev/xdmaN_events_K``: a read gives a count once there was one.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vnetcard._core import Doorbell, Memory, pread_into, pwrite_from
from vnetcard.codes.error import ErrorCode
from vnetcard.engine import registers as R
from vnetcard.engine.dma import MappedRegisters, Registers
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw import xdma
from vnetcard.hw.mapping import code_of
from vnetcard.hw.pci import Function
from vnetcard.hw.sysfs import System
from vnetcard.hw.xdma import AGAIN, BUSY_LIMIT, BUSY_PAUSE, another_device

WORD: Final = 4
"""Bytes of a register."""


class FileRegisters:
    """A register page in a file that cannot be mapped, from ``base`` on: ``vnetcard.engine.dma.Registers``.

    An access that fails, or is incomplete, raises WindowUnavailable.
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
        """A doorbell that the pumps ring by a write system call."""
        return Doorbell.in_file(self._fd, self._base + offset)

    def _whole(self, what: str, move: Callable[[], int], offset: int) -> None:
        where = f"{what} of register {offset:#x} in {self._name}"
        deadline = time.monotonic() + BUSY_LIMIT
        while True:
            try:
                moved = move()
            except OSError as error:
                if error.errno not in AGAIN:
                    raise WindowUnavailable(
                        f"{where} failed ({error.strerror}): is the card still there?", code=code_of(error)
                    ) from error
                if time.monotonic() > deadline:
                    raise WindowUnavailable(
                        f"{where}: busy for {BUSY_LIMIT:.0f} s", code=ErrorCode.WINDOW_BUSY
                    ) from error
                time.sleep(BUSY_PAUSE)
                continue
            if moved != WORD:
                raise WindowUnavailable(
                    f"{where} moved {moved} of {WORD} bytes: is it the device of registers?",
                    code=ErrorCode.DEVICE_BROKEN,
                )
            return


class XdmaUserPage:
    """The page ``engine=xdma:N[@OFFSET]`` names: ``engine_window.Page``.  OFFSET is in the AXI-Lite space."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError (the URL, an OFFSET beyond the BAR), WindowUnavailable (missing, no permission)."""
        name, at, offset = url.removeprefix("xdma:").rpartition("@")
        if not at:
            name, offset = offset, "0"
        base = xdma.number(offset, f"engine={url}")
        if base % R.PAGE_BYTES:
            raise ConfigError(f"engine={url}: OFFSET {offset} is not a multiple of 4 KiB", code=ErrorCode.BAD_URL)
        self.url, self._prefix = url, xdma.prefix(name, f"engine={url}")
        self.file = xdma.device(self._prefix, "user")
        _check_bound(url, base, xdma.function_of(System.here(), self.file))
        try:
            self._fd = os.open(self.file, os.O_RDWR | os.O_CLOEXEC | os.O_SYNC)
        except OSError as error:
            raise xdma.unavailable(f"engine={url}", self.file, error) from error
        self._map: mmap.mmap | None = None
        try:
            self._map = mmap.mmap(self._fd, R.PAGE_BYTES, offset=base)
        except OSError as error:
            if error.errno == errno.EINVAL:  # beyond the BAR: reads there would return the kernel's other mappings
                os.close(self._fd)
                raise _beyond(url, base, "the user BAR") from error
        except ValueError:
            pass  # an odd page size: registers by system calls
        self._memory = Memory(self._map, device=True) if self._map else None
        self.registers: Registers = (
            MappedRegisters(self._memory) if self._memory else FileRegisters(self._fd, str(self.file), base)
        )

    def interrupt(self, text: str) -> tuple[Path, bytes]:
        """The device whose reads return user interrupt ``text`` (default 0); nothing need be written to it."""
        number = xdma.number(text or "0", f"engine={self.url}, irq")
        return xdma.device(self._prefix, f"events_{number}"), b""

    def lost(self) -> str | None:
        """Why the device is no longer the one that was opened, or None."""
        return another_device(self.file, self._fd)

    def close(self) -> None:
        """Unmap; every doorbell must be gone.  Idempotent."""
        if self._fd < 0:
            return
        if self._memory is not None:
            self._memory.close()
        if self._map is not None:
            self._map.close()
        os.close(self._fd)
        self._fd = -1


def xdma_function(system: System, url: str) -> Function | None:
    """The PCI function of the card that ``xdma:N[@OFFSET]`` names, as the driver's class in sysfs says."""
    name, at, offset = url.removeprefix("xdma:").rpartition("@")
    prefix = xdma.prefix(name if at else offset, f"engine={url}")
    return xdma.function_of(system, xdma.device(prefix, "user"))


def _check_bound(url: str, base: int, function: Function | None) -> None:
    """ConfigError if a page at ``base`` reaches beyond the user BAR.

    The driver's read and write of ``_user`` do not check this, and access whatever the kernel has mapped behind it.
    The user BAR is a card's first memory BAR (PG195: before the DMA and the bypass BAR).
    """
    if function is not None and function.bars and base + R.PAGE_BYTES > function.bars[0].size:
        raise _beyond(url, base, f"{function.bars[0]} of {function.address}")


def _beyond(url: str, base: int, bar: str) -> ConfigError:
    return ConfigError(
        f"engine={url}: a register page at {base:#x} reaches beyond {bar}: see the design's AXI-Lite address map",
        code=ErrorCode.BAD_URL,
    )
