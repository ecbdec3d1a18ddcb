"""``pci:``: how a card and its BAR are found, and how a wrong one is refused."""

from __future__ import annotations

import contextlib

import pytest

from tests.contract.device_place import SIZE
from tests.harness.fake_board import MEMORY, PORTS, PREFETCHABLE, FakeBoard
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, VnetcardError, WindowNotReady, WindowUnavailable
from vnetcard.hw.sysfs import System
from vnetcard.ring import layout as L
from vnetcard.window import WindowUrl, locate, open_window


def test_memory_decoding_is_on_while_a_window_is_open_and_then_as_before(board: FakeBoard) -> None:
    switch = board.ivshmem(on=False) / "enable"
    with contextlib.closing(open_window("pci:auto", side=L.HOST)):
        assert switch.read_text().strip() == "1"
    assert switch.read_text().strip() == "0"
    with pytest.raises(WindowNotReady):
        open_window("pci:auto+32K", side=L.CARD)
    assert switch.read_text().strip() == "0"


@pytest.mark.parametrize("url", ["pci:auto", "pci:0000:00:02.0", "pci:00:02.0", "pci:00:02.0/2", "pci:1af4:1110/2"])
def test_card_is_found_by_every_name_of_it(board: FakeBoard, url: str) -> None:
    function = board.ivshmem()
    with contextlib.closing(open_window(url, side=L.HOST)) as window:
        window.memory.store32(L.side_offset(L.HOST), 77)
    assert (function / "resource2").read_bytes()[L.side_offset(L.HOST)] == 77


def test_largest_bar_is_taken_of_a_card_that_is_not_known(board: FakeBoard) -> None:
    path = board.function("0000:05:00.0", ids=(0x1234, 1), bars={0: (SIZE, MEMORY), 4: (2 * SIZE, PREFETCHABLE)})
    open_window("pci:1234:0001", side=L.HOST).close()
    assert any((path / "resource4").read_bytes())
    assert not any((path / "resource0").read_bytes())


def test_combining_map_is_preferred(board: FakeBoard) -> None:
    function = board.ivshmem()
    (function / "resource2_wc").unlink()
    (function / "resource2_wc").write_bytes(bytes(SIZE))
    open_window("pci:auto", side=L.HOST).close()
    assert any((function / "resource2_wc").read_bytes())
    assert not any((function / "resource2").read_bytes())


def test_function_of_a_kernel_driver_is_refused_unless_forced(board: FakeBoard) -> None:
    board.bind(board.ivshmem(), "uio_ivshmem")
    with pytest.raises(WindowUnavailable, match=r"uio_ivshmem.*\?force") as caught:
        open_window("pci:auto", side=L.HOST)
    assert caught.value.code is ErrorCode.DRIVER_BOUND
    device = locate(WindowUrl.parse("pci:auto?force"), System.here())
    assert device is not None
    assert "uio_ivshmem has claimed it: unbind" in device.hint, "CONFIG_IO_STRICT_DEVMEM refuses the mapping"
    open_window("pci:auto?force", side=L.HOST).close()


def test_removed_card_is_noticed(board: FakeBoard) -> None:
    function = board.ivshmem()
    with contextlib.closing(open_window("pci:auto", side=L.HOST)) as host:
        function.rename(board.root / "pulled")
        assert host.vanished() == "PCI function 0000:00:02.0 is gone"


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ("03:00.0", ErrorCode.WINDOW_MISSING, "0000:03:00.0.*lspci"),
        ("00:02.0/1", ErrorCode.WINDOW_MISSING, r"no memory BAR 1; it has BAR 0 \(256 bytes\), BAR 2 \(64 KiB\)"),
        ("00:02.0/0", ErrorCode.WINDOW_SIZE, "256 bytes of BAR 0.*power of two"),
        ("00:02.0/7", ErrorCode.BAD_URL, "'7'.*0 to 5"),
        ("00:03.0/0", ErrorCode.WINDOW_MISSING, "no memory BAR 0; it has none"),
        ("00:03.0", ErrorCode.WINDOW_SIZE, "16 KiB or more; it has none"),
        ("dead:beef", ErrorCode.WINDOW_MISSING, "dead:beef"),
        ("slot three", ErrorCode.BAD_URL, "write pci:auto"),
    ],
)
def test_wrong_card_or_bar_is_refused(board: FakeBoard, place: str, code: ErrorCode, message: str) -> None:
    board.ivshmem()
    board.function("0000:00:03.0", ids=(0x1234, 2), bars={0: (256, PORTS)})
    with pytest.raises(VnetcardError, match=message) as caught:
        open_window(f"pci:{place}", side=L.HOST)
    assert caught.value.code is code


def test_no_card_and_two_cards_are_refused(board: FakeBoard) -> None:
    with pytest.raises(WindowUnavailable, match=r"lspci -nn") as missing:
        open_window("pci:auto", side=L.HOST)
    assert missing.value.code is ErrorCode.WINDOW_MISSING
    board.ivshmem("0000:00:02.0")
    board.ivshmem("0000:00:04.0")
    with pytest.raises(ConfigError, match=r"0000:00:02.0, 0000:00:04.0") as several:
        open_window("pci:auto", side=L.HOST)
    assert several.value.code is ErrorCode.AMBIGUOUS_DEVICE
