"""``vfio:BDF[/BAR]``: a memory BAR of a PCI function that the kernel's vfio-pci has, with its interrupts.

The way for an agent that is not root: /dev/vfio/GROUP belongs to whoever a udev rule says.  A function with the
registers of QEMU's ivshmem-doorbell in BAR 0 has interrupts: the sides wake one another.  ``format`` as for ``pci:``.

With ``engine`` the BAR is the register page of the DMA engine, this side's window is memory of its own (``+SIZE``) that
the IOMMU shows to the function at IOVA, and its first MSI-X is the engine's interrupt.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vnetcard._core import Memory
from vnetcard.engine import registers as R
from vnetcard.engine.dma import MappedRegisters
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw import vfio
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import human
from vnetcard.window import file
from vnetcard.window.contract import Request
from vnetcard.window.device import Device, DeviceWindow, open_device, read_device, split_options, system
from vnetcard.window.engine_window import EngineWindow
from vnetcard.window.interrupts import CONS, PROD, VECTORS, IrqTrigger
from vnetcard.window.pci import BARS, Function, find

OPTIONS: Final = ("engine", "format")
IOVA: Final = 1 << 32
"""Where the IOMMU shows this side's window to an engine: clear of what any machine reserves for interrupts."""
DRIVER: Final = "vfio-pci"
IVSHMEM: Final = (0x1AF4, 0x1110)
IV_POSITION, DOORBELL = 8, 12
"""Registers of ivshmem-doorbell in BAR 0: the own identity, and ``identity << 16 | vector`` to interrupt a peer."""
_REMEDY: Final = {
    errno.EBUSY: "another process has it: stop that one",
    errno.EACCES: "run as root, or let a udev rule give you the group",
    errno.EPERM: "no IOMMU protects the group: only root may have it, and only if vfio allows unsafe interrupts",
    errno.ENOENT: "load the module vfio-pci, and bind the function to it",
}


class IvshmemInterrupts:
    """The interrupts of a function that is QEMU's ivshmem-doorbell: ``vnetcard.window.interrupts.Interrupts``.

    Its BAR 0 is smaller than a page, which often cannot be mapped, so its registers are read and written by calls.
    """

    def __init__(self, function: vfio.Function) -> None:
        """Raises OSError."""
        self._fd, self._registers = function.fd, function.region(0).offset
        self._identity = int.from_bytes(os.pread(self._fd, 4, self._registers + IV_POSITION), "little")
        self._listener = [os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(VECTORS)]
        function.listen(self._listener)

    @property
    def number(self) -> int:
        return self._identity + 1

    @property
    def eventfds(self) -> tuple[int, int]:
        return self._listener[PROD], self._listener[CONS]

    def of_peer(self, number: int) -> tuple[IrqTrigger, IrqTrigger] | None:
        identity = number - 1
        if not 0 <= identity < 1 << 16 or identity == self._identity:
            return None
        at = self._registers + DOORBELL
        return IrqTrigger(self._fd, at, identity << 16 | PROD), IrqTrigger(self._fd, at, identity << 16 | CONS)

    def close(self) -> None:
        """Give the eventfds back."""
        for ear in self._listener:
            os.close(ear)


class VfioPage:
    """The engine's registers in a BAR: ``vnetcard.window.engine_window.Page``."""

    def __init__(self, function: vfio.Function, region: vfio.Region, device: Device) -> None:
        """Raises OSError."""
        self._function, self._device = function, device
        self._map = mmap.mmap(function.fd, R.PAGE_BYTES, offset=region.offset)
        self._memory = Memory(self._map, device=True)
        self.registers = MappedRegisters(self._memory)
        self.url, self.lost = device.url, device.lost
        self._irq_fd = -1

    def interrupt(self) -> int | None:
        """The eventfd of the engine's interrupt, if it has one; raises OSError."""
        if self._irq_fd < 0 and self._function.vectors():
            self._irq_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._function.listen([self._irq_fd])
        return self._irq_fd if self._irq_fd >= 0 else None

    def close(self) -> None:
        self._memory.close()
        self._map.close()
        if self._irq_fd >= 0:
            os.close(self._irq_fd)
            self._irq_fd = -1


def open_window(request: Request) -> DeviceWindow | EngineWindow:
    """Lay out or attach to the window in a BAR, or one behind an engine; see ``vnetcard.window.open_window``."""
    found = _find(request.place)
    if found.engine or found.interrupts is not None:
        try:
            request.want_one_pair(found.device.url, f"the {'engine' if found.engine else 'device'} serves no more")
        except ConfigError:
            found.device.release()
            raise
    if found.engine:
        return _open_behind_engine(found, request)
    window = open_device(found.device, request)
    window.interrupts = found.interrupts
    return window


