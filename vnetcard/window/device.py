"""Windows that are device memory (a BAR, reserved memory, a UIO map): what they share.

The memory is there before the agents and stays after them, so nobody creates or removes it.  **The host lays it
out; the card attaches**, and waits as long as there is nothing to attach to.  The lock of a side lies on the
device's own file and dies with its owner; it is per machine, as device memory has no lock across PCIe.
Memory that reads as all ones is gone.
"""

from __future__ import annotations

import errno
import mmap
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vnetcard._core import Memory
from vnetcard.errors import ConfigError, LayoutMismatch, WindowNotReady, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry, human, speaks_our_format
from vnetcard.ring.sideblock import SideBlock
from vnetcard.window import locks
from vnetcard.window.contract import Request
from vnetcard.window.interrupts import Interrupts

ALL_ONES = (1 << 64) - 1
"""What a 64-bit read gives when nothing answers it."""
_REMEDY = {
    errno.ENOENT: "is its driver in the kernel, and does udev run?",
    errno.EBUSY: "another program or driver has it: end that one, or take another",
    errno.ENODEV: "the device is gone: look at dmesg",
    errno.ENXIO: "the device is gone: look at dmesg",
}
LISTEN = 0.35
"""Seconds to listen for a heartbeat of the card, which comes every 0.1 s, before its window is made anew."""


def system(path: str) -> Path:
    """A path of /sys, /dev or /proc; tests put a tree of their own there by ``VNETCARD_SYSROOT``."""
    return Path(os.environ.get("VNETCARD_SYSROOT", "/"), path.lstrip("/"))


def split_options(place: str, known: tuple[str, ...], url: str) -> tuple[str, frozenset[str]]:
    """``PLACE?one&two`` taken apart; ConfigError for an option that is not ``known``."""
    bare, mark, text = place.partition("?")
    options = frozenset(text.split("&")) if mark else frozenset()
    for option in sorted(options - set(known)):
        raise ConfigError(f"window {url}: there is no option {option!r}; known are {', '.join(known)}")
    return bare, options


@dataclass(frozen=True, slots=True)
class Device:
    """A stretch of device memory, found but not opened yet; sizes and offsets in bytes.

    ``what`` names it for people.  ``file`` is mapped from ``offset`` on; the sides' locks are the bytes of ``lock``
    from ``lock_at`` on (None: the device is one process's as it is).  ``fd``: mapped in place of ``file``, which is a
    name for people then.  ``lost`` says in words why the device is no longer there; ``release`` undoes what finding
    it took.  ``format_any``: the host may lay a window out whatever the memory holds.  ``hint``: why it may be that
    it cannot be mapped.  ``coherent``: it is mapped cached, as its DMA keeps to the caches.  ``own``: a DMA engine is
    between it and the peer's, so this side lays it out as it likes.
    """

    url: str
    what: str
    file: Path
    size: int
    lock: Path | None
    fd: int | None = None
    offset: int = 0
    lock_at: int = 0
    format_any: bool = False
    hint: str = "has another driver the device, or does kernel lockdown forbid it?"
    coherent: bool = False
    own: bool = False
    lost: Callable[[], str | None] = lambda: None
    release: Callable[[], None] = lambda: None


class Mapping:
    """The device's memory, mapped, with the barriers and the access rules of the device domain."""

    def __init__(self, device: Device) -> None:
        """Raises WindowUnavailable: missing, no permission, not to be mapped, or all ones."""
        self._device = device
        self._map = _map(device)
        self._lock_fd = -1
        self.memory = Memory(self._map, device=not device.coherent)
        if self.memory.load64(0) == ALL_ONES and not device.format_any:
            self.close()
            raise WindowUnavailable(
                f"{device.url}: {device.what} reads as all ones, so nothing answers there: "
                "is the card powered and its memory decoding on?"
            )

    def lock(self, side: int) -> None:
        """Take ``side`` until ``close``; WindowUnavailable names the process that has it."""
        device = self._device
        if device.lock is None:
            return
        self._lock_fd = _open(device.lock, device)
        try:
            free = locks.try_lock(self._lock_fd, device.lock_at + side)
        except OSError as error:
            raise WindowUnavailable(f"{device.url}: cannot lock {device.lock} ({error.strerror})") from error
        if not free:
            owner = SideBlock(self.memory, side).identity().pid
            raise WindowUnavailable(
                f"the {L.SIDES[side]} side of {device.url} is taken by process {owner}: "
                "stop that agent, or name another --window"
            )

    def close(self) -> None:
        self.memory.close()
        self._map.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)  # and with it goes the lock


