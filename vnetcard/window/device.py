"""Windows that are device memory (a BAR, reserved memory, a UIO map): the part that they share.

The memory exists before the agents and after them, so no agent creates or removes it.  **The host lays the window
out; the card attaches**, and waits as long as there is nothing to attach to.  The lock of a side is held on the
device's own file and dies with its owner; it is local to a machine, as device memory has no lock across PCIe.
Memory that reads as all ones is gone.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from random import SystemRandom

from vnetcard._core import Memory
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, LayoutMismatch, WindowNotReady, WindowUnavailable
from vnetcard.hw.mapping import ALL_ONES, Device, Mapping, open_file
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry, speaks_our_format
from vnetcard.ring.sideblock import SideBlock
from vnetcard.terminal.sizes import human
from vnetcard.window import locks
from vnetcard.window.c2h_memory import C2hMark
from vnetcard.window.contract import Request
from vnetcard.window.interrupts import Interrupts
from vnetcard.window.superblock import Superblock

LISTEN = 0.35
"""Seconds to watch the card's heartbeat, which moves every 0.1 s, before its window is laid out again."""


def split_options(place: str, known: tuple[str, ...], url: str) -> tuple[str, dict[str, str]]:
    """``PLACE?one&two=value`` taken apart, '' as the value of ``one``.

    ConfigError for an option that is not ``known``; one with a value is known with its ``=``.
    """
    bare, mark, text = place.partition("?")
    options: dict[str, str] = {}
    for option in text.split("&") if mark else ():
        name, equals, value = option.partition("=")
        if name + equals not in known:
            raise ConfigError(
                f"window {url}: there is no option {option!r}; known are {', '.join(known)}", code=ErrorCode.BAD_URL
            )
        options[name] = value
    return bare, options


class _Held:
    """A device's mapping and, once locked, this process's lock on one side of it."""

    def __init__(self, device: Device, mapping: Mapping) -> None:
        self._device, self._mapping = device, mapping
        self._lock_fds: list[int] = []
        self.memory = mapping.memory

    def lock(self, side: int) -> None:
        """Hold the lock of ``side`` until ``close``; WindowUnavailable names its present owner."""
        for device in (self._device, self._device.beside):
            if device is not None and device.lock is not None:
                self._lock(device, device.lock, side)

    def _lock(self, device: Device, file: Path, side: int) -> None:
        fd = open_file(file, device)
        self._lock_fds.append(fd)
        try:
            free = locks.try_lock(fd, device.lock_at + side)
        except OSError as error:
            raise WindowUnavailable(f"{device.url}: cannot lock {file} ({error.strerror})") from error
        if not free:
            raise locks.taken(fd, device.lock_at + side, f"the {L.SIDES[side]} side of {device.url}")

    def close(self) -> None:
        self._mapping.close()
        for fd in self._lock_fds:
            os.close(fd)  # which unlocks the side


class DeviceWindow:
    """A window in device memory; see ``vnetcard.window.Window`` for the contract."""

    def __init__(
        self, device: Device, held: _Held, side: int, geometry: Geometry, notes: tuple[str, ...], *, sole: bool
    ) -> None:
        self._device, self._held, self._open = device, held, True
        self.url = device.url
        self.memory = held.memory
        own = SideBlock(self.memory, side)
        own.write_identity()  # a second opener's message names this process
        own.store("layout", geometry.checksum)
        self.geometry = geometry
        self._superblock = Superblock(self.memory, side, geometry, sole=sole)
        self._c2h = C2hMark(self.memory, side, geometry) if geometry.c2h_beside else None
        self.restored = self._superblock.restored
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
        if not self._superblock.check():
            return f"{self.url}: the host has laid the window out again"
        if self._c2h is not None and self._device.beside is not None:
            return self._device.beside.lost() or self._c2h.problem(self._device.beside)
        return None

    def close(self) -> None:
        if not self._open:
            return
        self._held.close()
        self._open = False
        self._device.release()


def open_device(
    device: Device, request: Request, *, any_content: bool = False, one_sided: bool = False
) -> DeviceWindow:
    """Lay out or attach to the window in ``device``; raises as ``vnetcard.window.open_window`` says.

    ``any_content``: the host may lay the window out whatever the memory holds.  ``one_sided``: the memory is this
    side's alone and a DMA engine connects it to the peer's, so either side lays its own out.  ``device`` is released
    if this fails.
    """
    try:
        device = fit(device, request.size)
        held = _Held(device, Mapping(device, any_content=any_content))
        try:
            held.lock(request.side)
            notes: list[str] = []
            if one_sided:
                geometry = _lay_out_own(device, held.memory, request, notes)
            elif request.side == L.HOST:
                geometry = _lay_out(device, held.memory, request, notes, any_content=any_content)
            else:
                geometry = _attach(device, held.memory, request)
            if device.beside is not None:
                C2hMark(held.memory, request.side, geometry).meet(device.beside)
            sole = one_sided or request.side == L.HOST
            return DeviceWindow(device, held, request.side, geometry, tuple(notes), sole=sole)
        except BaseException:
            held.close()
            raise
    except BaseException:
        device.release()
        raise


