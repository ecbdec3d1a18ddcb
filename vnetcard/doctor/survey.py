"""Everything that doctor finds out about a machine without measuring."""

from __future__ import annotations

from vnetcard.doctor import cards, devices, interfaces, memory, software, wanted
from vnetcard.doctor.verdict import Finding
from vnetcard.hw.sysfs import System
from vnetcard.window import WindowUrl


def survey(system: System, url: WindowUrl | None, *, everything: bool = False) -> list[Finding]:
    """The findings about software, cards, devices and memory; with ``everything`` all PCI functions are listed.

    ``url`` names the window that the user means, which decides what is in its way.
    """
    return [
        *software.inspect(system),
        *wanted.inspect(system, url),
        *interfaces.inspect(url),
        *cards.inspect(system, wanted.Wanted.of(url), everything=everything),
        *devices.inspect(system, url.kind if url else None),
        *memory.inspect(system),
    ]
