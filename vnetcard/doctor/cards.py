"""PCI cards judged: driver, memory decoding, BARs, permission, bus speed, IOMMU; each finding with its fix."""

from __future__ import annotations

from collections.abc import Iterator

from vnetcard.codes.code import Code
from vnetcard.codes.error import ErrorCode
from vnetcard.codes.finding import FindingCode
from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.doctor.wanted import Wanted
from vnetcard.hw.pci import Bar, Function, functions
from vnetcard.hw.pci_cards import KNOWN
from vnetcard.hw.sysfs import System, entries, number, text
from vnetcard.hw.uio import devices as uio_devices
from vnetcard.ring import layout as L
from vnetcard.terminal.sizes import human

GO_BETWEEN = {"vfio-pci": "vfio", "xdma": "xdma", "uio_pci_generic": "uio"}
"""Drivers that hand a function to user space, and the kind of window that goes through them.

They turn its memory decoding on themselves, and sysfs's files are not used; only for vfio: must a BAR hold a window.
"""
MASTERING = ("vfio", "xdma", "udmabuf")
"""Kinds of windows for which the card reads and writes memory itself."""
COMMAND_MEMORY, COMMAND_MASTER = 0x2, 0x4
"""Bits of the command register: the function answers at its BARs; it may read and write memory itself."""


def inspect(system: System, wanted: Wanted, *, everything: bool = False) -> list[Finding]:
    """The state of each card, for the window that is ``wanted``; ``everything``: list all other functions too."""
    found = [one for one in functions(system) if one.bars]
    place = wanted.place if wanted.place is not None and wanted.place.function != "auto" else None
    cards = [one for one in found if (place.names(one) if place else one.known)]
    findings = [finding for card in cards for finding in judge(system, card, wanted)]
    others = [one for one in found if one not in cards]
    if everything:
        findings += [_finding(one, "", Verdict.OK, str(one)) for one in others]
    elif others:
        words = f"{len(others)} functions with memory BARs; --all lists them"
        findings.append(Finding("pci", "others", Verdict.OK, words))
    if not cards:
        findings.insert(0, _not_there(place.function) if place else _none_found(wanted.kind))
    return findings


def _not_there(name: str) -> Finding:
    fix = "see `vnetcard doctor --all` and `lspci -nn`; programmed after the boot: `echo 1 > /sys/bus/pci/rescan`"
    words = "there is no such function with a memory BAR"
    return Finding("pci", name, Verdict.FAIL, words, fix, ErrorCode.WINDOW_MISSING)


def _none_found(kind: str | None) -> Finding:
    names = "; ".join(dict.fromkeys(f"{card.vendor:04x} {card.name}" for card in KNOWN))
    if kind in ("pci", "vfio"):
        fix = "is the card in its slot, powered, and its FPGA programmed? then `echo 1 > /sys/bus/pci/rescan`"
        return Finding("pci", "card", Verdict.FAIL, f"none found ({names})", fix, FindingCode.CARD_MISSING)
    return Finding("pci", "card", Verdict.OK, f"none found ({names}); shm: and sim: windows need none")


def _finding(
    card: Function, subject: str, verdict: Verdict, detail: str, fix: str = "", *, code: Code = FindingCode.OK
) -> Finding:
    return Finding("pci", f"{card.address} {subject}".strip(), verdict, detail, fix, code)


def judge(system: System, card: Function, wanted: Wanted) -> Iterator[Finding]:
    """One finding for each thing that can be wrong with a card."""
    if card.vendor == 0xFFFF or card.command == 0xFFFF:
        fix = f"is its FPGA programmed? then `echo 1 > {card.path}/remove; echo 1 > /sys/bus/pci/rescan`"
        words = "reads as all ones: the device has left the bus"
        yield _finding(card, "", Verdict.FAIL, words, fix, code=ErrorCode.DEVICE_GONE)
        return
    automatic = "" if card.known is None or card.known.automatic else "; pci:auto does not take it: name it"
    yield _finding(card, "", Verdict.OK, f"{card}{automatic}")
    yield _driver(system, card, wanted.kind)
    through = GO_BETWEEN.get(card.driver) if wanted.kind != "pci" else None
    if through is None:
        yield _decoding(system, card, wanted.kind)
    if through in (None, "vfio"):
        yield from _window(system, card, wanted.place.bar if wanted.place else None, by_file=through is None)
    yield from _bus(card)
    yield _iommu(system, card, wanted.kind)