def _open_behind_engine(found: _Found, request: Request) -> EngineWindow:
    device = found.device
    request = replace(request, size=request.size or L.WINDOW_DEFAULT)
    with contextlib.ExitStack() as opened:
        opened.callback(device.release)
        if device.size < R.PAGE_BYTES:
            raise ConfigError(f"{device.url}: {device.what} is too small for an engine's page of 4 KiB")
        window = file.open_window(replace(request, place=f"/dev/shm/vnetcard-vfio-{found.name}"))
        opened.callback(window.close)
        spans = window.spans()
        try:
            found.function.map_dma(spans, IOVA)
            page = VfioPage(found.function, found.region, device)
            opened.callback(page.close)
            whole = EngineWindow(window, page, request.side, IOVA)
            ear = page.interrupt()
        except OSError as error:
            raise WindowUnavailable(
                f"{device.url}: {found.name} cannot be let at {human(len(spans))} of memory, or heard "
                f"({error.strerror}): is the limit of locked memory (ulimit -l) high enough?"
            ) from error
        finally:
            spans.release()
        if ear is not None:
            whole.listen(ear)
        whole.url = device.url
        whole.gives_back(opened.pop_all().close)
        return whole


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the BAR's first bytes; not while an agent has the function."""
    return read_device(_find(place).device, limit)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a place names: the function, opened, the BAR, and the function's interrupts, if it has any."""

    name: str
    function: vfio.Function
    region: vfio.Region
    device: Device
    interrupts: IvshmemInterrupts | None
    engine: bool


def _find(place: str) -> _Found:
    url = f"vfio:{place}"
    bare, options = split_options(place, OPTIONS, url)
    where, slash, bar_text = bare.partition("/")
    if slash and bar_text not in {str(n) for n in BARS}:
        raise ConfigError(f"window {url}: there is no BAR {bar_text!r}; 0 to 5 are possible")
    function, usual = find(where.lower(), url)
    sizes = function.bars()
    bar = int(bar_text) if slash else usual if usual is not None else max(sizes, key=lambda n: sizes[n], default=0)
    if (driver := function.driver()) != DRIVER:
        raise WindowUnavailable(
            f"{url}: {function.name} belongs to {f'the kernel driver {driver}' if driver else 'no driver'}, not to "
            f"{DRIVER}: echo {DRIVER} > {function.path}/driver_override, unbind it from its driver if it has one, "
            f"and echo {function.name} > /sys/bus/pci/drivers_probe"
        )
    with contextlib.ExitStack() as opened:
        opened_function = _open(function, url)
        opened.callback(opened_function.close)
        region = opened_function.region(bar)
        if not region.size or not region.can_map:
            there = ", ".join(f"BAR {n} ({human(size)})" for n, size in sizes.items()) or "none"
            raise WindowUnavailable(f"{url}: BAR {bar} of {function.name} cannot be mapped; it has {there}")
        interrupts = None if "engine" in options else _interrupts(function, opened_function, url)
        if interrupts is not None:
            opened.callback(interrupts.close)
        device = Device(
            url=url,
            what=f"BAR {bar} of PCI function {function.name}",
            file=Path(f"/dev/vfio ({function.name})"),
            fd=opened_function.fd,
            size=region.size,
            lock=None,  # the group is one process's already
            offset=region.offset,
            format_any="format" in options,
            lost=function.lost,
            release=opened.pop_all().close,
        )
    return _Found(function.name, opened_function, region, device, interrupts, "engine" in options)


def _open(function: Function, url: str) -> vfio.Function:
    link = function.path / "iommu_group"
    if not link.exists():
        raise WindowUnavailable(
            f"{url}: {function.name} is in no IOMMU group: switch the IOMMU on (firmware, and iommu=... or "
            "intel_iommu=on on the kernel's command line), or use pci:"
        )
    group = system("/dev/vfio") / link.resolve().name
    try:
        return vfio.Function(group, system("/dev/vfio/vfio"), function.name)
    except vfio.NotViable:
        raise WindowUnavailable(
            f"{url}: another function of {group} has a kernel driver: bind all of the group to {DRIVER}, or to none "
            f"(ls {link}/devices)"
        ) from None
    except OSError as error:
        remedy = _REMEDY.get(error.errno or 0, "look at dmesg")
        raise WindowUnavailable(f"{url}: cannot open {group} ({error.strerror or error}): {remedy}") from error


def _interrupts(function: Function, opened: vfio.Function, url: str) -> IvshmemInterrupts | None:
    """Of an ivshmem-doorbell with enough vectors."""
    if function.ids() != IVSHMEM or opened.vectors() < VECTORS:
        return None
    try:
        return IvshmemInterrupts(opened)
    except OSError as error:
        raise WindowUnavailable(f"{url}: cannot use the interrupts of {function.name} ({error.strerror})") from error
