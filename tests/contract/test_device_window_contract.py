"""Windows in device memory: what holds of any window, and that the host lays them out and the card attaches.

The devices are files (``fakeboard``, a mock); a new kind is one line in KINDS.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakeboard import MEMORY, PORTS, PREFETCHABLE, FakeBoard

from vnetcard import layout as L
from vnetcard import registers as R
from vnetcard._core import Memory
from vnetcard.errors import ConfigError, LayoutMismatch, WindowNotReady, WindowUnavailable
from vnetcard.geometry import Geometry
from vnetcard.testing import WINDOW_CHECKS, OpenWindow
from vnetcard.window import Window, open_window, read_window
from vnetcard.window.device import format_window

SIZE = 64 << 10
ADDRESS = 0x3000_0000


@dataclass(frozen=True, slots=True)
class Place:
    """A device: the URL of its memory, and the file in which that memory begins at ``start``."""

    url: str
    file: Path
    start: int = 0

    @property
    def content(self) -> bytes:
        with self.file.open("rb") as file:
            return os.pread(file.fileno(), SIZE, self.start)

    def fill(self, content: bytes, offset: int = 0) -> None:
        with self.file.open("r+b") as file:
            os.pwrite(file.fileno(), content, self.start + offset)

    def open(self, side: int, options: str = "", queue_bytes: int | None = None) -> Window:
        return open_window(self.url + options, side=side, queue_bytes=queue_bytes)


def _pci(board: FakeBoard) -> Place:
    return Place("pci:auto", board.ivshmem(size=SIZE) / "resource2")


def _mem(board: FakeBoard) -> Place:
    board.reserved(f"vnetcard@{ADDRESS:x}", start=ADDRESS, size=SIZE)
    return Place("mem:vnetcard", board.physical(start=ADDRESS, size=SIZE), ADDRESS)


def _uio(board: FakeBoard) -> Place:
    return Place("uio:shared-memory", board.uio(0, "shared-memory", size=SIZE))


def _udmabuf(board: FakeBoard) -> Place:
    return Place("udmabuf:shared-memory", board.udmabuf("shared-memory", size=SIZE, address=ADDRESS))


KINDS: dict[str, Callable[[FakeBoard], Place]] = {"mem": _mem, "pci": _pci, "udmabuf": _udmabuf, "uio": _uio}


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path))
    return FakeBoard(tmp_path)


@pytest.fixture(params=sorted(KINDS))
def place(request: pytest.FixtureRequest, board: FakeBoard) -> Iterator[Place]:
    return KINDS[request.param](board)


@pytest.mark.parametrize("check", WINDOW_CHECKS, ids=lambda check: check.__name__)
def test_window_keeps_its_promise(place: Place, check: Callable[[OpenWindow], None]) -> None:
    place.open(L.HOST).close()  # else a check that begins with the card has nothing to attach to
    check(place.open)


def test_card_waits_until_the_host_has_laid_the_window_out(place: Place) -> None:
    with pytest.raises(WindowNotReady, match=r"no vnetcard window.*waiting for the host"):
        place.open(L.CARD)
    with contextlib.closing(place.open(L.HOST)) as host, contextlib.closing(place.open(L.CARD)) as card:
        assert card.geometry == host.geometry
        assert host.geometry.window_bytes == SIZE


def test_card_never_writes_where_there_is_no_window(place: Place) -> None:
    content = os.urandom(SIZE)
    place.fill(content)
    with pytest.raises(WindowNotReady):
        place.open(L.CARD)
    assert place.content == content


def test_window_stays_when_all_have_gone_and_is_used_again(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST)) as host:
        first = host.geometry
    with contextlib.closing(place.open(L.HOST)) as host:
        assert host.geometry == first
        assert not host.notes


class Watched:
    """A memory after each of whose stores somebody looks at it."""

    def __init__(self, memory: Memory, look: Callable[[], None]) -> None:
        self._memory, self._look = memory, look

    def store64(self, offset: int, value: int) -> None:
        self._memory.store64(offset, value)
        self._look()

    def write(self, offset: int, data: bytes) -> None:
        for at in range(0, len(data), 8):
            self._memory.write(offset + at, data[at : at + 8])
            self._look()


def test_half_laid_out_window_is_none(place: Place) -> None:
    """At every moment whoever looks sees the new window, whole, or none."""
    with contextlib.closing(place.open(L.HOST)) as host:
        old = host.geometry
        new = Geometry.plan(SIZE, queue_bytes=4096, instance=old.instance ^ 1, removable=False)
        seen: list[Geometry | None] = []

        def look() -> None:
            try:
                seen.append(Geometry.decode(place.content, SIZE))
            except LayoutMismatch:
                seen.append(None)

        format_window(Watched(host.memory, look), new)  # type: ignore[arg-type]
    assert seen[-1] == new
    assert set(seen[:-1]) == {None}


def test_host_killed_while_it_laid_out_is_no_obstacle(place: Place) -> None:
    place.open(L.HOST).close()
    place.fill(bytes(8))  # all is there but the magic
    with contextlib.closing(place.open(L.HOST)):
        place.open(L.CARD).close()


def test_memory_that_only_begins_with_zeros_is_foreign(place: Place) -> None:
    content = bytes(64) + os.urandom(SIZE - 64)
    place.fill(content)
    with pytest.raises(LayoutMismatch, match=r"\?format"):
        place.open(L.HOST)
    assert place.content == content


def test_nobody_is_woken_by_device_memory(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST)) as host:
        assert host.doorbell is False


def test_foreign_contents_are_refused_and_unchanged_unless_told(place: Place) -> None:
    content = os.urandom(SIZE)
    place.fill(content)
    with pytest.raises(LayoutMismatch, match=r"no vnetcard window here.*\?format"):
        place.open(L.HOST)
    assert place.content == content
    with contextlib.closing(place.open(L.HOST, "?format")) as host:
        assert any("laid out anew" in note for note in host.notes)
        place.open(L.CARD).close()


def test_damaged_window_is_laid_out_anew_and_it_is_said(place: Place) -> None:
    place.open(L.HOST).close()
    place.fill(b"\xaa\xaa", L.SUPERBLOCK.offset("instance"))
    with contextlib.closing(place.open(L.HOST)) as host:
        assert any("damaged" in note for note in host.notes)


def test_window_that_a_card_uses_is_not_laid_out_anew(place: Place) -> None:
    place.open(L.HOST, queue_bytes=4096).close()
    with contextlib.closing(place.open(L.CARD)) as card, _beating(card):
        with pytest.raises(LayoutMismatch, match=r"queues of 8 KiB.*the card's agent is using it"):
            place.open(L.HOST, queue_bytes=8192)
        assert card.vanished() is None


def test_card_notices_that_the_window_was_laid_out_anew(place: Place) -> None:
    place.open(L.HOST, queue_bytes=4096).close()
    with contextlib.closing(place.open(L.CARD)) as card, contextlib.closing(place.open(L.HOST, queue_bytes=8192)):
        assert "anew" in (card.vanished() or "")


def test_device_that_is_gone_is_said_to_be(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST)) as host:
        place.fill(b"\xff" * SIZE)
        assert "all ones" in (host.vanished() or "")
    with pytest.raises(WindowUnavailable, match="all ones"):
        place.open(L.HOST)


def test_reading_disturbs_nobody(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST)) as host:
        before = place.content
        copy = read_window(place.url)
        assert copy == before
        assert Geometry.decode(copy, SIZE) == host.geometry
        assert read_window(place.url, 100) == before[:100]


def test_part_of_the_memory_can_be_asked_for(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST, "+32K")) as host:
        assert host.geometry.window_bytes == 32 << 10
        assert host.url == place.url


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("+128K", "asked for 128 KiB.*has 64 KiB"),
        ("+48K", "a power of two"),
        ("+8K", "16 KiB or more"),
        ("?fast", "no option 'fast'; known are"),
    ],
)
def test_impossible_request_is_bad_input(place: Place, options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        place.open(L.HOST, options)
    assert place.content == bytes(SIZE)


@contextlib.contextmanager
def _beating(card: Window) -> Iterator[None]:
    """A heartbeat, as the agent of ``card`` would show it."""
    over = threading.Event()
    at = L.side_offset(L.CARD) + L.SIDE_CONTROL.offset("heartbeat")

    def beat() -> None:
        while not over.wait(0.02):
            card.memory.store32(at, card.memory.load32(at) + 1)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# --- PCI -----------------------------------------------------------------------------------------------


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
    with pytest.raises(WindowUnavailable, match=r"kernel driver uio_ivshmem: unbind it.*\?force"):
        open_window("pci:auto", side=L.HOST)
    open_window("pci:auto?force", side=L.HOST).close()


def test_pulled_card_is_noticed(board: FakeBoard) -> None:
    function = board.ivshmem()
    with contextlib.closing(open_window("pci:auto", side=L.HOST)) as host:
        function.rename(board.root / "pulled")
        assert host.vanished() == "PCI function 0000:00:02.0 is gone"


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("03:00.0", WindowUnavailable, "no PCI function 0000:03:00.0.*lspci"),
        ("00:02.0/1", WindowUnavailable, r"no memory BAR 1; it has BAR 0 \(256 bytes\), BAR 2 \(64 KiB\)"),
        ("00:02.0/0", ConfigError, "256 bytes of BAR 0.*power of two"),
        ("00:02.0/7", ConfigError, "no BAR '7'; 0 to 5"),
        ("00:03.0/0", WindowUnavailable, "no memory BAR 0; it has none"),
        ("00:03.0", WindowUnavailable, "no memory BAR"),
        ("dead:beef", WindowUnavailable, "no PCI function is dead:beef"),
        ("slot three", ConfigError, "write pci:auto"),
    ],
)
def test_wrong_card_or_bar_is_said(board: FakeBoard, place: str, error: type[Exception], message: str) -> None:
    board.ivshmem()
    board.function("0000:00:03.0", ids=(0x1234, 2), bars={0: (256, PORTS)})
    with pytest.raises(error, match=message):
        open_window(f"pci:{place}", side=L.HOST)


def test_no_card_and_two_cards_are_said(board: FakeBoard) -> None:
    with pytest.raises(WindowUnavailable, match=r"no card that is known.*lspci -nn"):
        open_window("pci:auto", side=L.HOST)
    board.ivshmem("0000:00:02.0")
    board.ivshmem("0000:00:04.0")
    with pytest.raises(ConfigError, match=r"2 such cards, 0000:00:02.0, 0000:00:04.0"):
        open_window("pci:auto", side=L.HOST)


# --- physical memory -----------------------------------------------------------------------------------


def test_physical_memory_is_found_by_its_address(board: FakeBoard) -> None:
    file = board.physical(start=ADDRESS, size=SIZE)
    with contextlib.closing(open_window(f"mem:{ADDRESS:#x}+64K", side=L.HOST)) as window:
        assert window.url == f"mem:{ADDRESS:#x}"
    assert Place("", file, ADDRESS).content[:8] == b"VNETCRD1"


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("0x30000000", ConfigError, r"needs a size: write mem:0x30000000\+SIZE"),
        ("0x30000800+64K", ConfigError, "not the start of a page"),
        ("0xfff0000+64K", WindowUnavailable, r"System RAM \(00001000-0fffffff\).*reserve"),
        ("0x30000000+48K", ConfigError, "a power of two"),
        ("cma", WindowUnavailable, "no property no-map"),
        ("odd", WindowUnavailable, "reg of .* is too short"),
        ("nothing", WindowUnavailable, "no reserved memory 'nothing'.*there is cma, odd"),
    ],
)
def test_wrong_physical_memory_is_said(board: FakeBoard, place: str, error: type[Exception], message: str) -> None:
    board.physical(start=ADDRESS, size=SIZE)
    board.reserved("cma", start=ADDRESS, size=SIZE, no_map=False)
    (board.reserved("odd", start=ADDRESS, size=SIZE) / "reg").write_bytes(b"short")
    with pytest.raises(error, match=message):
        open_window(f"mem:{place}", side=L.HOST)


def test_two_places_of_physical_memory_are_two_windows(board: FakeBoard) -> None:
    board.physical(start=ADDRESS, size=2 * SIZE)
    urls = [f"mem:{ADDRESS:#x}+64K", f"mem:{ADDRESS + SIZE:#x}+64K"]
    with contextlib.closing(open_window(urls[0], side=L.HOST)), contextlib.closing(open_window(urls[1], side=L.HOST)):
        pass


# --- UIO -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["0", "uio0", "shared", "shared/0"])
def test_uio_map_is_found_by_every_name_of_it(board: FakeBoard, place: str) -> None:
    file = board.uio(0, "shared", size=SIZE)
    open_window(f"uio:{place}", side=L.HOST).close()
    assert file.read_bytes()[:8] == b"VNETCRD1"


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("5", WindowUnavailable, r"no UIO device '5'; there is uio0 \(shared\)"),
        ("shared/1", WindowUnavailable, r"no map 1; it has 0 \(64 KiB\)"),
        ("shared/x", ConfigError, "a map is a number"),
        ("twin", ConfigError, "uio1, uio2 have that name"),
        ("uio3", WindowUnavailable, "does not start at a page"),
    ],
)
def test_wrong_uio_map_is_said(board: FakeBoard, place: str, error: type[Exception], message: str) -> None:
    board.uio(0, "shared", size=SIZE)
    board.uio(1, "twin", size=SIZE)
    board.uio(2, "twin", size=SIZE)
    board.uio(3, "crooked", size=SIZE, offset=64)
    with pytest.raises(error, match=message):
        open_window(f"uio:{place}", side=L.HOST)


def test_uio_device_that_went_is_noticed(board: FakeBoard) -> None:
    board.uio(0, "shared", size=SIZE)
    with contextlib.closing(open_window("uio:shared", side=L.HOST)) as window:
        (board.root / "sys/class/uio/uio0").rename(board.root / "gone")
        assert window.vanished() == "UIO device uio0 is gone"


# --- u-dma-buf ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("none", WindowUnavailable, r"there is no u-dma-buf 'none'; there is good"),
        ("../good", WindowUnavailable, r"there is no u-dma-buf '../good'"),
        ("good?engin=uio:0", ConfigError, r"no option 'engin'; known are engine, format, irq"),
        ("good?irq", ConfigError, r"irq listens to the engine's UIO device: it needs engine=uio:NAME"),
        ("good?engine=pci:1.0&irq", ConfigError, r"it needs engine=uio:NAME"),
        ("good?engine=here", ConfigError, r"engine=here is not understood: write engine=uio:NAME"),
        ("good?engine=uio:nobody", WindowUnavailable, r"uio:nobody: there is no UIO device 'nobody'"),
        ("good?engine=uio:small", ConfigError, r"map 0 of uio1 has 2 KiB, an engine's page 4 KiB"),
        ("good?engine=uio:blank", WindowUnavailable, r"the engine uio:blank is none: its id reads 0x00000000"),
        ("good?engine=uio:gone", WindowUnavailable, r"map 0 of uio3 reads as all ones, so nothing answers there"),
    ],
)
def test_wrong_udmabuf_or_engine_is_said(board: FakeBoard, place: str, error: type[Exception], message: str) -> None:
    board.udmabuf("good", size=SIZE, address=ADDRESS)
    board.uio(1, "small", size=2048)
    board.uio(2, "blank", size=4096)
    board.uio(3, "gone", size=4096).write_bytes(b"\xff" * 4096)
    with pytest.raises(error, match=message):
        open_window(f"udmabuf:{place}", side=L.CARD)


@pytest.mark.parametrize(("file", "text"), [("size", "much"), ("phys_addr", ""), ("size", "0")])
def test_udmabuf_that_says_nonsense_of_itself_is_refused(board: FakeBoard, file: str, text: str) -> None:
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


@pytest.mark.parametrize("before", [b"\2\0", b"\6\0"], ids=["not yet", "already"])
def test_engine_behind_a_bar_is_a_bus_master_while_it_is_used(board: FakeBoard, before: bytes) -> None:
    board.udmabuf("good", size=SIZE, address=ADDRESS)
    card = board.function("0000:03:00.0", ids=(0x10EE, 0x9038), bars={0: (4096, MEMORY)})
    (card / "config").write_bytes(b"\xee\x10\x38\x90" + before + bytes(58))
    with (card / "resource0").open("r+b") as page:
        for name, value in (("id", R.ENGINE_ID), ("version", L.VERSION << 16 | R.ENGINE_VERSION), ("caps", 64)):
            os.pwrite(page.fileno(), value.to_bytes(4, "little"), R.offset(name))
    with contextlib.closing(open_window("udmabuf:good?engine=pci:03:00.0/0", side=L.HOST)):
        assert (card / "config").read_bytes()[4:6] == b"\6\0"
    assert (card / "config").read_bytes()[4:6] == before
    (card / "config").unlink()
    with pytest.raises(WindowUnavailable, match=r"no bus master.*setpci -s 0000:03:00.0 COMMAND=4:4"):
        open_window("udmabuf:good?engine=pci:03:00.0/0", side=L.HOST)
