"""Machines as data: for each, what an agent opens and what the doctor says, which are the same.

A row is a tree of sysfs, /dev and /proc (``fake_machine.py``, a mock), a window URL, and either the file that an agent
opens or the code of its error.  ``MACHINES`` holds the rows.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.harness.fake_board import MEMORY, PREFETCHABLE
from tests.unit.fake_machine import FakeMachine
from vnetcard.codes.code import Code
from vnetcard.codes.error import ErrorCode
from vnetcard.codes.finding import FindingCode
from vnetcard.doctor.survey import survey
from vnetcard.doctor.verdict import Finding, Verdict, a_link_could_run, concerning
from vnetcard.errors import VnetcardError, WindowNotReady
from vnetcard.ring import layout as L
from vnetcard.window import WindowUrl, locate, open_window

KIB, MIB = 1 << 10, 1 << 20
WIDE = 0x14_0200
"""64-bit memory that is not prefetchable."""
CARD = "0000:03:00.0"
Make = Callable[[FakeMachine], object]
"""Turns a bare machine into the row's."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A row: what makes the machine, the URL, and the file that is opened below its root, or the error's code."""

    make: Make
    url: str
    opens: str = ""
    code: Code | None = None
    says: str = ""


def bars(**sizes: tuple[int, int]) -> dict[int, tuple[int, int]]:
    """``b2=(size, flags)`` as ``card`` takes it."""
    return {int(name[1:]): value for name, value in sizes.items()}


def card(ids: tuple[int, int] = (0x10EE, 0x9038), **sizes: tuple[int, int]) -> Make:
    return lambda machine: machine.card(CARD, ids=ids, bars=bars(**sizes) or None)


def bound(driver: str, ids: tuple[int, int] = (0x10EE, 0x9038)) -> Make:
    return lambda machine: machine.card(CARD, ids=ids, driver=driver)


def resource(name: str, address: str = CARD) -> str:
    return f"sys/bus/pci/devices/{address}/resource{name}"


def two_cards(machine: FakeMachine) -> None:
    machine.card(CARD)
    machine.card("0000:04:00.0", iommu=False)


def card_beside_one_of_a_driver(machine: FakeMachine) -> None:
    machine.card(CARD, driver="xdma")
    machine.card("0000:04:00.0", iommu=False)


def card_beside_one_without_a_fitting_bar(machine: FakeMachine) -> None:
    machine.card(CARD, bars=bars(b0=(4 * KIB, MEMORY)))
    machine.card("0000:04:00.0", iommu=False)


def tree(address: int, size: int, *, no_map: bool = True, pairs: int = 1) -> Make:
    def make(machine: FakeMachine) -> None:
        machine.board.physical(start=0x3000_0000, size=64 * KIB)
        machine.board.reserved(
            "vnetcard", start=0x3000_0000, size=64 * KIB, no_map=no_map, cells=(address, size), pairs=pairs
        )

    return make


def uio_with_maps(*sizes: int) -> Make:
    def make(machine: FakeMachine) -> None:
        machine.board.uio(0, "lab", size=sizes[0])
        for index, size in enumerate(sizes[1:], 1):
            folder = machine.root / f"sys/class/uio/uio0/maps/map{index}"
            folder.mkdir()
            (folder / "size").write_text(f"{size:#x}\n")
            (folder / "offset").write_text("0x0\n")
        (machine.root / "dev/uio0").write_bytes(bytes(len(sizes) * 4096 + max(sizes)))

    return make


def buffer_and_engine(*, bind: bool) -> Make:
    def make(machine: FakeMachine) -> None:
        card = machine.card(CARD, bars=bars(b0=(4 * KIB, MEMORY)))
        machine.board.udmabuf("own", size=64 * KIB, address=0x7000_0000, bind=card if bind else None)

    return make


def noiommu(machine: FakeMachine) -> None:
    machine.card(CARD, driver="vfio-pci")
    machine.write("dev/vfio/vfio", "")
    machine.write("dev/vfio/noiommu-14", "")


def iommufd(machine: FakeMachine) -> None:
    card = machine.card(CARD, driver="vfio-pci")
    (card / "vfio-dev/vfio0").mkdir(parents=True)
    machine.write("dev/vfio/devices/vfio0", "")
    machine.write("dev/iommu", "")


def vfio_group(machine: FakeMachine) -> None:
    machine.card(CARD, driver="vfio-pci")
    machine.write("dev/vfio/vfio", "")
    machine.write("dev/vfio/14", "")


MACHINES = {
    # --- which BAR -----------------------------------------------------------------------------------
    "one prefetchable BAR": Machine(card(b2=(MIB, PREFETCHABLE)), "pci:auto", resource("2_wc")),
    "one plain BAR": Machine(card(b0=(MIB, MEMORY)), "pci:auto", resource("0")),
    "prefetchable goes before a larger plain BAR": Machine(
        card(b0=(2 * MIB, MEMORY), b2=(64 * KIB, PREFETCHABLE)), "pci:auto", resource("2_wc")
    ),
    "64-bit goes before a larger 32-bit BAR": Machine(
        card(b0=(2 * MIB, MEMORY), b2=(MIB, WIDE)), "pci:auto", resource("2")
    ),
    "of two prefetchable BARs the larger": Machine(
        card(b0=(MIB, PREFETCHABLE), b2=(4 * MIB, PREFETCHABLE)), "pci:auto", resource("2_wc")
    ),
    "of two equal BARs the first": Machine(
        card(b0=(MIB, PREFETCHABLE), b2=(MIB, PREFETCHABLE)), "pci:auto", resource("0_wc")
    ),
    "a prefetchable BAR too small for a window is passed over": Machine(
        card(b0=(64 * KIB, MEMORY), b2=(8 * KIB, PREFETCHABLE)), "pci:auto", resource("0")
    ),
    "no BAR is large enough": Machine(
        card(b0=(8 * KIB, MEMORY), b2=(4 * KIB, PREFETCHABLE)), "pci:auto", code=ErrorCode.WINDOW_SIZE, says="8 KiB"
    ),
    "a BAR that is named goes before all": Machine(
        card(b0=(64 * KIB, MEMORY), b2=(MIB, PREFETCHABLE)), f"pci:{CARD}/0", resource("0")
    ),
    "a named BAR that is not there": Machine(card(), f"pci:{CARD}/4", code=ErrorCode.WINDOW_MISSING, says="BAR 4"),
    "a named BAR that is too small": Machine(
        card(b0=(4 * KIB, MEMORY), b2=(MIB, PREFETCHABLE)), f"pci:{CARD}/0", code=ErrorCode.WINDOW_SIZE, says="4 KiB"
    ),
    "ivshmem's BAR is 2 whatever the others are": Machine(
        card((0x1AF4, 0x1110), b0=(256, MEMORY), b2=(64 * KIB, MEMORY), b4=(MIB, PREFETCHABLE)),
        "pci:auto",
        resource("2"),
    ),
    # --- which function ------------------------------------------------------------------------------
    "two cards": Machine(two_cards, "pci:auto", code=ErrorCode.AMBIGUOUS_DEVICE, says=f"{CARD}, 0000:04:00.0"),
    "two cards, one named": Machine(two_cards, "pci:04:00.0", resource("2_wc", "0000:04:00.0")),
    "two cards, one has a driver": Machine(card_beside_one_of_a_driver, "pci:auto", resource("2_wc", "0000:04:00.0")),
    "two cards, one has no BAR for a window": Machine(
        card_beside_one_without_a_fitting_bar, "pci:auto", resource("2_wc", "0000:04:00.0")
    ),
    "a card that a driver owns": Machine(bound("xdma"), "pci:auto", code=ErrorCode.DRIVER_BOUND, says="xdma"),
    "a card that a driver owns, forced": Machine(bound("xdma"), "pci:auto?force", resource("2_wc")),
    "a card of uio_pci_generic": Machine(
        bound("uio_pci_generic"), "pci:auto", code=ErrorCode.DRIVER_BOUND, says="uio_pci_generic"
    ),
    "no card": Machine(lambda machine: None, "pci:auto", code=ErrorCode.WINDOW_MISSING),
    "another device": Machine(
        lambda machine: machine.card(CARD, ids=(0x8086, 0x10D3)), "pci:auto", code=ErrorCode.WINDOW_MISSING
    ),
    "another device, named": Machine(card((0x8086, 0x10D3)), "pci:8086:10d3", resource("2_wc")),
    "a place that is none": Machine(card(), "pci:slot3", code=ErrorCode.BAD_URL),
    # --- device trees --------------------------------------------------------------------------------
    "cells 2+2": Machine(tree(2, 2), "mem:vnetcard", "dev/mem"),
    "cells 1+1": Machine(tree(1, 1), "mem:vnetcard", "dev/mem"),
    "cells 2+1": Machine(tree(2, 1), "mem:vnetcard", "dev/mem"),
    "cells 1+2": Machine(tree(1, 2), "mem:vnetcard", "dev/mem"),
    "cells 3+2": Machine(tree(3, 2), "mem:vnetcard", "dev/mem"),
    "several ranges: the first": Machine(tree(1, 1, pairs=3), "mem:vnetcard", "dev/mem"),
    "no cells": Machine(tree(0, 2), "mem:vnetcard", code=ErrorCode.DEVICE_BROKEN),
    "mapped by the kernel": Machine(tree(2, 2, no_map=False), "mem:vnetcard", code=ErrorCode.WINDOW_UNMAPPABLE),
    "no such node": Machine(tree(2, 2), "mem:other", code=ErrorCode.WINDOW_MISSING, says="vnetcard"),
    # --- UIO, u-dma-buf, VFIO ------------------------------------------------------------------------
    "uio by name": Machine(uio_with_maps(64 * KIB), "uio:lab", "dev/uio0"),
    "uio's second map": Machine(uio_with_maps(4 * KIB, 64 * KIB), "uio:lab/1", "dev/uio0"),
    "uio's first map is too small": Machine(uio_with_maps(4 * KIB, 64 * KIB), "uio:lab", code=ErrorCode.WINDOW_SIZE),
    "uio without that map": Machine(uio_with_maps(64 * KIB), "uio:lab/7", code=ErrorCode.WINDOW_MISSING, says="map 7"),
    "u-dma-buf": Machine(
        lambda machine: machine.board.udmabuf("udmabuf0", size=64 * KIB, address=0x7000_0000),
        "udmabuf:udmabuf0",
        "dev/udmabuf0",
    ),
    "u-dma-buf, cached": Machine(
        lambda machine: machine.board.udmabuf("udmabuf0", size=64 * KIB, address=0x7000_0000, sync_mode=0),
        "udmabuf:udmabuf0",
        code=ErrorCode.WINDOW_UNMAPPABLE,
    ),
    "u-dma-buf of another size": Machine(
        lambda machine: machine.board.udmabuf("udmabuf0", size=48 * KIB, address=0x7000_0000),
        "udmabuf:udmabuf0",
        code=ErrorCode.WINDOW_SIZE,
    ),
    "u-dma-buf that the engine behind an IOMMU cannot reach": Machine(
        buffer_and_engine(bind=False), "udmabuf:own?engine=pci:03:00.0/0", code=ErrorCode.IOMMU, says=f"bind=pci/{CARD}"
    ),
    "no u-dma-buf": Machine(lambda machine: None, "udmabuf:udmabuf0", code=ErrorCode.WINDOW_MISSING),
    "vfio without its driver": Machine(card(), "vfio:auto", code=ErrorCode.DRIVER_BOUND, says="vfio-pci"),
    "vfio in noiommu mode": Machine(noiommu, "vfio:auto", code=ErrorCode.IOMMU, says="noiommu-14"),
    "vfio without an IOMMU": Machine(
        lambda machine: machine.card(CARD, driver="vfio-pci", iommu=False), "vfio:auto", code=ErrorCode.IOMMU
    ),
}
for ids, taken in {
    # automatic: defaults of PCIe cores and of platforms for a user's own design
    (0x1AF4, 0x1110): True,
    (0x10EE, 0x7021): True,  # LitePCIe and 7 series, Gen2 x1
    (0x10EE, 0x7024): True,
    (0x10EE, 0x8034): True,
    (0x10EE, 0x9034): True,
    (0x10EE, 0x903F): True,
    (0x10EE, 0xB03F): True,  # Versal
    (0x10EE, 0xD021): True,  # Zynq UltraScale+ PS-PCIe
    (0x10EE, 0xD024): True,
    (0x10EE, 0x4808): True,
    (0x10EE, 0x6828): True,
    (0x10EE, 0x6D30): True,
    (0x1D0F, 0xF000): True,  # AWS's example images
    (0x1D0F, 0xF001): True,
    # listed: a function other than 0, an accelerator, a vendor's own ids
    (0x10EE, 0x913F): False,
    (0x10EE, 0x5000): False,
    (0x1D0F, 0xF010): False,
    (0x1D0F, 0xEC20): False,  # AWS's network adapter: not even listed
    (0x1204, 0x9C1D): False,
    (0x1172, 0xE003): False,
    (0x11AA, 0x1556): False,
}.items():
    name = f"{ids[0]:04x}:{ids[1]:04x}"
    MACHINES[f"{name} by itself"] = (
        Machine(card(ids), "pci:auto", resource("2_wc"))
        if taken
        else Machine(card(ids), "pci:auto", code=ErrorCode.WINDOW_MISSING)
    )
    MACHINES[f"{name} named"] = Machine(card(ids), f"pci:{name}", resource("2_wc"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    return FakeMachine(tmp_path)


def chosen(machine: FakeMachine, url: str) -> Finding:
    """The doctor's finding about the window at ``url``."""
    parsed = WindowUrl.parse(url)
    (finding,) = [one for one in survey(machine.system, parsed) if (one.area, one.subject) == (parsed.kind, "window")]
    return finding


