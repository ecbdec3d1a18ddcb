"""A mocked board with an engine: u-dma-bufs and register pages as files, and ``soft_engine.py`` behind them.

A register page that is a file shows a write only by its new contents, so a thread polls the page for them and stores
what reads return.  It stands for the registers, not for their timing.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.harness.fake_board import FakeBoard
from tests.harness.soft_engine import SoftEngine
from vnetcard._core import Memory
from vnetcard.engine import registers as R
from vnetcard.ring import layout as L

SIZE = 1 << 20
ADDRESSES = (0x4000_0000, 0x7000_0000)
UNRUNG = 0xFFFF_FFC1
"""No driver writes this value; the doorbell words hold it after a direction has started again."""
_WRITTEN = sorted((r for r in R.REGISTERS if r.access in ("RW", "WO")), key=lambda r: r.name == "control")
_READ = [r for r in R.REGISTERS if r.access == "RO"]


class SoftBoard:
    """Both sides' devices in one tree: ``udmabuf:host?engine=uio:engine-host``, and the same for the card.

    ``host`` names how the host reaches its page: ``uio``, or ``xdma`` for a device of Xilinx's driver with an
    interrupt. If that device is not ``mapped``, the page is memory of this process, reached through /proc/PID/mem: a
    file that can be read and written but not mapped.
    """

    def __init__(self, board: FakeBoard, *, host: str = "uio", mapped: bool = True) -> None:
        self._files: list[mmap.mmap] = []
        self._events = -1
        memories = tuple(
            self._mapped(board.udmabuf(name, size=SIZE, address=ADDRESSES[side])) for side, name in enumerate(L.SIDES)
        )
        self.urls = [f"udmabuf:{name}?engine=uio:engine-{name}" for name in L.SIDES]
        card = self._mapped(board.uio(L.CARD, "engine-card", size=R.PAGE_BYTES))
        if host == "uio":
            self._pages = self._mapped(board.uio(L.HOST, "engine-host", size=R.PAGE_BYTES)), card
        else:
            self._pages = self._behind_xdma(board, mapped), card
        self.engine = SoftEngine((memories[0], memories[1]))
        self.engine.interrupt = self._interrupt
        self._seen = [{r.offset: 0 for r in _WRITTEN} for _ in L.SIDES]
        self.memories = memories
        self._end = threading.Event()
        self._show()
        self._thread = threading.Thread(target=self._run, name="softboard")
        self._thread.start()

    def _behind_xdma(self, board: FakeBoard, mapped: bool) -> Memory:
        """/dev/xdma0_user with the host's page, and the pipe /dev/xdma0_events_3."""
        if mapped:
            page, offset = self._mapped(board.xdma("user", size=R.PAGE_BYTES)), 0
        else:
            self._files.append(mmap.mmap(-1, R.PAGE_BYTES))
            page, offset = Memory(self._files[-1]), address_of(self._files[-1])
            board.xdma("user", to=Path(f"/proc/{os.getpid()}/mem"))
        self.urls[L.HOST] = f"udmabuf:host?engine=xdma:0@{offset:#x}&irq=3"
        events = board.xdma("events_3")
        os.mkfifo(events)
        self._events = os.open(events, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        return page

    def _interrupt(self, side: int, bits: int) -> None:
        del bits
        if side == L.HOST and self._events >= 0:
            with contextlib.suppress(BlockingIOError):  # no process reads it
                os.write(self._events, (1).to_bytes(4, "little"))

    def _mapped(self, path: Path) -> Memory:
        with path.open("r+b") as file:
            self._files.append(mmap.mmap(file.fileno(), 0))
        return Memory(self._files[-1])

    def _run(self) -> None:
        while not self._end.is_set():
            busy = self._take(0) | self._take(1) | self.engine.step()
            self._show()
            if not busy:
                time.sleep(0.0001)

    def _take(self, side: int) -> bool:
        """Treat each word that has changed as written."""
        page, seen, busy = self._pages[side], self._seen[side], False
        control = page.load32(R.offset("control"))  # read first, applied last: earlier writes count
        for register in _WRITTEN:
            value = control if register.name == "control" else page.load32(register.offset)
            if value == seen[register.offset]:
                continue
            busy, seen[register.offset] = True, value
            self.engine.write(side, register.offset, value)
            if register.name == "reset":
                self._again(side, ("reset",), 0)
                self._again(side, ("tx_prod", "rx_cons"), UNRUNG)  # the pumps are held meanwhile
        return busy

    def _again(self, side: int, names: tuple[str, ...], value: int) -> None:
        """Let the next write be seen, whatever its value."""
        for name in names:
            self._pages[side].store32(R.offset(name), value)
            self._seen[side][R.offset(name)] = value

    def _show(self) -> None:
        for side, page in enumerate(self._pages):
            for register in _READ:
                page.store32(register.offset, self.engine.read(side, register.offset))

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        for memory in (*self.memories, *self._pages):
            memory.close()
        for file in self._files:
            file.close()
        if self._events >= 0:
            os.close(self._events)


def address_of(memory: mmap.mmap) -> int:
    """Where it is mapped in this process."""
    pin = ctypes.c_char.from_buffer(memory)
    try:
        return ctypes.addressof(pin)
    finally:
        del pin


@contextlib.contextmanager
def soft_board(board: FakeBoard, *, host: str = "uio", mapped: bool = True) -> Iterator[SoftBoard]:
    """A board whose engine works until the end of the block."""
    soft = SoftBoard(board, host=host, mapped=mapped)
    try:
        yield soft
    finally:
        soft.close()