def _driver(system: System, card: Function, kind: str | None) -> Finding:
    if not card.driver:
        if kind == "vfio":
            words, fix = "none, and vfio: goes through vfio-pci", _bind(card, "vfio-pci")
            return _finding(card, "driver", Verdict.FAIL, words, fix, code=ErrorCode.DRIVER_BOUND)
        return _finding(card, "driver", Verdict.OK, "none: pci: may use it")
    through = GO_BETWEEN.get(card.driver)
    fix = f"`echo {card.address} > /sys/bus/pci/drivers/{card.driver}/unbind`"
    if through == "uio" and kind in (None, "uio") and not _has_uio_map(system, card):
        words = "uio_pci_generic maps no 64-bit prefetchable BAR, so there is no map for a window"
        verdict = Verdict.FAIL if kind == "uio" else Verdict.WARN
        return _finding(card, "driver", verdict, words, f"{fix} and use pci:", code=ErrorCode.DRIVER_BOUND)
    if through and kind in (None, through):
        return _finding(card, "driver", Verdict.OK, f"{card.driver}: use a {through}: window")
    if through:
        fix += f", or name a {through}: window"
    words = f"the kernel's {card.driver} owns it; pci: refuses it, and ?force fails under CONFIG_IO_STRICT_DEVMEM"
    return _finding(card, "driver", Verdict.FAIL, words, fix, code=ErrorCode.DRIVER_BOUND)


def _has_uio_map(system: System, card: Function) -> bool:
    """Has a UIO device of this function a map that holds a window?"""
    own = {path.name for path in entries(card.path / "uio")}
    return any(
        one.size >= L.WINDOW_MIN for device in uio_devices(system) if device.path.name in own for one in device.maps
    )


def _bind(card: Function, driver: str) -> str:
    return (
        f"`modprobe {driver}; echo {driver} > {card.path}/driver_override; "
        f"echo {card.address} > /sys/bus/pci/drivers_probe`"
    )


def _decoding(system: System, card: Function, kind: str | None) -> Finding:
    if card.command is None:
        words = "cannot read configuration space"
        fix = "run the doctor as root"
        return _finding(card, "decoding", Verdict.WARN, words, fix, code=FindingCode.CONFIG_UNREADABLE)
    if not card.command & COMMAND_MEMORY:
        fix = f"`echo 1 > {card.path}/enable` (an agent that may does it itself)"
        verdict = Verdict.WARN if system.may(card.path / "enable") else Verdict.FAIL
        words = "memory decoding is disabled: its BARs read as all ones"
        return _finding(card, "decoding", verdict, words, fix, code=FindingCode.DECODING_OFF)
    if not card.command & COMMAND_MASTER:
        fix = f"its driver does that; by hand `setpci -s {card.address} COMMAND=4:4`"
        words = "memory on, bus mastering off: enough for a BAR, not for a DMA engine or MSI"
        verdict = Verdict.WARN if kind in MASTERING else Verdict.OK
        return _finding(card, "decoding", verdict, words, fix, code=FindingCode.MASTERING_OFF)
    return _finding(card, "decoding", Verdict.OK, "memory on, bus mastering on")


def _window(system: System, card: Function, index: int | None, *, by_file: bool) -> Iterator[Finding]:
    bar = card.best_bar(L.WINDOW_MIN) if index is None else card.bar(index)
    if index is not None and (bar is None or bar.size < L.WINDOW_MIN):
        has = ", ".join(map(str, card.bars))
        fix = f"name one of {human(L.WINDOW_MIN)} or more"
        words = f"BAR{index} cannot be one (found: {has})"
        yield _finding(card, "window", Verdict.FAIL, words, fix, code=ErrorCode.WINDOW_SIZE)
        return
    if bar is None:
        most = max(card.bars, key=lambda one: one.size)
        fix = f"give the design a BAR of {human(L.WINDOW_MIN)} at least, better 8 MiB, 64-bit prefetchable"
        words = f"no BAR is large enough for one: {most} is the largest"
        yield _finding(card, "window", Verdict.FAIL, words, fix, code=ErrorCode.WINDOW_SIZE)
        return
    if bar.address == 0:
        fix = "the firmware gave it no address: boot with pci=realloc, or enable Above 4G Decoding"
        yield _finding(card, "window", Verdict.FAIL, f"{bar} has no bus address", fix, code=FindingCode.BAR_UNASSIGNED)
        return
    if by_file:
        yield _mapping(card, bar)
        yield _permission(system, card, bar)


