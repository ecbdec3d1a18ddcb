"""A guest whose PCI function is the engine's RTL, with its link up, and the pings across it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from tests.harness.needs import need_simulator
from tests.harness.restarts import until
from vnetcard.lab.lab import LabError
from vnetcard.ping import suite
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.pci_lab import HOST_LIMIT, PciLab


@contextlib.contextmanager
def linked(image: Image, qemu: str, tag: str) -> Iterator[PciLab]:
    """Both agents, with their link up; at the end stderr gets what the guest's agent has said."""
    need_simulator()
    with PciLab(image, qemu, tag) as lab:
        lab.boot()
        assert lab.bind()[1] == "vfio-pci"
        lab.lab.start(L.CARD, "--persist")
        lab.start_host()
        lab.wait_up()
        try:
            yield lab
        finally:
            sys.stderr.write(lab.agent.err if lab.agent else "")


def assert_pings_cross(lab: PciLab, sizes: list[int], count: int) -> list[suite.PingResult]:
    """Pings in both directions, none of which is lost."""
    results = lab.ping_from_host(sizes, count=count)
    results += suite.run_suite(lab.targets()[1:], sizes=sizes, count=count, timeout=20.0)
    assert [(result.size, result.received) for result in results] == [(size, count) for size in sizes * 2]
    return results


def interrupts(lab: PciLab) -> int:
    """How often the function has interrupted the guest."""
    rows = lab.running_guest().run("grep", "vfio-msix", "/proc/interrupts").stdout.splitlines()
    return sum(int(row.split()[1]) for row in rows)


def host_state(lab: PciLab) -> str:
    """The state of the host's link; '' while its agent has none to show."""
    try:
        return str(lab.status_of_host()["link"]["state"])
    except (LabError, IndexError, KeyError):
        return ""


def wait_again(lab: PciLab) -> None:
    """Return once the link runs on both sides again."""
    lab.lab.wait_up(limit=HOST_LIMIT)
    until(lambda: host_state(lab) == "run", "the host's link runs", limit=HOST_LIMIT)
    lab.wait_up()