def read_device(device: Device, limit: int | None, *, any_content: bool = False) -> bytes:
    """A copy of the first ``limit`` bytes (default all); nothing is locked or written.  ``device`` is released."""
    try:
        device = _cut(device, device.size)
        mapping = Mapping(device, any_content=any_content)
        try:
            size = mapping.memory.size
            return mapping.memory.read(0, size if limit is None else min(limit, size))
        finally:
            mapping.close()
    finally:
        device.release()


def fit(device: Device, size: int | None) -> Device:
    """``device`` cut to ``size`` bytes (None: all of it); ConfigError if that cannot be a window."""
    size = device.size if size is None else size
    if size > device.size:
        raise ConfigError(
            f"{device.url}: asked for {human(size)}, {device.what} has {human(device.size)}", code=ErrorCode.WINDOW_SIZE
        )
    if size & (size - 1) or size < L.WINDOW_MIN:
        raise ConfigError(
            f"{device.url}: {human(size)} of {device.what} cannot be a window: "
            f"it has a power of two, {human(L.WINDOW_MIN)} or more; name another BAR or memory, or add +SIZE",
            code=ErrorCode.WINDOW_SIZE,
        )
    return _cut(device, min(size, L.WINDOW_MAX))


def _cut(device: Device, size: int) -> Device:
    """The first ``size`` bytes of ``device``, and of the memory beside it; ConfigError if that has fewer."""
    beside = device.beside
    if beside is None:
        return replace(device, size=size)
    if beside.size < size:
        raise ConfigError(
            f"{device.url}: {beside.what} has {human(beside.size)}; for the c2h rings it needs as much as the window, "
            f"{human(size)}",
            code=ErrorCode.WINDOW_SIZE,
        )
    return replace(device, size=size, beside=replace(beside, size=size))


def _plan(device: Device, request: Request) -> Geometry:
    return Geometry.plan(
        device.size,
        queue_bytes=request.queue_bytes,
        queues=request.queues or 1,
        instance=SystemRandom().randrange(1, 1 << 32),
        removable=False,
        c2h_beside=device.beside is not None,
    )


def _decode(device: Device, header: bytes) -> Geometry:
    return Geometry.decode(header, device.size, c2h_beside=device.beside is not None)


def _attach(device: Device, memory: Memory, request: Request) -> Geometry:
    """For the card: what the host has laid out, or WindowNotReady."""
    try:
        geometry = _decode(device, memory.read(0, HEADER_BYTES))
    except LayoutMismatch as error:
        raise WindowNotReady(f"{device.url}: {error}; waiting for the host's agent to lay the window out") from error
    if wrong := request.objection(geometry):
        raise LayoutMismatch(f"{device.url}: {wrong}; the host's agent decides that: ask for the same, or for nothing")
    return geometry


def _lay_out(device: Device, memory: Memory, request: Request, notes: list[str], *, any_content: bool) -> Geometry:
    """For the host: keep a window that is as requested, replace any other of ours, refuse foreign contents."""
    header = memory.read(0, HEADER_BYTES)
    plan = _plan(device, request)
    if any(header) and not _half_made(header):
        try:
            found = _decode(device, header)
            wrong = request.objection(found)
            if wrong is None:
                return found
        except LayoutMismatch as error:
            wrong = str(error)
            if not any_content and not speaks_our_format(header):
                raise LayoutMismatch(
                    f"{device.url}: {wrong}. If {device.what} is the card's memory, and holds nothing that is "
                    "needed, say so once with the option ?format"
                ) from None
        if _card_lives(memory):
            raise LayoutMismatch(
                f"{device.url}: {wrong}, and the card's agent is using it: stop that agent, or ask for the same"
            )
        notes.append(f"{device.url}: {wrong}; the card's agent does not run, so it is laid out again")
    format_window(memory, plan)
    return plan


def _lay_out_own(device: Device, memory: Memory, request: Request, notes: list[str]) -> Geometry:
    """For either side whose memory is its own: keep a window that is as requested, with its counters, or replace it."""
    plan = _plan(device, request)
    header = memory.read(0, HEADER_BYTES)
    try:
        found = _decode(device, header)
        if found.rings == plan.rings:
            return found
        wrong = f"it has rings of {human(found.ring_bytes)}, not {human(plan.ring_bytes)}"
    except LayoutMismatch as error:
        wrong = str(error)
    if header[:8] != bytes(8):
        notes.append(f"{device.url}: {wrong}; laid out again")
    format_window(memory, plan)
    return plan


def _half_made(header: bytes) -> bool:
    """True: a host was killed while it laid the window out, so everything but the magic is there."""
    return header[:8] == bytes(8) and speaks_our_format(L.MAGIC.to_bytes(8, "little") + header[8:16])


def _card_lives(memory: Memory) -> bool:
    """Does the card's heartbeat move within LISTEN?  In memory full of garbage it does not."""
    card = SideBlock(memory, L.CARD)
    beat = card.load("heartbeat")
    deadline = time.monotonic() + LISTEN
    while time.monotonic() < deadline:
        if card.load("heartbeat") != beat:
            return True
        time.sleep(0.01)
    return False


def format_window(memory: Memory, geometry: Geometry) -> None:
    """Lay out a window: the magic is cleared first and stored last, so a concurrent reader finds no window."""
    memory.store64(0, 0)
    memory.write(0, bytes(L.rings_offset(len(geometry.rings))))
    memory.write(0, geometry.encode(magic=False))
    memory.store64(0, L.MAGIC)
