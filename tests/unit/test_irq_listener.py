"""Listening to interrupts: each lets a read through, and ends the sleep of whoever waits for a word."""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
from pathlib import Path

import pytest

from vnetcard._core import Memory
from vnetcard.engine import registers as R
from vnetcard.engine.irq import IrqListener
from vnetcard.ring import layout as L
from vnetcard.window.engine_window import wakes_sleepers

LIMIT = 10.0


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A pipe: it gives what is written into it, as a device gives a count for each interrupt."""
    os.mkfifo(tmp_path / "uio0")
    return tmp_path / "uio0"


def test_each_interrupt_is_heard_until_the_end(device: Path) -> None:
    heard = threading.Semaphore(0)
    eventfds = IrqListener(device, heard.release)
    interrupt = os.open(device, os.O_WRONLY)
    for n in range(3):
        os.write(interrupt, n.to_bytes(4, "little"))
        assert heard.acquire(timeout=LIMIT)
    assert not heard.acquire(blocking=False)
    eventfds.close()
    os.close(interrupt)


def test_device_is_armed_ahead_of_each_wait(device: Path) -> None:
    """The pipe gives back what is written to arm it, so every arming looks like the next interrupt."""
    heard = threading.Semaphore(0)
    eventfds = IrqListener(device, heard.release, arm=b"\1\0\0\0")
    assert all(heard.acquire(timeout=LIMIT) for _ in range(10))
    eventfds.close()


def test_device_that_ends_leaves_a_quiet_thread(device: Path) -> None:
    heard = threading.Semaphore(0)
    eventfds = IrqListener(device, heard.release)
    os.close(os.open(device, os.O_WRONLY))
    time.sleep(0.05)
    assert not heard.acquire(blocking=False)
    eventfds.close()


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
def test_interrupt_is_taken_back_and_wakes_both_pumps_of_its_side(side: int) -> None:
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
