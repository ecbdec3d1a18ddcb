"""PCI cards judged: driver, memory decoding, BARs, permission, bus speed, IOMMU; each with its fix."""

from __future__ import annotations

from collections.abc import Iterator

from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.hw.pci import KNOWN, Bar, Function, Wanted, functions
from vnetcard.hw.sysfs import System, entries, number, text
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import human

GO_BETWEEN = {"vfio-pci": "vfio", "xdma": "xdma", "uio_pci_generic": "uio"}
"""Drivers that hand a function to user space, and the kind of window that goes through them.

They turn its memory decoding on themselves, and nobody needs sysfs's files; only for vfio: must a BAR hold a window.
"""
MASTERING = ("vfio", "xdma", "udmabuf")
"""Kinds of windows for which the card reads and writes memory itself."""
COMMAND_MEMORY, COMMAND_MASTER = 0x2, 0x4
"""Bits of the command register: the function answers at its BARs; it may read and write memory itself."""


def look(system: System, wanted: Wanted, *, everything: bool = False) -> list[Finding]:
    """What stands for and against each card, for the window that is ``wanted``; ``everything``: all functions."""
    found = functions(system)
    named = wanted.function not in ("", "auto")
    cards = [one for one in found if (one.is_named(wanted.function) if named else one.name)]
    findings = [finding for card in cards for finding in judge(system, card, wanted)]
    others = [one for one in found if one not in cards]
    if everything:
        findings += [_say(one, "", Verdict.OK, str(one)) for one in others]
    elif others:
        words = f"{len(others)} functions with memory BARs; --all lists them"
        findings.append(Finding("pci", "others", Verdict.OK, words))
    if not cards:
        findings.insert(0, _not_there(wanted.function) if named else _none_found(wanted.kind))
    return findings


def _not_there(name: str) -> Finding:
    fix = "look at `vnetcard doctor --all` and `lspci -nn`; programmed after the boot: `echo 1 > /sys/bus/pci/rescan`"
    return Finding("pci", name, Verdict.FAIL, "there is no such function with a memory BAR", fix)


def _none_found(kind: str | None) -> Finding:
    ids = ", ".join(f"{vendor:04x}:{f'{device:04x}' if device else '*'}" for vendor, device in KNOWN)
    if kind in ("pci", "vfio"):
        fix = "is the card in its slot, powered, and its FPGA programmed? then `echo 1 > /sys/bus/pci/rescan`"
        return Finding("pci", "card", Verdict.FAIL, f"none found ({ids})", fix)
    return Finding("pci", "card", Verdict.OK, f"none found ({ids}); shm: and sim: windows need none")


def _say(card: Function, subject: str, verdict: Verdict, detail: str, fix: str = "") -> Finding:
    return Finding("pci", f"{card.address} {subject}".strip(), verdict, detail, fix)


def judge(system: System, card: Function, wanted: Wanted) -> Iterator[Finding]:
    """One finding for each thing that can be wrong with a card."""
    if card.vendor == 0xFFFF or card.command == 0xFFFF:
        fix = f"is its FPGA programmed? then `echo 1 > {card.path}/remove; echo 1 > /sys/bus/pci/rescan`"
        yield _say(card, "", Verdict.FAIL, "reads as all ones: the device has left the bus", fix)
        return
    yield _say(card, "", Verdict.OK, str(card))
    yield _driver(card, wanted.kind)
    through = GO_BETWEEN.get(card.driver) if wanted.kind != "pci" else None
    if through is None:
        yield _decoding(system, card, wanted.kind)
    if through in (None, "vfio"):
        yield from _window(system, card, wanted.bar, by_file=through is None)
    yield from _bus(card)
    yield _iommu(system, card, wanted.kind)


def _driver(card: Function, kind: str | None) -> Finding:
    if not card.driver:
        if kind == "vfio":
            return _say(card, "driver", Verdict.FAIL, "none, and vfio: goes through vfio-pci", _bind(card, "vfio-pci"))
        return _say(card, "driver", Verdict.OK, "none: pci: may use it")
    through = GO_BETWEEN.get(card.driver)
    if through and kind in (None, through):
        return _say(card, "driver", Verdict.OK, f"{card.driver}: use a {through}: window")
    fix = f"`echo {card.address} > /sys/bus/pci/drivers/{card.driver}/unbind`"
    if through:
        fix += f", or name a {through}: window"
    return _say(card, "driver", Verdict.FAIL, f"the kernel's {card.driver} owns it: two masters of one card", fix)


def _bind(card: Function, driver: str) -> str:
    return (
        f"`modprobe {driver}; echo {driver} > {card.path}/driver_override; "
        f"echo {card.address} > /sys/bus/pci/drivers_probe`"
    )


