"""Interrupts of a device: each is handled; a device that raises none is polled, counted and named."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from vnetcard._core import Memory
from vnetcard.engine import irq
from vnetcard.engine import registers as R
from vnetcard.engine.irq import IrqListener
from vnetcard.hw.uio import UNMASK
from vnetcard.ring import layout as L
from vnetcard.window.engine_window import wakes_sleepers

LIMIT = 10.0


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A pipe: a read returns what was written to it, as a device returns a count per interrupt."""
    os.mkfifo(tmp_path / "uio0")
    return tmp_path / "uio0"


@contextlib.contextmanager
def listening(source: Path | int, handler: threading.Semaphore, unmask: bytes = b"") -> Iterator[IrqListener]:
    listener = IrqListener(source, handler.release, unmask=unmask)
    try:
        yield listener
    finally:
        listener.close()


def wait_until(true: object, deadline: float = LIMIT) -> None:
    end = time.monotonic() + deadline
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_each_interrupt_is_handled_until_the_end(device: Path) -> None:
    handled = threading.Semaphore(0)
    with listening(device, handled) as listener:
        interrupt = os.open(device, os.O_WRONLY)
        for n in range(3):
            os.write(interrupt, n.to_bytes(4, "little"))
            assert handled.acquire(timeout=LIMIT)
        assert not handled.acquire(blocking=False)
        assert (listener.interrupts, listener.polls, listener.problem) == (3, 0, "")
    os.close(interrupt)


class MaskingUio:
    """A UIO device with the kernel's rule: after an interrupt it is masked until 1 is written to it.

    A pseudo-terminal: unlike a file it blocks, and unlike a pipe its two directions are separate.
    """

    def __init__(self) -> None:
        self._kernel, self._user = os.openpty()
        tty.setraw(self._user)
        self.path = Path(os.ttyname(self._user))
        self.unmasked = 0

    def interrupt(self) -> None:
        """Raise one; it is seen only once the device is unmasked."""
        assert os.read(self._kernel, 4) == UNMASK
        self.unmasked += 1
        os.write(self._kernel, self.unmasked.to_bytes(4, "little"))

    def close(self) -> None:
        os.close(self._user)
        os.close(self._kernel)


def test_uio_interrupt_is_unmasked_before_each_wait() -> None:
    with contextlib.closing(MaskingUio()) as device:
        handled = threading.Semaphore(0)
        with listening(device.path, handled, UNMASK) as listener:
            for _ in range(5):
                device.interrupt()
                assert handled.acquire(timeout=LIMIT)
            assert (device.unmasked, listener.interrupts, listener.problem) == (5, 5, "")


def test_device_that_raises_no_interrupt_in_its_first_second_is_named_and_polled(
    device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(irq, "FIRST_LIMIT", 0.05)
    handled = threading.Semaphore(0)
    with listening(device, handled) as listener:
        assert handled.acquire(timeout=LIMIT)
        assert str(device) in listener.problem
        wait_until(lambda: listener.polls > 3)
        interrupt = os.open(device, os.O_WRONLY)
        os.write(interrupt, bytes(4))
        wait_until(lambda: listener.interrupts == 1)
        wait_until(lambda: listener.problem == "")
        polls = listener.polls
        time.sleep(0.1)
        assert listener.polls == polls, "a device that works is not polled"
    os.close(interrupt)


def test_polling_is_at_a_sane_pace(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(irq, "FIRST_LIMIT", 0.01)
    handled = threading.Semaphore(0)
    with listening(device, handled) as listener:
        wait_until(lambda: listener.polls > 0)
        before, start = listener.polls, time.monotonic()
        time.sleep(0.3)
        assert 0 < listener.polls - before <= (time.monotonic() - start) / irq.POLL_EVERY + 1


def test_device_that_ends_is_named_and_polled(device: Path) -> None:
    handled = threading.Semaphore(0)
    with listening(device, handled) as listener:
        os.close(os.open(device, os.O_WRONLY))
        assert all(handled.acquire(timeout=LIMIT) for _ in range(3))
        assert "has ended" in listener.problem


@pytest.mark.parametrize("failing", ["read", "write"])
def test_device_that_fails_is_named_and_polled(device: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    handled = threading.Semaphore(0)
    if failing == "write":
        with listening(Path("/dev/full"), handled, UNMASK) as listener:
            assert all(handled.acquire(timeout=LIMIT) for _ in range(3))
            assert os.strerror(errno.ENOSPC) in listener.problem
        return
    kernel, user = os.openpty()
    tty.setraw(user)
    with listening(Path(os.ttyname(user)), handled) as listener:
        os.close(user)
        os.close(kernel)  # a read of a terminal whose other end is gone: EIO
        assert all(handled.acquire(timeout=LIMIT) for _ in range(3))
        assert os.strerror(errno.EIO) in listener.problem or "has ended" in listener.problem


class Status:
    """A register page of which only irq_status matters: writing a 1 clears."""

    def __init__(self) -> None:
        self.value = R.IRQ_BITS["RX_PROD"]

    def read32(self, offset: int, /) -> int:
        assert offset == R.offset("irq_status")
        return self.value

    def write32(self, offset: int, value: int, /) -> None:
        assert offset == R.offset("irq_status")
        self.value &= ~value


@pytest.mark.parametrize("side", [L.HOST, L.CARD])
def test_interrupt_is_cleared_and_wakes_both_pumps_of_its_side(side: int) -> None:
    memory = Memory(mmap.mmap(-1, 1 << 14))
    status = Status()
    lines = f"{L.DIRECTIONS[1 - side]}_prod", f"{L.DIRECTIONS[side]}_cons"
    words = [L.queue_offset(0) + L.QUEUE_LINES[line] for line in lines]
    sleepers = [threading.Thread(target=memory.wait32, args=(word, 0, LIMIT)) for word in words]
    for sleeper in sleepers:
        sleeper.start()
    handle = wakes_sleepers(memory, status, side)
    deadline = time.monotonic() + LIMIT / 2
    while any(sleeper.is_alive() for sleeper in sleepers) and time.monotonic() < deadline:
        handle()
        with contextlib.suppress(RuntimeError):
            sleepers[0].join(0.01)
    assert not any(sleeper.is_alive() for sleeper in sleepers)
    assert status.value == 0