@pytest.mark.parametrize("row", MACHINES.values(), ids=MACHINES)
def test_doctor_says_what_the_agent_does(machine: FakeMachine, row: Machine) -> None:
    row.make(machine)
    finding = chosen(machine, row.url)
    if row.code is None:
        with contextlib.suppress(WindowNotReady), contextlib.closing(open_window(row.url, side=L.HOST)):
            parsed = WindowUrl.parse(row.url)
            device = locate(parsed, machine.system)
            assert device is not None
            assert str(device.file) == str(machine.root / row.opens) == finding.file
            offset = device.offset
        with (machine.root / row.opens).open("rb") as file:
            assert os.pread(file.fileno(), 8, offset) == L.MAGIC.to_bytes(8, "little"), "laid out elsewhere"
        assert (finding.verdict, finding.code) == (Verdict.OK, FindingCode.OK)
        return
    with pytest.raises(VnetcardError) as caught:
        open_window(row.url, side=L.HOST).close()
    assert caught.value.code is row.code
    assert row.says in str(caught.value)
    assert (finding.verdict, finding.code, finding.detail) == (Verdict.FAIL, row.code, str(caught.value))


def test_vfio_group_is_the_one_that_an_agent_would_open(machine: FakeMachine) -> None:
    """The agent's ioctls are tested in a virtual machine (tests/e2e/test_card_vfio.py)."""
    vfio_group(machine)
    assert chosen(machine, "vfio:auto").file == str(machine.root / "dev/vfio/14")


