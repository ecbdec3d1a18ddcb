"""The engine's RTL as a PCI function of a guest: vfio-pci, an IOMMU, MSI-X, and ``vnetcard demo --pci``.

The guest is the host, with an unmodified kernel; the card's agent runs in a namespace of this machine.
"""

from __future__ import annotations

import pytest

from tests.e2e.pci_function import assert_pings_cross, interrupts, linked
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.programs import VNETCARD, assert_refused, demo_traces, run
from vnetcard.sim.guest.image import Image
from vnetcard.sim.guest.pci_lab import WINDOW

pytestmark = [pytest.mark.e2e, pytest.mark.hdl, pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]

PAGES = 2048
"""Of the window of 8 MiB: the IOMMU maps each for itself."""
SIZES = [56, 1472, 2048, 9000]
DEMO = [*VNETCARD, "demo", "--pci"]


def test_pings_cross_the_function_by_dma_and_msi_x(host_image: Image, vfio_user_program: str) -> None:
    with linked(host_image, vfio_user_program, "e2e-pci") as lab:
        before = interrupts(lab)
        results = assert_pings_cross(lab, SIZES, 3)
        assert interrupts(lab) - before >= len(results)
        assert_ledgers_balance(lab.lab)
        assert lab.status_of_host()["window"]["url"] == WINDOW
        pci = lab.simulator.stop()["pci"]
    assert (pci["dma_maps"], pci["refused"]) == (PAGES, 0)


@pytest.mark.campaign
def test_demo_loses_nothing_and_leaves_nothing(host_image: Image, vfio_user_program: str) -> None:
    outcome = run([*DEMO, "--count", "2"], limit=400.0)
    assert outcome.status == 0, outcome
    assert "all 10 sizes, both directions: 0% loss" in outcome.stdout
    assert outcome.stdout.count(", lost 0\n") == 2, outcome.stdout
    assert "0 accesses refused" in outcome.stdout
    assert demo_traces(outcome.stdout) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--window", "shm:x"], "--pci has its own window: omit --window"),
        (["--sim"], "--sim and --pci exclude each other: omit one of them"),
        (["--qemu"], "--qemu and --pci exclude each other: omit one of them"),
    ],
)
def test_options_that_exclude_each_other_are_refused(words: list[str], message: str) -> None:
    assert_refused(run([*DEMO, *words]), "vnetcard", message)
