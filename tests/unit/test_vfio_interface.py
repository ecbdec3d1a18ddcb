"""VFIO without a device: numbers and structures are those of the kernel's header, and each error has its message.

The ioctls themselves are tested in a guest that has a device: tests/e2e/test_card_vfio.py.
"""

from __future__ import annotations

import argparse
import struct
import subprocess
from pathlib import Path

import pytest

from tests.harness.fake_board import MEMORY, FakeBoard
from tests.harness.needs import need
from vnetcard.cli import info
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.hw import vfio
from vnetcard.ring import layout as L
from vnetcard.window import open_window

HEADER = """
#include <stddef.h>
#include <stdio.h>
#include <linux/vfio.h>
#define SHOW(name) printf(#name " %lu\\n", (unsigned long)(name))
int main(void)
{
	SHOW(VFIO_GET_API_VERSION); SHOW(VFIO_CHECK_EXTENSION); SHOW(VFIO_SET_IOMMU); SHOW(VFIO_GROUP_GET_STATUS);
	SHOW(VFIO_GROUP_SET_CONTAINER); SHOW(VFIO_GROUP_GET_DEVICE_FD); SHOW(VFIO_DEVICE_GET_REGION_INFO);
	SHOW(VFIO_DEVICE_GET_IRQ_INFO); SHOW(VFIO_DEVICE_SET_IRQS); SHOW(VFIO_API_VERSION); SHOW(VFIO_TYPE1v2_IOMMU);
	SHOW(VFIO_TYPE1_IOMMU); SHOW(VFIO_GROUP_FLAGS_VIABLE); SHOW(VFIO_REGION_INFO_FLAG_MMAP);
	SHOW(VFIO_PCI_CONFIG_REGION_INDEX); SHOW(VFIO_PCI_MSIX_IRQ_INDEX); SHOW(VFIO_IRQ_SET_DATA_NONE);
	SHOW(VFIO_IRQ_SET_DATA_EVENTFD); SHOW(VFIO_IRQ_SET_ACTION_TRIGGER); SHOW(sizeof(struct vfio_group_status));
	SHOW(sizeof(struct vfio_region_info)); SHOW(offsetof(struct vfio_region_info, size));
	SHOW(VFIO_IOMMU_MAP_DMA);
	SHOW(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	SHOW(sizeof(struct vfio_iommu_type1_dma_map)); SHOW(sizeof(struct vfio_irq_info));
	SHOW(offsetof(struct vfio_irq_set, data));
}
"""


