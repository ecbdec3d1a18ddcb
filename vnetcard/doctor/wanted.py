"""What the window URL given to the doctor asks for, as far as hardware is concerned."""

from __future__ import annotations

from dataclasses import dataclass

from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.errors import ConfigError, VnetcardError
from vnetcard.hw.pci import Place
from vnetcard.hw.sysfs import System
from vnetcard.terminal.sizes import human
from vnetcard.window import WindowUrl, locate
from vnetcard.window.device import fit


@dataclass(frozen=True, slots=True)
class Wanted:
    """The kind of window (None: any) and, of ``pci:`` and ``vfio:``, the function and BAR."""

    kind: str | None = None
    place: Place | None = None

    @classmethod
    def of(cls, url: WindowUrl | None) -> Wanted:
        """Of any window's URL; a place that is invalid is left out, since ``inspect`` reports it."""
        if url is None or url.kind not in ("pci", "vfio"):
            return cls(url.kind if url else None)
        try:
            return cls(url.kind, Place.parse(url.place.partition("?")[0], str(url)))
        except ConfigError:
            return cls(url.kind)


def inspect(system: System, url: WindowUrl | None) -> list[Finding]:
    """Which device and file an agent opens for ``url``, or its error; the backend itself answers."""
    if url is None:
        return []
    try:
        device = locate(url, system)
        device = fit(device, url.size) if device else None
    except VnetcardError as error:
        return [Finding(url.kind, "window", Verdict.FAIL, str(error), code=error.code)]
    if device is None:
        return []
    words = f"an agent opens {device.file}: {device.what}, {human(device.size)}"
    return [Finding(url.kind, "window", Verdict.OK, words, file=str(device.file))]
