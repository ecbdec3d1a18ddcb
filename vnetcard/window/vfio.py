"""``vfio:BDF[/BAR]``: a memory BAR of a PCI function that the kernel's vfio-pci has, with its interrupts.

For an agent that is not root: a udev rule gives /dev/vfio/GROUP to a group.  Where the kernel makes no groups, the
function's own device /dev/vfio/devices/vfioN is opened, with /dev/iommu.  A function with the registers of QEMU's
ivshmem-doorbell in BAR 0 has interrupts: the sides wake each other.  ``format`` as for ``pci:``.

With ``engine`` the BAR is the register page of the DMA engine, this side's window is memory of its own (``+SIZE``) that
the IOMMU shows to the function at IOVA, and its first MSI-X is the engine's interrupt.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vnetcard._core import Memory
from vnetcard.codes.error import ErrorCode
from vnetcard.engine import registers as R
from vnetcard.engine.dma import MappedRegisters
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw import iommufd, pci, vfio
from vnetcard.hw.mapping import Device, code_of
from vnetcard.hw.sysfs import System
from vnetcard.ring import layout as L
from vnetcard.terminal.sizes import human
from vnetcard.window import file
from vnetcard.window.contract import Request
from vnetcard.window.device import DeviceWindow, open_device, read_device, split_options
from vnetcard.window.engine_window import EngineWindow
from vnetcard.window.interrupts import CONS, PROD, VECTORS, IrqTrigger

OPTIONS: Final = ("engine", "format")
IOVA: Final = 1 << 32
"""Where the IOMMU shows this side's window to an engine: clear of what any machine reserves for interrupts."""
DRIVER: Final = "vfio-pci"
IVSHMEM: Final = (0x1AF4, 0x1110)
IV_POSITION, DOORBELL = 8, 12
"""Registers of ivshmem-doorbell in BAR 0: the own identity, and ``identity << 16 | vector`` to interrupt a peer."""
_DEVICES: Final = "devices"
"""The folder in /dev/vfio with a device for each function."""
_REMEDY: Final = {
    errno.EBUSY: "another process has it: end that process",
    errno.EACCES: "run as root, or let a udev rule give you the group",
    errno.EPERM: "no IOMMU protects the group: only root may open it, and only if vfio allows unsafe interrupts",
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
        self._eventfds = [os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(VECTORS)]
        function.listen(self._eventfds)

    @property
    def number(self) -> int:
        return self._identity + 1

    @property
    def eventfds(self) -> tuple[int, int]:
        return self._eventfds[PROD], self._eventfds[CONS]

    def of_peer(self, number: int) -> tuple[IrqTrigger, IrqTrigger] | None:
        identity = number - 1
        if not 0 <= identity < 1 << 16 or identity == self._identity:
            return None
        at = self._registers + DOORBELL
        return IrqTrigger(self._fd, at, identity << 16 | PROD), IrqTrigger(self._fd, at, identity << 16 | CONS)

    def close(self) -> None:
        """Close the eventfds."""
        for eventfd in self._eventfds:
            os.close(eventfd)


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
    window = open_device(found.device, request, any_content=found.any_content)
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
            eventfd = page.interrupt()
        except OSError as error:
            raise WindowUnavailable(
                f"{device.url}: cannot map {human(len(spans))} of memory for {found.name}, or use its interrupts "
                f"({error.strerror}): is the limit of locked memory (ulimit -l) high enough?",
                code=code_of(error),
            ) from error
        finally:
            spans.release()
        if eventfd is not None:
            whole.listen(eventfd)
        whole.url = device.url
        whole.on_close(opened.pop_all().close)
        return whole


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the BAR's first bytes; not while an agent has the function."""
    found = _find(place)
    return read_device(found.device, limit, any_content=found.any_content)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a place names: the function, opened, the BAR, and the function's interrupts, if it has any."""

    name: str
    function: vfio.Function
    region: vfio.Region
    device: Device
    interrupts: IvshmemInterrupts | None
    options: Mapping[str, str]

    @property
    def engine(self) -> bool:
        """Is the BAR the register page of an engine?"""
        return "engine" in self.options

    @property
    def any_content(self) -> bool:
        """May the host lay a window out whatever the memory holds?"""
        return "format" in self.options


def locate(place: str, size: int | None, system: System) -> Device:
    """The BAR that ``place`` names, with its function's group or device as the file; opens nothing."""
    del size
    function, bar, _ = _choose(place, system)
    return _device(f"vfio:{place}", function, bar, _node(function, f"vfio:{place}", system))


def _choose(place: str, system: System) -> tuple[pci.Function, pci.Bar, Mapping[str, str]]:
    url = f"vfio:{place}"
    bare, options = split_options(place, OPTIONS, url)
    least = R.PAGE_BYTES if "engine" in options else L.WINDOW_MIN
    function, bar = pci.choose(system, pci.Place.parse(bare, url), url, least=least, driver=DRIVER)
    if function.driver != DRIVER:
        owner = f"the kernel driver {function.driver}" if function.driver else "no driver"
        raise WindowUnavailable(
            f"{url}: {function.address} belongs to {owner}, not to {DRIVER}: "
            f"echo {DRIVER} > {function.path}/driver_override, unbind it from its driver if it has one, "
            f"and echo {function.address} > /sys/bus/pci/drivers_probe",
            code=ErrorCode.DRIVER_BOUND,
        )
    return function, bar, options


def _device(url: str, function: pci.Function, bar: pci.Bar, node: Path) -> Device:
    return Device(
        url=url,
        what=f"BAR {bar.index} of PCI function {function.address}",
        file=node,
        size=bar.size,
        lock=None,  # one process at a time opens it
        lost=function.lost,
    )


def _find(place: str) -> _Found:
    url, system = f"vfio:{place}", System.here()
    function, chosen, options = _choose(place, system)
    bar, node = chosen.index, _node(function, url, system)
    with contextlib.ExitStack() as opened:
        opened_function = _open(function, node, url, system)
        opened.callback(opened_function.close)
        region = opened_function.region(bar)
        if not region.size or not region.can_map:
            has = ", ".join(f"BAR {one.index} ({human(one.size)})" for one in function.bars) or "none"
            raise WindowUnavailable(
                f"{url}: BAR {bar} of {function.address} cannot be mapped; it has {has}",
                code=ErrorCode.WINDOW_UNMAPPABLE,
            )
        interrupts = None if "engine" in options else _interrupts(function, opened_function, url)
        if interrupts is not None:
            opened.callback(interrupts.close)
        device = replace(
            _device(url, function, chosen, node),
            file=Path(f"/dev/vfio ({function.address})"),
            fd=opened_function.fd,
            size=region.size,
            offset=region.offset,
            release=opened.pop_all().close,
        )
    return _Found(function.address, opened_function, region, device, interrupts, options)


def _node(function: pci.Function, url: str, system: System) -> Path:
    """The node of the function's IOMMU group in /dev/vfio, or of the function itself where there are no groups."""
    link = function.path / "iommu_group"
    if not link.exists():
        raise WindowUnavailable(
            f"{url}: {function.address} is in no IOMMU group: switch the IOMMU on (firmware, and iommu=... or "
            "intel_iommu=on on the kernel's command line), or use pci:",
            code=ErrorCode.IOMMU,
        )
    name = link.resolve().name
    if any(group.noiommu and group.name == f"noiommu-{name}" for group in vfio.groups(system)):
        raise WindowUnavailable(
            f"{url}: /dev/vfio/noiommu-{name}: VFIO was told to do without an IOMMU, so the function could reach all "
            "memory: switch the IOMMU on, or use pci:",
            code=ErrorCode.IOMMU,
        )
    group = system.dev / "vfio" / name
    return group if group.exists() else iommufd.node_of(system, function.path) or group


def _open(function: pci.Function, node: Path, url: str, system: System) -> vfio.Function:
    try:
        if node.parent.name == _DEVICES:
            return iommufd.CdevFunction(node, system.dev / "iommu")
        return vfio.GroupFunction(node, system.dev / "vfio/vfio", function.address)
    except vfio.NotViable:
        raise WindowUnavailable(
            f"{url}: another function of {node} has a kernel driver: bind all of the group to {DRIVER}, or to none "
            f"(ls {function.path / 'iommu_group'}/devices)",
            code=ErrorCode.DRIVER_BOUND,
        ) from None
    except OSError as error:
        remedy = _REMEDY.get(error.errno or 0, "see dmesg")
        raise WindowUnavailable(
            f"{url}: cannot open {error.filename or node} ({error.strerror or error}): {remedy}", code=code_of(error)
        ) from error


def _interrupts(function: pci.Function, opened: vfio.Function, url: str) -> IvshmemInterrupts | None:
    """Of an ivshmem-doorbell with enough vectors."""
    if (function.vendor, function.device) != IVSHMEM or opened.vectors() < VECTORS:
        return None
    try:
        return IvshmemInterrupts(opened)
    except OSError as error:
        raise WindowUnavailable(f"{url}: cannot use the interrupts of {function.address} ({error.strerror})") from error