def _decoding(system: System, card: Function, kind: str | None) -> Finding:
    if card.command is None:
        return _say(card, "decoding", Verdict.WARN, "could not see configuration space", "run the doctor as root")
    if not card.command & COMMAND_MEMORY:
        fix = f"`echo 1 > {card.path}/enable` (an agent that may does it itself)"
        verdict = Verdict.WARN if system.may(card.path / "enable") else Verdict.FAIL
        return _say(card, "decoding", verdict, "memory decoding is disabled: its BARs read as all ones", fix)
    if not card.command & COMMAND_MASTER:
        fix = f"its driver does that; by hand `setpci -s {card.address} COMMAND=4:4`"
        words = "memory on, bus mastering off: enough for a BAR, not for a DMA engine or MSI"
        return _say(card, "decoding", Verdict.WARN if kind in MASTERING else Verdict.OK, words, fix)
    return _say(card, "decoding", Verdict.OK, "memory on, bus mastering on")


def _window(system: System, card: Function, number: int | None, *, by_file: bool) -> Iterator[Finding]:
    bar = card.window(number)
    if bar is None and number is not None:
        has = ", ".join(map(str, card.bars))
        fix = f"name one of {human(L.WINDOW_MIN)} or more"
        yield _say(card, "window", Verdict.FAIL, f"BAR{number} cannot be one; there is {has}", fix)
        return
    if bar is None:
        most = max(card.bars, key=lambda one: one.size)
        fix = f"give the design a BAR of {human(L.WINDOW_MIN)} at least, better 8 MiB, 64-bit prefetchable"
        yield _say(card, "window", Verdict.FAIL, f"no BAR is large enough for one: {most} is the largest", fix)
        return
    if bar.address == 0:
        fix = "the firmware gave it no address: boot with pci=realloc, or enable Above 4G Decoding"
        yield _say(card, "window", Verdict.FAIL, f"{bar} has no bus address", fix)
        return
    if by_file:
        yield _mapping(card, bar)
        yield _permission(system, card, bar)


def _resource(card: Function, bar: Bar) -> str:
    """The file through which the BAR is mapped, the write-combining one if there is one; '' when none is."""
    names = (f"resource{bar.index}_wc", f"resource{bar.index}")
    return next((name for name in names if (card.path / name).exists()), "")


def _mapping(card: Function, bar: Bar) -> Finding:
    name = _resource(card, bar)
    if not name:
        fix = "a kernel with sysfs's PCI mappings, and no lockdown; else bind vfio-pci and use vfio:"
        return _say(card, "mapping", Verdict.FAIL, f"{bar} has no resource{bar.index} file", fix)
    if name.endswith("_wc"):
        return _say(card, "mapping", Verdict.OK, f"{bar} by {name}, write-combining")
    fix = "make the BAR 64-bit prefetchable in the design: the kernel then offers a write-combining mapping"
    return _say(card, "mapping", Verdict.WARN, f"{bar} by {name}, uncached: every store crosses the bus alone", fix)


def _permission(system: System, card: Function, bar: Bar) -> Finding:
    name = _resource(card, bar)
    if not name or system.may(card.path / name):
        return _say(card, "permission", Verdict.OK, f"may open {name}" if name else "nothing to open")
    fix = "run as root, or `vnetcard install-units` for its udev rule and join the group vnetcard"
    return _say(card, "permission", Verdict.FAIL, f"no permission for {card.path / name}", fix)


def _bus(card: Function) -> Iterator[Finding]:
    """Speed and width that were negotiated, and the errors that the bus counted."""
    speeds = [text(card.path / f"{which}_link_speed") for which in ("current", "max")]
    widths = [number(card.path / f"{which}_link_width") for which in ("current", "max")]
    if speeds[0] and widths[0]:
        words = f"{speeds[0]} x{widths[0]}"
        if speeds == [speeds[1]] * 2 and widths == [widths[1]] * 2:
            yield _say(card, "bus", Verdict.OK, words)
        else:
            fix = "another slot; check the reference clock and the lanes' polarity in the design"
            yield _say(card, "bus", Verdict.WARN, f"{words}, but it could {speeds[1]} x{widths[1]}", fix)
    for kind in ("fatal", "nonfatal"):
        total = (text(card.path / f"aer_dev_{kind}") or "").rsplit(" ", 1)[-1]
        if total.isdigit() and int(total):
            fix = "`dmesg | grep AER` names them; a bad lane, or accesses that the design does not answer"
            yield _say(card, f"{kind} errors", Verdict.WARN, f"the bus counted {total}", fix)


def _iommu(system: System, card: Function, kind: str | None) -> Finding:
    if (card.path / "iommu_group").exists():
        group = (card.path / "iommu_group").resolve()
        mates = [one.name for one in entries(group / "devices") if one.name != card.address]
        together = f", together with {', '.join(mates)}: vfio: takes the group as a whole" if mates else ""
        return _say(card, "IOMMU", Verdict.OK, f"group {group.name}{together}")
    verdict = {"vfio": Verdict.FAIL, "xdma": Verdict.WARN, "udmabuf": Verdict.WARN}.get(kind or "", Verdict.OK)
    words = "off: a BAR needs none; vfio: does, and without one a card's DMA reaches all memory"
    on = "amd_iommu=on" if _is_amd(system) else "intel_iommu=on"
    fix = f"boot with {on}, or switch it on in the firmware" if system.machine == "x86_64" else "see the device tree"
    return _say(card, "IOMMU", verdict, words, fix)


def _is_amd(system: System) -> bool:
    return "AuthenticAMD" in (text(system.proc / "cpuinfo") or "")