def _open(path: Path, device: Device) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | (0 if device.coherent else os.O_SYNC))
    except PermissionError as error:
        raise WindowUnavailable(
            f"{device.url}: no permission for {path} ({error.strerror}): run as root, or let a udev rule give the "
            "device to a group of yours"
        ) from error
    except OSError as error:
        remedy = _REMEDY.get(error.errno or 0, "look at dmesg")
        raise WindowUnavailable(f"{device.url}: cannot open {path} ({error.strerror}): {remedy}") from error


def _map(device: Device) -> mmap.mmap:
    fd = _open(device.file, device) if device.fd is None else os.dup(device.fd)
    try:
        return mmap.mmap(fd, device.size, offset=device.offset)
    except (OSError, ValueError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise WindowUnavailable(
            f"{device.url}: cannot map {human(device.size)} of {device.file} ({why}): {device.hint}"
        ) from error
    finally:
        os.close(fd)


class DeviceWindow:
    """A window in device memory; see ``vnetcard.window.Window`` for the contract."""

    def __init__(self, device: Device, mapping: Mapping, side: int, geometry: Geometry, notes: tuple[str, ...]) -> None:
        self._device, self._mapping, self._open = device, mapping, True
        self.url = device.url
        self.memory = mapping.memory
        SideBlock(self.memory, side).write_identity()  # so that a second opener is told who has the side
        self.geometry = geometry
        self.notes = notes
        self.futex_wake = False
        self.engine = None
        self.interrupts: Interrupts | None = None

    def vanished(self) -> str | None:
        if why := self._device.lost():
            return why
        magic = self.memory.load64(L.SUPERBLOCK.offset("magic"))
        if magic == ALL_ONES:
            return f"{self.url}: {self._device.what} reads as all ones: the device is gone"
        if magic != L.MAGIC or self.memory.load32(L.SUPERBLOCK.offset("instance")) != self.geometry.instance:
            return f"{self.url}: the host has laid the window out anew"
        return None

    def close(self) -> None:
        if not self._open:
            return
        self._mapping.close()
        self._open = False
        self._device.release()


def open_device(device: Device, request: Request) -> DeviceWindow:
    """Lay out or attach to the window in ``device``; raises as ``vnetcard.window.open_window`` says."""
    try:
        device = _cut(device, request)
        mapping = Mapping(device)
        try:
            mapping.lock(request.side)
            notes: list[str] = []
            settle = _lay_out_own if device.own else _lay_out if request.side == L.HOST else _attach
            geometry = settle(device, mapping.memory, request, notes)
            return DeviceWindow(device, mapping, request.side, geometry, tuple(notes))
        except BaseException:
            mapping.close()
            raise
    except BaseException:
        device.release()
        raise


def read_device(device: Device, limit: int | None) -> bytes:
    """A copy of the first bytes; nothing is locked or written."""
    try:
        mapping = Mapping(device)
        try:
            return mapping.memory.read(0, device.size if limit is None else min(limit, device.size))
        finally:
            mapping.close()
    finally:
        device.release()


def _cut(device: Device, request: Request) -> Device:
    """``device`` in the size asked for, if it can be a window."""
    size = device.size if request.size is None else request.size
    if size > device.size:
        raise ConfigError(f"{device.url}: asked for {human(size)}, {device.what} has {human(device.size)}")
    if size & (size - 1) or size < L.WINDOW_MIN:
        raise ConfigError(
            f"{device.url}: {human(size)} of {device.what} cannot be a window: "
            f"it has a power of two, {human(L.WINDOW_MIN)} or more; name another BAR or memory, or add +SIZE"
        )
    return replace(device, size=min(size, L.WINDOW_MAX))


def _plan(device: Device, request: Request) -> Geometry:
    return Geometry.plan(
        device.size,
        queue_bytes=request.queue_bytes,
        queues=request.queues or 1,
        instance=secrets.randbelow((1 << 32) - 1) + 1,
        removable=False,
    )


def _attach(device: Device, memory: Memory, request: Request, notes: list[str]) -> Geometry:
    """The card's way: what the host has laid out, or WindowNotReady."""
    del notes
    try:
        geometry = Geometry.decode(memory.read(0, HEADER_BYTES), device.size)
    except LayoutMismatch as error:
        raise WindowNotReady(f"{device.url}: {error}; waiting for the host's agent to lay the window out") from error
    if wrong := request.objection(geometry):
        raise LayoutMismatch(f"{device.url}: {wrong}; the host's agent decides that: ask for the same, or for nothing")
    return geometry


def _lay_out(device: Device, memory: Memory, request: Request, notes: list[str]) -> Geometry:
    """The host's way: keep a window that is as wanted, make anything else of ours anew, refuse what is foreign."""
    header = memory.read(0, HEADER_BYTES)
    plan = _plan(device, request)
    if any(header) and not _half_made(header):
        try:
            found = Geometry.decode(header, device.size)
            wrong = request.objection(found)
            if wrong is None:
                return found
        except LayoutMismatch as error:
            wrong = str(error)
            if not device.format_any and not speaks_our_format(header):
                raise LayoutMismatch(
                    f"{device.url}: {wrong}. If {device.what} is the card's memory, and holds nothing that is "
                    "needed, say so once with the option ?format"
                ) from None
        if _card_lives(memory):
            raise LayoutMismatch(
                f"{device.url}: {wrong}, and the card's agent is using it: stop that one, or ask for the same"
            )
        notes.append(f"{device.url}: {wrong}; the card's agent does not run, so it is laid out anew")
    format_window(memory, plan)
    return plan


def _lay_out_own(device: Device, memory: Memory, request: Request, notes: list[str]) -> Geometry:
    """The way of either side whose memory is its own: keep what is as wanted, with its counters, else make it anew."""
    plan = _plan(device, request)
    header = memory.read(0, HEADER_BYTES)
    try:
        found = Geometry.decode(header, device.size)
        if found.rings == plan.rings:
            return found
        wrong = f"it has rings of {human(found.ring_bytes)}, not {human(plan.ring_bytes)}"
    except LayoutMismatch as error:
        wrong = str(error)
    if header[:8] != bytes(8):
        notes.append(f"{device.url}: {wrong}; laid out anew")
    format_window(memory, plan)
    return plan


def _half_made(header: bytes) -> bool:
    """Is it what a host that was killed while it laid a window out leaves: all but the magic?"""
    return header[:8] == bytes(8) and speaks_our_format(L.MAGIC.to_bytes(8, "little") + header[8:16])


def _card_lives(memory: Memory) -> bool:
    """Does the card's heartbeat move?  Memory full of garbage shows none."""
    card = SideBlock(memory, L.CARD)
    beat = card.load("heartbeat")
    deadline = time.monotonic() + LISTEN
    while time.monotonic() < deadline:
        if card.load("heartbeat") != beat:
            return True
        time.sleep(0.01)
    return False


def format_window(memory: Memory, geometry: Geometry) -> None:
    """Lay out: the magic away first and back last, so that whoever looks meanwhile sees no window."""
    memory.store64(0, 0)
    memory.write(0, bytes(L.rings_offset(len(geometry.rings))))
    memory.write(0, geometry.encode(magic=False))
    memory.store64(0, L.MAGIC)
