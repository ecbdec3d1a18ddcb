"""XDMA's register and event devices when they misbehave, as real files to real system calls."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.fake_board import FakeBoard
from tests.harness.faulty_memory import Memory, fails
from tests.harness.fuse_device import fuse_devices
from vnetcard.engine import registers as R
from vnetcard.engine import registers_xdma
from vnetcard.engine.irq import IrqListener
from vnetcard.errors import VnetcardError
from vnetcard.ring import layout as L
from vnetcard.window import open_window

pytestmark = pytest.mark.root

URL = "udmabuf:own?engine=xdma:0"


@pytest.fixture
def memory() -> Iterator[Memory]:
    with contextlib.closing(Memory()) as memory:
        yield memory


@pytest.fixture
def user(memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """/dev/xdma0_user, behind which is what an engine's page reads as, and a buffer for its window."""
    monkeypatch.setenv("VNETCARD_SYSROOT", str(tmp_path / "root"))
    tree = FakeBoard(tmp_path / "root")
    tree.udmabuf("own", size=1 << 20, address=0x4000_0000)
    (tmp_path / "device").mkdir()
    tree.xdma("user", to=tmp_path / "device/user")
    for name, value in (("id", R.ENGINE_ID), ("version", L.VERSION << 16 | R.ENGINE_VERSION), ("caps", 64)):
        memory.write(R.offset(name), value.to_bytes(4, "little"))
    memory.write(R.PAGE_BYTES, bytes(R.PAGE_BYTES))
    with fuse_devices(tmp_path / "device", {"user": memory}):
        yield memory


def test_registers_that_cannot_be_mapped_are_read_and_written_a_word_a_call(user: Memory) -> None:
    asked: list[int] = []

    def act(move: int, count: int) -> int:
        asked.append(count)
        if move % 3 == 0:
            raise OSError(errno.EAGAIN, "")
        return count

    user.act = act
    with contextlib.closing(open_window(URL, side=L.HOST)) as window:
        assert window.engine is not None
        assert "64-bit engine" in window.engine.describe()
        window.engine.attach()
        ring, _ = window.engine.doorbells()
        user.act = lambda move, count: count
        ring(0x1240)
        del ring
        assert user.read(R.offset("tx_prod"), 4) == b"\x40\x12\0\0"
        assert window.vanished() is None
    assert set(asked) == {4}


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (
            lambda move, count: 2,
            "a read of register 0x0 in .*xdma0_user moved 2 of 4 bytes: is it the device of registers",
        ),
        (lambda move, count: 0, "moved 0 of 4 bytes"),
        (
            fails(errno.EIO),
            "a read of register 0x0 in .*xdma0_user failed .Input/output error.: is the card still there",
        ),
        (fails(errno.ENODEV), "failed .No such device.: is the card still there"),
        (fails(errno.EAGAIN), "busy for 0 s"),
    ],
    ids=["short", "nothing", "EIO", "ENODEV", "always busy"],
)
def test_register_that_cannot_be_read_is_one_line(
    user: Memory, monkeypatch: pytest.MonkeyPatch, act: Callable[[int, int], int], words: str
) -> None:
    monkeypatch.setattr(registers_xdma, "BUSY_LIMIT", 0.1)
    user.act = act
    with pytest.raises(VnetcardError, match=words):
        open_window(URL, side=L.HOST)
    user.act = lambda move, count: count
    open_window(URL, side=L.HOST).close()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("xdma:0", "the engine xdma:0 reads as all ones"),
        ("xdma:0@0x1000", "the engine xdma:0@0x1000 is none: its id reads 0x00000000"),
        ("xdma:0@0x100", "engine=xdma:0@0x100: OFFSET 0x100 is not a multiple of 4 KiB"),
        ("xdma:0@x", "engine=xdma:0@x: 'x' is no number"),
        ("xdma:7", "engine=xdma:7: cannot open .*xdma7_user .No such file .*the design has this AXI-Lite master"),
        ("xdma:0&irq=x", "'x' is no number"),
        ("xdma:", "engine=xdma:: '' is no card: write its number"),
    ],
)
def test_wrong_engine_behind_xdma_is_one_line(user: Memory, place: str, words: str) -> None:
    user.write(0, b"\xff" * (R.PAGE_BYTES if place == "xdma:0" else 0))
    with pytest.raises(VnetcardError, match=words):
        open_window(f"udmabuf:own?engine={place}", side=L.HOST)


def test_missing_event_device_is_one_line_and_everything_closed(user: Memory) -> None:
    with pytest.raises(VnetcardError, match=r"cannot listen to .*xdma0_events_2 .No such file"):
        open_window(f"{URL}&irq=2", side=L.HOST)
    open_window(URL, side=L.HOST).close()


# --- events ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "problem"),
    [
        (fails(errno.EIO), "failed (Input/output error): polling"),
        (fails(errno.ENODEV), "failed (No such device): polling"),
        (lambda move, count: 0, "has ended: polling"),
        (lambda *_: 2, ""),
    ],
    ids=["EIO", "ENODEV", "nothing", "short"],
)
def test_event_device_in_trouble_is_polled_and_named(
    memory: Memory, tmp_path: Path, act: Callable[[int, int], int], problem: str
) -> None:
    handled = threading.Semaphore(0)
    memory.write(0, bytes(1 << 20))
    memory.act = act
    with fuse_devices(tmp_path, {"events": memory}):
        listener = IrqListener(tmp_path / "events", handled.release)
        assert all(handled.acquire(timeout=2) for _ in range(3))
        assert listener.problem.endswith(problem) and bool(listener.problem) is bool(problem)
        assert (listener.polls > 0) is bool(problem)
        listener.close()