def test_numbers_and_structures_are_the_kernels(tmp_path: Path) -> None:
    (tmp_path / "show.c").write_text(HEADER)
    subprocess.run([need("gcc"), str(tmp_path / "show.c"), "-o", str(tmp_path / "show")], check=True)
    lines = subprocess.run([tmp_path / "show"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [int(line.split()[-1]) for line in lines] == [
        *(vfio.GET_API_VERSION, vfio.CHECK_EXTENSION, vfio.SET_IOMMU, vfio.GROUP_GET_STATUS),
        *(vfio.GROUP_SET_CONTAINER, vfio.GROUP_GET_DEVICE_FD, vfio.DEVICE_GET_REGION_INFO),
        *(vfio.DEVICE_GET_IRQ_INFO, vfio.DEVICE_SET_IRQS, vfio.API_VERSION, *vfio.TYPE1_IOMMUS),
        *(vfio.GROUP_VIABLE, vfio.REGION_MMAP, vfio.CONFIG_REGION, vfio.MSIX),
        *(vfio.IRQ_DATA_NONE, vfio.IRQ_DATA_EVENTFD, vfio.IRQ_ACTION_TRIGGER, vfio.GROUP_STATUS.size),
        *(vfio.REGION_INFO.size, struct.calcsize("=IIII")),
        *(vfio.IOMMU_MAP_DMA, vfio.DMA_READ_WRITE, vfio.DMA_MAP.size, vfio.IRQ_INFO.size, vfio.IRQ_SET.size),
    ]


def test_eventfds_follow_the_structure_with_their_number() -> None:
    packed = vfio.pack_irq_set(vfio.MSIX, [7, 9])
    assert struct.unpack("=IIIIIii", packed) == (28, 4 | 32, 2, 0, 2, 7, 9)
    assert struct.unpack("=IIIII", vfio.pack_irq_set(vfio.MSIX, [])) == (20, 1 | 32, 2, 0, 0)


class FakeFunction(vfio.Function):
    """A function whose ioctls are answered here: ``has`` is the number of interrupts by kind."""

    def __init__(self, has: dict[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
        self._fds = []
        self.fd = -1
        self.set: bytes = b""

        def answer(fd: int, number: int, packed: bytes) -> bytes:
            if number == vfio.DEVICE_GET_IRQ_INFO:
                size, flags, kind, _ = vfio.IRQ_INFO.unpack(packed)
                return vfio.IRQ_INFO.pack(size, flags, kind, has.get(kind, 0))
            if number == vfio.DEVICE_SET_IRQS:
                self.set = packed
            return packed

        monkeypatch.setattr(vfio, "ioctl", answer)
        monkeypatch.setattr(vfio, "set_bus_master", lambda fd, start: None)


@pytest.mark.parametrize(
    ("has", "vectors", "kind"),
    [({1: 1, 2: 4}, 4, 2), ({1: 8, 2: 0}, 8, 1), ({0: 1, 1: 0, 2: 0}, 0, 1)],
    ids=["MSI-X", "MSI", "INTx alone"],
)
def test_function_signals_by_msi_x_or_else_by_msi(
    has: dict[int, int], vectors: int, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = FakeFunction(has, monkeypatch)
    assert function.vectors() == vectors
    if vectors:
        function.listen([7])
        assert function.set == vfio.pack_irq_set(kind, [7])


# --- messages ------------------------------------------------------------------------------------------------


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    return FakeBoard(tmp_path)


def function(board: FakeBoard, *, driver: str | None = "vfio-pci", group: str | None = "5") -> Path:
    path = board.function("0000:03:00.0", ids=(0x10EE, 0x9038), bars={0: (1 << 20, MEMORY)})
    if driver:
        board.bind(path, driver)
    if group:
        folder = board.root / "sys/kernel/iommu_groups" / group
        folder.mkdir(parents=True)
        (path / "iommu_group").symlink_to(folder)
    return path


@pytest.mark.parametrize(
    ("made", "place", "error", "words"),
    [
        ({}, "03:00.0/9", ConfigError, "there is no BAR '9'"),
        ({}, "03:00.0?fast", ConfigError, "there is no option 'fast'"),
        ({}, "04:00.0", WindowUnavailable, "there is no PCI function 0000:04:00.0"),
        ({"driver": "xdma"}, "03:00.0", WindowUnavailable, "belongs to the kernel driver xdma, not to vfio-pci: echo"),
        ({"driver": None}, "03:00.0", WindowUnavailable, "belongs to no driver, not to vfio-pci: echo"),
        ({"group": None}, "03:00.0", WindowUnavailable, "is in no IOMMU group: switch the IOMMU on"),
        ({}, "03:00.0", WindowUnavailable, r"dev/vfio/5 .No such file or directory.: load the module vfio-pci"),
    ],
)
def test_function_that_cannot_be_opened_is_reported_with_the_remedy(
    board: FakeBoard, made: dict[str, str | None], place: str, error: type[Exception], words: str
) -> None:
    function(board, **made)
    with pytest.raises(error, match=words):
        open_window(f"vfio:{place}", side=L.CARD)


def test_invalid_group_is_reported_and_nothing_stays_open(board: FakeBoard) -> None:
    function(board)
    (board.root / "dev/vfio").mkdir(parents=True)
    (board.root / "dev/vfio/5").write_bytes(b"")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(WindowUnavailable, match=r"cannot open .*/dev/vfio/5 \(Inappropriate ioctl for device\)"):
        open_window("vfio:03:00.0/0", side=L.HOST)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_info_asks_before_it_opens_a_function_since_that_resets_it(
    board: FakeBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    function(board)
    with pytest.raises(ConfigError, match="--yes") as caught:
        info.run(argparse.Namespace(url="vfio:03:00.0", json=False, yes=False))
    assert caught.value.code is ErrorCode.CONFIRMATION_NEEDED
    with pytest.raises(WindowUnavailable, match="dev/vfio/5"):
        info.run(argparse.Namespace(url="vfio:03:00.0", json=False, yes=True))
    assert capsys.readouterr().out == ""