def test_vfio_device_of_the_function_itself_is_opened_where_there_are_no_groups(machine: FakeMachine) -> None:
    iommufd(machine)
    assert chosen(machine, "vfio:auto").file == str(machine.root / "dev/vfio/devices/vfio0")
    machine.write("dev/vfio/14", "")
    assert chosen(machine, "vfio:auto").file == str(machine.root / "dev/vfio/14")


def test_buffer_that_is_bound_to_the_card_is_what_an_agent_opens(machine: FakeMachine) -> None:
    buffer_and_engine(bind=True)(machine)
    assert chosen(machine, "udmabuf:own?engine=pci:03:00.0/0").file == str(machine.root / "dev/own")


def test_kernels_own_module_of_the_name_xdma_is_named(machine: FakeMachine) -> None:
    """Since 6.3 ``modprobe xdma`` may load drivers/dma/xilinx/xdma.c: a platform driver, without device nodes."""
    machine.write("sys/module/xdma/refcnt", "0")
    codes = {one.code for one in survey(machine.system, None)}
    assert FindingCode.WRONG_MODULE in codes
    machine.write("sys/bus/pci/drivers/xdma/bind", "")
    assert FindingCode.WRONG_MODULE not in {one.code for one in survey(machine.system, None)}


@pytest.mark.parametrize(("size", "recommended"), [(0, False), (64 * KIB, True)])
def test_uio_pci_generic_is_recommended_only_with_a_map_for_a_window(
    machine: FakeMachine, size: int, recommended: bool
) -> None:
    """It maps no prefetchable 64-bit BAR."""
    folder = machine.card(CARD, driver="uio_pci_generic")
    machine.board.uio(0, "uio_pci_generic", size=size)
    (folder / "uio/uio0").mkdir(parents=True)
    (driver,) = [one for one in survey(machine.system, None) if one.subject == f"{CARD} driver"]
    assert ("use a uio: window" in driver.detail) is recommended
    assert recommended or (driver.verdict is Verdict.WARN and "pci:" in driver.fix)


def test_findings_and_their_codes_are_json(machine: FakeMachine) -> None:
    machine.card(CARD, driver="xdma")
    found = concerning(survey(machine.system, WindowUrl.parse("pci:auto")), "pci")
    assert not a_link_could_run(found)
    codes = {one["code"] for one in json.loads(json.dumps([asdict(one) for one in found]))}
    assert {"driver-bound", "ok"} <= codes
