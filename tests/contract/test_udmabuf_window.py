"""``udmabuf:``: buffers and engines that are wrong, gone, or not to be mapped cached."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from pathlib import Path

import pytest

from tests.contract.device_place import ADDRESS, SIZE
from tests.harness.fake_board import MEMORY, FakeBoard
from vnetcard.codes.error import ErrorCode
from vnetcard.doctor import devices
from vnetcard.doctor.verdict import Verdict
from vnetcard.engine import registers as R
from vnetcard.errors import ConfigError, VnetcardError, WindowUnavailable
from vnetcard.hw.sysfs import System
from vnetcard.ring import layout as L
from vnetcard.window import open_window, read_window


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ("none", ErrorCode.WINDOW_MISSING, r"'none' \(found: good\)"),
        ("../good", ErrorCode.WINDOW_MISSING, r"'../good'"),
        ("good?engin=uio:0", ErrorCode.BAD_URL, r"'engin'; known are engine, format, irq, wakeup"),
        ("good?irq", ErrorCode.BAD_URL, r"it needs engine=uio:NAME"),
        ("good?engine=uio:x&wakeup=off", ErrorCode.BAD_URL, r"wakeup=on or wakeup=off, beside irq"),
        ("good?engine=uio:x&irq&wakeup=maybe", ErrorCode.BAD_URL, r"wakeup=on or wakeup=off, beside irq"),
        ("good?engine=pci:1.0&irq", ErrorCode.BAD_URL, r"it needs engine=uio:NAME"),
        ("good?engine=here", ErrorCode.BAD_URL, r"engine=here: write engine=uio:NAME"),
        ("good?engine=uio:nobody", ErrorCode.WINDOW_MISSING, r"uio:nobody: .* 'nobody'"),
        ("good?engine=uio:small", ErrorCode.WINDOW_SIZE, r"map 0 of uio1 has 2 KiB, an engine's page 4 KiB"),
        ("good?engine=uio:blank", ErrorCode.ENGINE_MISSING, r"uio:blank.* 0x00000000"),
        ("good?engine=uio:gone", ErrorCode.DEVICE_GONE, r"map 0 of uio3 reads as all ones"),
    ],
)
def test_wrong_udmabuf_or_engine_is_refused(board: FakeBoard, place: str, code: ErrorCode, message: str) -> None:
    board.udmabuf("good", size=SIZE, address=ADDRESS)
    board.uio(1, "small", size=2048)
    board.uio(2, "blank", size=4096)
    board.uio(3, "gone", size=4096).write_bytes(b"\xff" * 4096)
    with pytest.raises(VnetcardError, match=message) as caught:
        open_window(f"udmabuf:{place}", side=L.CARD)
    assert caught.value.code is code


@pytest.mark.parametrize(("file", "text"), [("size", "much"), ("phys_addr", ""), ("size", "0")])
def test_udmabuf_with_invalid_attributes_is_refused(board: FakeBoard, file: str, text: str) -> None:
    board.udmabuf("odd", size=SIZE, address=ADDRESS)
    board.uio(0, "engine", size=4096)
    (board.root / "sys/class/u-dma-buf/odd" / file).write_text(text)
    with pytest.raises((WindowUnavailable, ConfigError), match=r"holds no number|cannot be a window|is none: its id"):
        open_window("udmabuf:odd?engine=uio:engine", side=L.HOST)


def test_cached_map_of_memory_whose_dma_passes_the_caches_is_refused(board: FakeBoard) -> None:
    board.udmabuf("cached", size=SIZE, address=ADDRESS, sync_mode=0)
    with pytest.raises(WindowUnavailable, match=r"sync_mode 0 maps it cached.*echo 1 > .*sync_mode"):
        open_window("udmabuf:cached", side=L.HOST)
    board.udmabuf("coherent", size=SIZE, address=ADDRESS, sync_mode=0, coherent=True)
    open_window("udmabuf:coherent", side=L.HOST).close()


def test_udmabuf_that_went_is_noticed(board: FakeBoard) -> None:
    board.udmabuf("good", size=SIZE, address=ADDRESS)
    with contextlib.closing(open_window("udmabuf:good", side=L.HOST)) as window:
        (board.root / "sys/class/u-dma-buf/good").rename(board.root / "away")
        assert window.vanished() == "u-dma-buf good is gone"


def engine_page(file: Path) -> None:
    """Write the start of an engine's register page into ``file``."""
    with file.open("r+b") as page:
        for name, value in (("id", R.ENGINE_ID), ("version", L.VERSION << 16 | R.ENGINE_VERSION), ("caps", 64)):
            os.pwrite(page.fileno(), value.to_bytes(4, "little"), R.offset(name))


