"""What drivers and the device tree offer besides BARs: UIO, VFIO, u-dma-buf, XDMA, /dev/mem, reserved memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.hw.sysfs import System, entries, number, text
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import human

GROUP_FIX = "run as root, or `vnetcard install-units` for its udev rule and join the group vnetcard"


def look(system: System, kind: str | None) -> list[Finding]:
    """Every device of every kind; of ``kind``, also that there is none."""
    findings = []
    for name, search in (("uio", _uio), ("vfio", _vfio), ("udmabuf", _udmabuf), ("xdma", _xdma), ("mem", _mem)):
        found = list(search(system))
        if not found and name == kind:
            found = [Finding(name, "device", Verdict.FAIL, f"none: {_MISSING[name][0]}", _MISSING[name][1])]
        findings += found
    return findings


_MISSING = {
    "uio": ("/sys/class/uio is empty", "`modprobe uio_pdrv_genirq of_id=generic-uio`, and a node in the device tree"),
    "vfio": ("there is no /dev/vfio/vfio", "`modprobe vfio-pci`, with an IOMMU that is on"),
    "udmabuf": ("/sys/class/u-dma-buf is empty", "`modprobe u-dma-buf udmabuf0=8388608`"),
    "xdma": ("there is no /dev/xdma*", "load Xilinx's driver: `modprobe xdma`"),
    "mem": ("there is no /dev/mem", "a kernel with CONFIG_DEVMEM, or a uio: window on the same memory"),
}
"""Kind to what is missing, and what to do."""


def _device(system: System, area: str, path: Path, words: str) -> Finding:
    """A device node and whether we may open it."""
    if not path.exists():
        return Finding(area, path.name, Verdict.FAIL, f"{words}; but there is no {path}", "is udev running?")
    if not system.may(path):
        return Finding(area, path.name, Verdict.FAIL, f"{words}; no permission for {path}", GROUP_FIX)
    return Finding(area, path.name, Verdict.OK, words)


def _fits(finding: Finding, size: int) -> Finding:
    """``finding``, or that its ``size`` is not one of a window."""
    if finding.verdict is not Verdict.OK or L.WINDOW_MIN <= size <= L.WINDOW_MAX:
        return finding
    fix = f"give it {human(L.WINDOW_MIN)} to {human(L.WINDOW_MAX)}, 8 MiB if you can"
    return Finding(
        finding.area, finding.subject, Verdict.WARN, f"{finding.detail}: {human(size)} are no window's size", fix
    )


def _uio(system: System) -> Iterator[Finding]:
    for path in entries(system.sys / "class/uio"):
        sizes = [number(one / "size") or 0 for one in entries(path / "maps")]
        maps = ", ".join(f"map{n} {human(size)}" for n, size in enumerate(sizes)) or "no maps"
        found = _device(system, "uio", system.dev / path.name, f"{text(path / 'name') or 'unnamed'}: {maps}")
        yield _fits(found, max(sizes, default=0))


def _vfio(system: System) -> Iterator[Finding]:
    folder = system.dev / "vfio"
    if (folder / "vfio").exists():
        yield _device(system, "vfio", folder / "vfio", "the container")
        for group in entries(folder):
            if group.name.isdigit() or group.name.startswith("noiommu-"):
                yield _device(system, "vfio", group, f"group {group.name}")
        if not entries(system.sys / "kernel/iommu_groups"):
            yield Finding("vfio", "IOMMU", Verdict.FAIL, "off: there is no group to open", "boot with an IOMMU on")


def _udmabuf(system: System) -> Iterator[Finding]:
    for path in entries(system.sys / "class/u-dma-buf"):
        size, at = number(path / "size") or 0, number(path / "phys_addr") or 0
        words = f"{human(size)} at {at:#x}, sync_mode {text(path / 'sync_mode') or '?'}"
        yield _fits(_device(system, "udmabuf", system.dev / path.name, words), size)


def _xdma(system: System) -> Iterator[Finding]:
    cards = sorted({found[1] for one in entries(system.dev, "xdma*_*") if (found := re.match(r"xdma(\d+)_", one.name))})
    for card in cards:
        nodes = entries(system.dev, f"xdma{card}_*")
        names = [one.name.partition("_")[2] for one in nodes]
        closed = [one.name for one in nodes if not system.may(one)]
        missing = [way for way in ("h2c", "c2h") if not any(name.startswith(f"{way}_") for name in names)]
        words = ", ".join(names)
        if missing and "user" in names and not closed:
            words = f"{words}: no {' and no '.join(missing)} channel, so registers alone (?engine=xdma:{card})"
            yield Finding("xdma", f"xdma{card}", Verdict.WARN, words, "for xdma: give the core channels both ways")
        elif missing:
            fix = "give the core a channel of that direction"
            yield Finding("xdma", f"xdma{card}", Verdict.FAIL, f"{words}: no {' and no '.join(missing)} channel", fix)
        elif closed:
            words = f"{words}; no permission for {', '.join(closed)}"
            yield Finding("xdma", f"xdma{card}", Verdict.FAIL, words, GROUP_FIX)
        else:
            yield Finding("xdma", f"xdma{card}", Verdict.OK, words)


def _mem(system: System) -> Iterator[Finding]:
    reserved = list(_reserved(system))
    if not (system.dev / "mem").exists():
        return
    lockdown = re.search(r"\[(\w+)\]", text(system.sys / "kernel/security/lockdown") or "")
    if lockdown and lockdown[1] != "none":
        words = f"the kernel is locked down ({lockdown[1]}): neither /dev/mem nor BARs can be mapped"
        yield Finding("mem", "lockdown", Verdict.FAIL, words, "switch Secure Boot off, or use vfio:")
    if system.may(system.dev / "mem"):
        yield Finding("mem", "mem", Verdict.OK, "/dev/mem may be opened")
    else:
        yield Finding("mem", "mem", Verdict.FAIL, "no permission for /dev/mem", "run as root, or use a uio: window")
    yield from reserved


def _reserved(system: System) -> Iterator[Finding]:
    """Memory that the device tree keeps from the kernel: what a card's window may lie in."""
    folder = system.proc / "device-tree/reserved-memory"
    for node in entries(folder):
        try:
            place = (node / "reg").read_bytes()
        except OSError:
            continue
        if len(place) != 16:  # two cells each for address and size, as on every 64-bit machine
            continue
        at, size = int.from_bytes(place[:8], "big"), int.from_bytes(place[8:], "big")
        words = f"reserved in the device tree: {human(size)} at {at:#x}"
        if (node / "no-map").exists():
            yield _fits(Finding("mem", node.name, Verdict.OK, words), size)
        else:
            fix = "add `no-map;`: else the kernel keeps a cached mapping of the same memory"
            yield Finding("mem", node.name, Verdict.WARN, f"{words}, but the kernel maps it too", fix)