def _mapping(card: Function, bar: Bar) -> Finding:
    resource = card.resource(bar)
    if not resource.exists():
        fix = "a kernel with sysfs's PCI mappings, and no lockdown; else bind vfio-pci and use vfio:"
        words = f"{bar} has no resource{bar.index} file"
        return _finding(card, "mapping", Verdict.FAIL, words, fix, code=ErrorCode.WINDOW_MISSING)
    if resource.name.endswith("_wc"):
        return _finding(card, "mapping", Verdict.OK, f"{bar} by {resource.name}, write-combining")
    fix = "make the BAR 64-bit prefetchable in the design: the kernel then offers a write-combining mapping"
    words = f"{bar} by {resource.name}, uncached: every store crosses the bus alone"
    return _finding(card, "mapping", Verdict.WARN, words, fix, code=FindingCode.MAP_UNCACHED)


def _permission(system: System, card: Function, bar: Bar) -> Finding:
    resource = card.resource(bar)
    if not resource.exists():
        return _finding(card, "permission", Verdict.OK, "nothing to open")
    if system.may(resource):
        return _finding(card, "permission", Verdict.OK, f"may open {resource.name}")
    fix = "run as root, or `vnetcard install-units` for its udev rule and join the group vnetcard"
    words = f"no permission for {resource}"
    return _finding(card, "permission", Verdict.FAIL, words, fix, code=ErrorCode.WINDOW_PERMISSION)


def _bus(card: Function) -> Iterator[Finding]:
    """Speed and width that were negotiated, and the errors that the bus counted."""
    speeds = [text(card.path / f"{which}_link_speed") for which in ("current", "max")]
    widths = [number(card.path / f"{which}_link_width") for which in ("current", "max")]
    if speeds[0] and widths[0]:
        words = f"{speeds[0]} x{widths[0]}"
        if speeds == [speeds[1]] * 2 and widths == [widths[1]] * 2:
            yield _finding(card, "bus", Verdict.OK, words)
        else:
            fix = "another slot; check the reference clock and the lanes' polarity in the design"
            words += f", but it could {speeds[1]} x{widths[1]}"
            yield _finding(card, "bus", Verdict.WARN, words, fix, code=FindingCode.BUS_DEGRADED)
    for kind in ("fatal", "nonfatal"):
        total = (text(card.path / f"aer_dev_{kind}") or "").rsplit(" ", 1)[-1]
        if total.isdigit() and int(total):
            fix = "`dmesg | grep AER` names them; a bad lane, or accesses that the design does not answer"
            words = f"the bus counted {total}"
            yield _finding(card, f"{kind} errors", Verdict.WARN, words, fix, code=FindingCode.BUS_ERRORS)


def _iommu(system: System, card: Function, kind: str | None) -> Finding:
    if (card.path / "iommu_group").exists():
        group = (card.path / "iommu_group").resolve()
        mates = [one.name for one in entries(group / "devices") if one.name != card.address]
        together = f", together with {', '.join(mates)}: vfio: takes the group as a whole" if mates else ""
        return _finding(card, "IOMMU", Verdict.OK, f"group {group.name}{together}")
    verdict = {"vfio": Verdict.FAIL, "xdma": Verdict.WARN, "udmabuf": Verdict.WARN}.get(kind or "", Verdict.OK)
    words = "off: a BAR needs none; vfio: does, and without one a card's DMA reaches all memory"
    on = "amd_iommu=on" if _is_amd(system) else "intel_iommu=on"
    fix = f"boot with {on}, or switch it on in the firmware" if system.machine == "x86_64" else "see the device tree"
    return _finding(card, "IOMMU", verdict, words, fix, code=ErrorCode.IOMMU)


def _is_amd(system: System) -> bool:
    return "AuthenticAMD" in (text(system.proc / "cpuinfo") or "")