@pytest.mark.parametrize(
    ("bound_to", "iommu", "code"),
    [
        ("nothing", "", None),
        ("nothing", "identity", None),
        ("nothing", "DMA-FQ", ErrorCode.IOMMU),
        ("the card", "DMA-FQ", None),
        ("another", "DMA-FQ", ErrorCode.IOMMU),
        ("another", "", ErrorCode.IOMMU),
    ],
)
@pytest.mark.parametrize("engine", ["pci:03:00.0/0", "xdma:0", "uio:engine"])
def test_buffer_that_the_cards_dma_cannot_reach_is_refused(
    board: FakeBoard, engine: str, bound_to: str, iommu: str, code: ErrorCode | None
) -> None:
    """As u-dma-buf does: without ``bind`` its address is physical, with it that of the IOMMU for that device."""
    card = board.function("0000:03:00.0", ids=(0x10EE, 0x9038), bars={0: (4096, MEMORY)})
    other = board.function("0000:04:00.0", ids=(0x10EE, 0x9038), bars={0: (4096, MEMORY)})
    (card / "config").write_bytes(b"\xee\x10\x38\x90\6\0" + bytes(58))
    engine_page(card / "resource0")
    engine_page(board.xdma("user", size=4096))
    board.xdma_class("user", card)
    engine_page(board.uio(0, "engine", size=4096))
    (board.root / "sys/class/uio/uio0/device").symlink_to(card)
    if iommu:
        board.iommu(card, kind=iommu)
    board.udmabuf("own", size=SIZE, address=ADDRESS, bind={"the card": card, "another": other}.get(bound_to))
    url = f"udmabuf:own?engine={engine}"
    if code is None:
        open_window(url, side=L.HOST).close()
        return
    with pytest.raises(WindowUnavailable, match=r"0000:03:00\.0") as caught:
        open_window(url, side=L.HOST)
    assert caught.value.code is code
    assert ("bind=pci/0000:03:00.0" in str(caught.value)) is (bound_to == "nothing")


@pytest.mark.parametrize(
    ("version", "mode", "iommu", "words"),
    [
        ("5.5.0", 3, "DMA-FQ", r"5\.5\.0 stops the kernel .*: use version 5\.4\.2"),
        ("5.5.1", 4, "DMA", r"5\.5\.1 stops the kernel"),
        ("5.5.0", 3, "identity", ""),
        ("5.5.0", 3, "", ""),
        ("5.4.2", 2, "DMA-FQ", r"quirk_mmap_mode 2 maps other memory: load u-dma-buf with quirk_mmap_mode=1"),
        ("5.4.2", 3, "DMA-FQ", ""),
        ("5.4.2", 4, "DMA-FQ", ""),
    ],
)
def test_buffer_behind_an_iommu_that_the_driver_cannot_map_is_never_mapped(
    board: FakeBoard, version: str, mode: int, iommu: str, words: str
) -> None:
    """Seen with the driver itself (tests/e2e/test_stock_udmabuf.py): the mmap alone is a kernel BUG."""
    card = board.function("0000:03:00.0", ids=(0x10EE, 0x9038), bars={0: (4096, MEMORY)})
    if iommu:
        board.iommu(card, kind=iommu)
    board.udmabuf("own", size=SIZE, address=ADDRESS, bind=card, version=version, quirk_mmap=mode)
    (finding,) = [one for one in devices.inspect(System.here(), "udmabuf") if one.subject == "own"]
    assert (finding.verdict is Verdict.FAIL) is bool(words), finding
    for act in (lambda: open_window("udmabuf:own", side=L.HOST).close(), lambda: read_window("udmabuf:own")):
        if not words:
            act()
            continue
        with pytest.raises(WindowUnavailable, match=words) as caught:
            act()
        assert caught.value.code is ErrorCode.WINDOW_UNMAPPABLE


