"""What drivers and the device tree offer besides BARs: UIO, VFIO, u-dma-buf, XDMA, /dev/mem, reserved memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.codes.finding import FindingCode
from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.hw import devicetree, udmabuf, uio, vfio, xdma
from vnetcard.hw.sysfs import System, entries, text
from vnetcard.ring import layout as L
from vnetcard.terminal.sizes import human

GROUP_FIX = "run as root, or `vnetcard install-units` for its udev rule and join the group vnetcard"


def inspect(system: System, kind: str | None) -> list[Finding]:
    """Every device of every kind; of ``kind``, also that there is none."""
    findings = []
    for name, search in (("uio", _uio), ("vfio", _vfio), ("udmabuf", _udmabuf), ("xdma", _xdma), ("mem", _mem)):
        found = list(search(system))
        if not found and name == kind:
            missing, fix = _MISSING[name]
            found = [Finding(name, "device", Verdict.FAIL, f"none: {missing}", fix, ErrorCode.WINDOW_MISSING)]
        findings += found
    return findings


_MISSING = {
    "uio": ("/sys/class/uio is empty", "`modprobe uio_pdrv_genirq of_id=generic-uio`, and a node in the device tree"),
    "vfio": ("there is no /dev/vfio/vfio", "`modprobe vfio-pci`, with an IOMMU that is on"),
    "udmabuf": (
        "/sys/class/u-dma-buf is empty",
        "`modprobe u-dma-buf udmabuf0=4194304`; insmod succeeds even if the buffer could not be allocated (see dmesg): "
        "more than 4 MiB needs CMA (cma=64M on the kernel's command line)",
    ),
    "xdma": ("there is no /dev/xdma*", "load Xilinx's driver: `modprobe xdma`"),
    "mem": ("there is no /dev/mem", "a kernel with CONFIG_DEVMEM, or a uio: window on the same memory"),
}
"""Kind to what is missing, and what to do."""


def _device(system: System, area: str, path: Path, words: str) -> Finding:
    """A device node and whether this process may open it."""
    if not path.exists():
        words = f"{words}; but there is no {path}"
        return Finding(area, path.name, Verdict.FAIL, words, "is udev running?", FindingCode.NODE_MISSING)
    if not system.may(path):
        words = f"{words}; no permission for {path}"
        return Finding(area, path.name, Verdict.FAIL, words, GROUP_FIX, ErrorCode.WINDOW_PERMISSION)
    return Finding(area, path.name, Verdict.OK, words)


def _fits(finding: Finding, size: int) -> Finding:
    """``finding``, or a warning that ``size`` is not one of a window."""
    if finding.verdict is not Verdict.OK or L.WINDOW_MIN <= size <= L.WINDOW_MAX:
        return finding
    fix = f"give it {human(L.WINDOW_MIN)} to {human(L.WINDOW_MAX)}, 8 MiB if you can"
    words = f"{finding.detail}: {human(size)} are no window's size"
    return replace(finding, verdict=Verdict.WARN, detail=words, fix=fix, code=ErrorCode.WINDOW_SIZE)


def _uio(system: System) -> Iterator[Finding]:
    for device in uio.devices(system):
        maps = ", ".join(f"map{one.index} {human(one.size)}" for one in device.maps) or "no maps"
        found = _device(system, "uio", device.node, f"{device.name or 'unnamed'}: {maps}")
        yield _fits(found, max((one.size for one in device.maps), default=0))


def _vfio(system: System) -> Iterator[Finding]:
    own_devices = entries(system.dev / "vfio/devices")
    if own_devices:
        yield _device(system, "vfio", system.dev / "iommu", "iommufd")
    for node in own_devices:
        yield _device(system, "vfio", node, f"the function's own device {node.name}")
    container = system.dev / "vfio/vfio"
    if not container.exists():
        return
    yield _device(system, "vfio", container, "the container")
    groups = vfio.groups(system)
    for group in groups:
        found = _device(system, "vfio", group.node, f"group {group.name}")
        if group.noiommu and found.verdict is Verdict.OK:
            words = f"group {group.name}: no IOMMU protects it; vfio: windows need one"
            found = replace(found, verdict=Verdict.WARN, detail=words, fix="use pci:", code=FindingCode.NOIOMMU)
        yield found
    if not entries(system.sys / "kernel/iommu_groups"):
        words = "off: there is no group to open"
        yield Finding("vfio", "IOMMU", Verdict.FAIL, words, "boot with an IOMMU on", ErrorCode.IOMMU)


def _udmabuf(system: System) -> Iterator[Finding]:
    for buffer in udmabuf.buffers(system):
        words = f"{human(buffer.size or 0)} at {buffer.address or 0:#x}, sync_mode {buffer.sync_mode}"
        if buffer.bound:
            words += f", bound to {buffer.bound}"
        finding = _fits(_device(system, "udmabuf", buffer.node, words), buffer.size or 0)
        if not buffer.usable and finding.verdict is Verdict.OK:
            words = f"{words}: mapped cached, but its DMA is not coherent"
            fix = f"`echo 1 > {buffer.path / 'sync_mode'}`"
            finding = replace(finding, verdict=Verdict.FAIL, detail=words, fix=fix, code=ErrorCode.WINDOW_UNMAPPABLE)
        elif problem := udmabuf.map_problem(system, buffer):
            words, _, fix = f"{words}: {problem}".rpartition(": ")
            finding = replace(finding, verdict=Verdict.FAIL, detail=words, fix=fix, code=ErrorCode.WINDOW_UNMAPPABLE)
        yield finding


def _xdma(system: System) -> Iterator[Finding]:
    found = xdma.cards(system)
    if not found and xdma.wrong_module(system):
        words = "the loaded module xdma is the kernel's dmaengine driver of that name, which makes no /dev/xdma*"
        fix = "`rmmod xdma`, and load AMD's stock driver by its path: `insmod .../xdma.ko`"
        yield Finding("xdma", "module", Verdict.FAIL, words, fix, FindingCode.WRONG_MODULE)
    for card in found:
        name = f"xdma{card.index}"
        closed = [node.name for node in card.nodes if not system.may(node)]
        words = ", ".join(card.names)
        if card.missing and "user" in card.names and not closed:
            missing = " and no ".join(card.missing)
            words = f"{words}: no {missing} channel, so registers alone (?engine=xdma:{card.index})"
            fix = "for xdma: give the core channels of both directions"
            yield Finding("xdma", name, Verdict.WARN, words, fix, FindingCode.CHANNEL_MISSING)
        elif card.missing:
            words = f"{words}: no {' and no '.join(card.missing)} channel"
            fix = "give the core a channel of that direction"
            yield Finding("xdma", name, Verdict.FAIL, words, fix, FindingCode.CHANNEL_MISSING)
        elif closed:
            words = f"{words}; no permission for {', '.join(closed)}"
            yield Finding("xdma", name, Verdict.FAIL, words, GROUP_FIX, ErrorCode.WINDOW_PERMISSION)
        else:
            yield Finding("xdma", name, Verdict.OK, words)


def _mem(system: System) -> Iterator[Finding]:
    node = system.dev / "mem"
    if not node.exists():
        return
    lockdown = re.search(r"\[(\w+)\]", text(system.sys / "kernel/security/lockdown") or "")
    if lockdown and lockdown[1] != "none":
        words = f"the kernel is locked down ({lockdown[1]}): neither /dev/mem nor BARs can be mapped"
        fix = "switch Secure Boot off, or use vfio:"
        yield Finding("mem", "lockdown", Verdict.FAIL, words, fix, FindingCode.LOCKDOWN)
    if system.may(node):
        yield Finding("mem", "mem", Verdict.OK, "/dev/mem may be opened")
    else:
        fix = "run as root, or use a uio: window"
        yield Finding("mem", "mem", Verdict.FAIL, "no permission for /dev/mem", fix, ErrorCode.WINDOW_PERMISSION)
    yield from map(_reserved, devicetree.reserved(system))


def _reserved(node: devicetree.Reserved) -> Finding:
    """A range that the device tree keeps from the kernel: the card's window may lie there."""
    if node.problem:
        return Finding("mem", node.name, Verdict.WARN, node.problem, "", ErrorCode.DEVICE_BROKEN)
    (span, *more) = node.spans
    words = f"reserved in the device tree: {human(span.size)} at {span.start:#x}"
    if more:
        words += f" (and {len(more)} more ranges, which mem: does not use)"
    if not node.no_map:
        fix = "add `no-map;`: else the kernel keeps a cached mapping of the same memory"
        words = f"{words}, but the kernel maps it too"
        return Finding("mem", node.name, Verdict.WARN, words, fix, FindingCode.NO_MAP_MISSING)
    return _fits(Finding("mem", node.name, Verdict.OK, words), span.size)
