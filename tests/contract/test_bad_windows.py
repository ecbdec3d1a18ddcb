"""An error in a window's URL, devices or contents is reported in one line, and nothing is left behind.

More errors are tested in test_device_window_contract.py and in each kind's own file.  An agent prints that line and
ends with
status 2 before it has an interface (tests/integration/test_bad_input.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.device_place import ADDRESS, SIZE
from tests.harness.fake_board import MEMORY, FakeBoard
from tests.harness.fuse_device import fuse_devices
from tests.harness.needs import need_root
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import VnetcardError, WindowNotReady
from vnetcard.ring import layout as L
from vnetcard.window import open_window

NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Kind:
    """A valid window: its URL, and a function that makes a device of a given size and returns the file to damage.
    ``size`` completes the URL where the device does not state its size.
    """

    url: str
    make: Callable[[FakeBoard, int], Path]
    size: str = ""


def _pci(board: FakeBoard, size: int) -> Path:
    return board.function("0000:03:00.0", ids=(0x10EE, 0x9038), bars={2: (size, MEMORY)}) / "resource2"


def _mem(board: FakeBoard, size: int) -> Path:
    board.reserved("vnetcard", start=ADDRESS, size=size)
    return board.physical(start=ADDRESS, size=size)


def _xdma(board: FakeBoard, size: int) -> Path:
    path = board.xdma("c2h_0", size=size)
    board.xdma("h2c_0", to=path)
    return path


def _behind_xdma(board: FakeBoard, size: int) -> Path:
    board.udmabuf("good", size=SIZE, address=ADDRESS)
    return board.xdma("user", size=size)


def _file(board: FakeBoard, size: int) -> Path:
    path = board.root / "window"
    path.write_bytes(bytes(size))
    return path


KINDS = {
    "pci": Kind("pci:03:00.0", _pci),
    "mem": Kind("mem:vnetcard", _mem),
    "uio": Kind("uio:memory", lambda board, size: board.uio(0, "memory", size=size)),
    "udmabuf": Kind("udmabuf:memory", lambda board, size: board.udmabuf("memory", size=size, address=ADDRESS)),
    "xdma": Kind("xdma:0@0", _xdma, size="+64K"),
    "engine": Kind("udmabuf:good?engine=xdma:0", _behind_xdma),
    "file": Kind("file:{root}/window", _file),
}
NO_WINDOW_ITSELF = {"engine"}
WITH_SIZE = sorted(KINDS.keys() - {"engine", "file", "xdma"})


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBoard]:
    """A mocked board that other users may read; afterwards no further descriptor may be open."""
    with tempfile.TemporaryDirectory(prefix="vnc-bad-") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("VNETCARD_SYSROOT", folder)
        before = descriptors()
        yield FakeBoard(Path(folder))
        assert descriptors() == before, "descriptors stay open"
        assert not list(Path("/dev/shm").glob(f"*{Path(folder).name}*"))


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def refused(board: FakeBoard, kind: str, code: ErrorCode | None = None) -> str:
    """The message of the error, which has ``code`` if that is given."""
    window = KINDS[kind]
    with pytest.raises(VnetcardError) as caught:
        open_window(window.url.format(root=board.root) + window.size, side=L.HOST).close()
    said = str(caught.value)
    assert "\n" not in said
    assert code in (None, caught.value.code)
    return said


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    need_root()
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"file"}))
def test_missing_device_is_named_with_what_to_check(board: FakeBoard, kind: str) -> None:
    if kind == "engine":
        board.udmabuf("good", size=SIZE, address=ADDRESS)
    said = refused(board, kind)
    assert any(words in said for words in ("there is no", "no reserved", "no UIO", "no u-dma-buf", "cannot open")), said
    assert any(words in said for words in ("?", "`", "load the xdma driver", "found: none")), said


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"file", "engine"}))
def test_device_without_its_file_is_named(board: FakeBoard, kind: str) -> None:
    path = KINDS[kind].make(board, SIZE)
    path.unlink()
    said = refused(board, kind)
    assert f"cannot open {board.root}" in said and "(No such file or directory): " in said


@pytest.mark.root
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_missing_permission_is_reported_with_the_remedy(board: FakeBoard, kind: str) -> None:
    path = KINDS[kind].make(board, SIZE)
    for other in path.parent.iterdir():
        if other.is_file():
            other.chmod(0o666)
    path.chmod(0o600)
    with as_nobody():
        said = refused(board, kind)
    assert str(path) in said or "h2c_0" in said
    assert "Permission denied" in said
    assert any(words in said for words in ("run as root, or let a udev rule", "name one that you may write")), said


@pytest.mark.root
@pytest.mark.parametrize("kind", ["uio", "udmabuf", "mem", "xdma", "engine"])
@pytest.mark.parametrize(("number", "remedy"), [(errno.EBUSY, "another program"), (errno.ENODEV, "is gone")])
def test_busy_or_vanished_device_is_reported_with_the_remedy(
    board: FakeBoard, tmp_path: Path, kind: str, number: int, remedy: str
) -> None:
    path = KINDS[kind].make(board, SIZE)
    with fuse_devices(tmp_path, {path.name: number}):
        path.unlink()
        path.symlink_to(tmp_path / path.name)
        said = refused(board, kind)
    assert f"({os.strerror(number)})" in said and remedy in said


@pytest.mark.parametrize("kind", WITH_SIZE)
@pytest.mark.parametrize("size", [64, 8 << 10, 48 << 10])
def test_memory_that_is_too_small_or_no_power_of_two_is_refused(board: FakeBoard, kind: str, size: int) -> None:
    KINDS[kind].make(board, size)
    said = refused(board, kind, ErrorCode.WINDOW_SIZE)
    assert "16 KiB or more" in said


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - NO_WINDOW_ITSELF))
def test_garbage_is_left_alone(board: FakeBoard, kind: str) -> None:
    path = KINDS[kind].make(board, SIZE)
    garbage = os.urandom(SIZE)
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), garbage, ADDRESS if kind == "mem" else 0)
    said = refused(board, kind)
    assert "no vnetcard window here" in said and any(words in said for words in ("?format", "name another --window"))
    with path.open("rb") as file:
        assert os.pread(file.fileno(), SIZE, ADDRESS if kind == "mem" else 0) == garbage


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"file"}))
def test_all_ones_are_a_device_that_does_not_answer(board: FakeBoard, kind: str) -> None:
    path = KINDS[kind].make(board, SIZE)
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), b"\xff" * SIZE, ADDRESS if kind == "mem" else 0)
    assert "reads as all ones" in refused(board, kind)


URLS = {
    "xdma:/@0+64K": "'/' is no card: write its number",
    "xdma:0@0xfffffffffffff000+64K": "is no number, or too large a one",
    "xdma:0@0?channel=-1+64K": "'-1' is no number",
    "udmabuf:memory?engine=xdma:/": "'/' is no card",
    "udmabuf:memory?engine=xdma:0@0x7ffffffffffff000": "too large a one",
    "mem:0xfffffffffffff000+64K": "cannot map",
    "mem:010+64K": "is not the start of a page",
    "file:a\0b": "NUL",
    "uio:/0": "no UIO device ''",
    "pci:auto/2/3": "there is no BAR '2/3'",
    f"udmabuf:{'x' * 300}": "no u-dma-buf",
    f"uio:{'x' * 300}": "no UIO device",
    f"ivshmem:/{'x' * 300}": "path too long",
    "ivshmem:/dev/null": "Connection refused; start `vnetcard ivshmem-server",
}


@pytest.mark.parametrize("url", URLS)
def test_impossible_place_is_one_line(board: FakeBoard, url: str) -> None:
    board.udmabuf("memory", size=SIZE, address=ADDRESS)
    board.physical(start=ADDRESS, size=SIZE)
    board.ivshmem()
    _xdma(board, SIZE)
    with pytest.raises(VnetcardError) as caught:
        open_window(url, side=L.HOST).close()
    assert not isinstance(caught.value, WindowNotReady)
    assert URLS[url] in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.root
def test_server_of_another_user_is_reported_as_such(tmp_path: Path, board: FakeBoard) -> None:
    path = board.root / "sock"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        path.chmod(0o600)
        with as_nobody(), pytest.raises(VnetcardError, match="Permission denied; it serves the user that started it"):
            open_window(f"ivshmem:{path}", side=L.HOST)