@pytest.mark.parametrize(("offset", "good"), [("0x0", True), ("0xf000", True), ("0x10000", False), ("0x100000", False)])
def test_register_page_beyond_the_user_bar_is_refused_before_it_is_read(
    board: FakeBoard, offset: str, good: bool
) -> None:
    """The stock driver's read of ``_user`` has no bound: it returns whatever the kernel has mapped behind the BAR."""
    card = board.function("0000:03:00.0", ids=(0x10EE, 0x9038), bars={0: (64 << 10, MEMORY), 1: (1 << 20, MEMORY)})
    board.xdma_class("user", card)
    board.udmabuf("own", size=SIZE, address=ADDRESS)
    user = board.xdma("user", size=2 << 20)
    content = user.read_bytes()
    with user.open("r+b") as file:
        for at in range(0, 2 << 20, 4096):
            os.pwrite(file.fileno(), R.ENGINE_ID.to_bytes(4, "little"), at)
    with pytest.raises(VnetcardError) as caught:
        open_window(f"udmabuf:own?engine=xdma:0@{offset}", side=L.HOST)
    assert (caught.value.code is ErrorCode.BAD_URL) is not good, "what is within the BAR was read: another version"
    assert len(content) == user.stat().st_size


def test_mapping_that_the_driver_calls_invalid_is_final(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """EINVAL: beyond the BAR.  Other errors mean a driver that cannot map, and reads and writes are used."""
    board.udmabuf("own", size=SIZE, address=ADDRESS)
    engine_page(board.xdma("user", size=4096))
    mapped = mmap.mmap
    for number, code in ((errno.EINVAL, ErrorCode.BAD_URL), (errno.ENODEV, None)):

        def refuse(fd: int, size: int, number: int = number, **more: int) -> mmap.mmap:
            if size == R.PAGE_BYTES:
                raise OSError(number, os.strerror(number))
            return mapped(fd, size, **more)

        with monkeypatch.context() as patch:
            patch.setattr("vnetcard.engine.registers_xdma.mmap.mmap", refuse)
            if code is None:
                open_window("udmabuf:own?engine=xdma:0", side=L.HOST).close()
                continue
            with pytest.raises(VnetcardError) as caught:
                open_window("udmabuf:own?engine=xdma:0", side=L.HOST)
            assert caught.value.code is code


@pytest.mark.parametrize("before", [b"\2\0", b"\6\0"], ids=["not yet", "already"])
def test_engine_behind_a_bar_is_a_bus_master_while_it_is_used(board: FakeBoard, before: bytes) -> None:
    board.udmabuf("good", size=SIZE, address=ADDRESS)
    card = board.function("0000:03:00.0", ids=(0x10EE, 0x9038), bars={0: (4096, MEMORY)})
    (card / "config").write_bytes(b"\xee\x10\x38\x90" + before + bytes(58))
    engine_page(card / "resource0")
    with contextlib.closing(open_window("udmabuf:good?engine=pci:03:00.0/0", side=L.HOST)):
        assert (card / "config").read_bytes()[4:6] == b"\6\0"
    assert (card / "config").read_bytes()[4:6] == before
    (card / "config").unlink()
    with pytest.raises(WindowUnavailable, match=r"no bus master.*setpci -s 0000:03:00.0 COMMAND=4:4"):
        open_window("udmabuf:good?engine=pci:03:00.0/0", side=L.HOST)
