"""Complete transfers to and from a card's memory, over channels that may transfer less than asked for, or fail.

``Channel`` is a character device of a DMA driver (Xilinx's XDMA driver has one per channel and direction), or a test
double that fails on purpose.  When a transfer returns, the card's memory has acknowledged it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from vnetcard._core import pread_into, pwrite_from
from vnetcard.hw.xdma import AGAIN, BUSY_LIMIT, BUSY_PAUSE, another_device

GONE: Final = frozenset({errno.ENODEV, errno.ENXIO, errno.EBADF, errno.ESHUTDOWN})
"""The errors of a driver whose device has been removed."""
ERESTARTSYS: Final = 512
"""A number internal to the kernel, which the XDMA driver returns to user space when a transfer has timed out."""
TIMED_OUT: Final = frozenset({errno.ETIMEDOUT, ERESTARTSYS})


_VERB: Final = {"READ": "a read", "WRITE": "a write"}


class Channel(Protocol):
    """Transfers in one direction."""

    @property
    def name(self) -> str:
        """For messages."""

    def move(self, span: memoryview, address: int, /) -> int:
        """Transfer up to ``len(span)`` bytes between ``span`` and ``address``; returns the number; raises OSError."""


class TransferFailed(Exception):
    """A transfer failed: ``cause`` is a name of ``engine.registers.CAUSES``, ``address`` the first byte not moved."""

    def __init__(self, cause: str, address: int, why: str) -> None:
        super().__init__(f"{cause}, {why} at card address {address:#x}")
        self.cause, self.address = cause, address


class DeviceGone(Exception):
    """The device of a channel has been removed; the message names it."""


class DeviceChannel:
    """An open character device of a DMA driver; the file offset is the card's address."""

    def __init__(self, path: Path, *, to_card: bool) -> None:
        """Raises OSError."""
        self.name = str(path)
        self._fd = os.open(path, (os.O_WRONLY if to_card else os.O_RDONLY) | os.O_CLOEXEC)
        self._move = pwrite_from if to_card else pread_into

    def move(self, span: memoryview, address: int, /) -> int:
        return self._move(self._fd, span, address)

    def vanished(self) -> str | None:
        """Why the path no longer names the device that was opened; None while it does."""
        return another_device(Path(self.name), self._fd)

    def close(self) -> None:
        """Close the device.  Idempotent."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1


class CardMemory:
    """``size`` bytes of a card's memory from address ``base`` on; offsets are relative to ``base``."""

    def __init__(
        self,
        to_card: Channel,
        from_card: Channel,
        *,
        base: int,
        size: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._to_card, self._from_card = to_card, from_card
        self.base, self.size = base, size
        self._clock, self._sleep = clock, sleep
        self._current: tuple[float, int, str] | None = None
        self.retries = 0

    def waits(self, least: float = 0.0) -> str | None:
        """The transfer that has been with the driver for ``least`` seconds or more, with its address; None: none."""
        if (current := self._current) is None:
            return None
        since, thread, what = current
        seconds = self._clock() - since
        asleep = ", in uninterruptible sleep (state D)" if _state(thread) == "D" else ""
        return f"{what} has not returned for {seconds:.0f} s{asleep}" if seconds >= least else None

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data``; acknowledged on return.  Raises TransferFailed or DeviceGone."""
        self._transfer(self._to_card, "WRITE", offset, memoryview(data))

    def read_into(self, offset: int, span: memoryview) -> None:
        """Fill ``span``; raises as ``write``."""
        self._transfer(self._from_card, "READ", offset, span)

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes; raises as ``write``."""
        data = bytearray(count)
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def _transfer(self, channel: Channel, cause: str, offset: int, span: memoryview) -> None:
        if offset < 0 or offset + len(span) > self.size:
            raise IndexError(f"{len(span)} bytes at {offset:#x} are outside the {self.size} bytes of the card's memory")
        done = 0
        deadline: float | None = None
        while done < len(span):
            address = self.base + offset + done
            where = f"{_VERB[cause]} over {channel.name} at card address {address:#x}"
            self._current = self._clock(), threading.get_native_id(), where
            try:
                moved = channel.move(span[done:], address)
            except OSError as error:
                if error.errno not in AGAIN:
                    raise _failure(error, channel.name, cause, address) from error
                deadline = deadline or self._clock() + BUSY_LIMIT
                self._wait(channel, address, deadline)
                continue
            finally:
                self._current = None
            if not 0 < moved <= len(span) - done:
                raise TransferFailed(cause, address, f"{channel.name} moved {moved} of {len(span) - done} bytes")
            done, deadline = done + moved, None

    def _wait(self, channel: Channel, address: int, deadline: float) -> None:
        self.retries += 1
        if self._clock() > deadline:
            raise TransferFailed("TIMEOUT", address, f"{channel.name} was busy for {BUSY_LIMIT:.0f} s")
        self._sleep(BUSY_PAUSE)


def _failure(error: OSError, name: str, cause: str, address: int) -> Exception:
    if error.errno in GONE:
        return DeviceGone(f"{name} is gone ({error.strerror}): was the card removed, or its driver unloaded?")
    if error.errno in TIMED_OUT:
        return TransferFailed("TIMEOUT", address, f"{name} timed out")
    return TransferFailed(cause, address, f"{_VERB[cause]} over {name} failed ({error.strerror})")


def _state(thread: int) -> str:
    """The kernel's letter for what the thread does: R, S, D, ...; '' once it has ended (proc(5))."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()[0]
    return ""
