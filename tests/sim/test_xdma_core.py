"""The stand-in of the XDMA core, driven as the stock driver does it: descriptors in RAM, run bit, interrupt."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.restarts import until
from vnetcard.sim.guest.xdma_core import (
    ALIGNMENTS,
    C2H,
    COMPLETED,
    CONTROL,
    DECODE_ERROR,
    DESCRIPTOR,
    DONE,
    FIRST_DESCRIPTOR,
    H2C,
    MAGIC,
    MAGIC_STOPPED,
    RUN,
    STATUS,
    STOP,
    STOPPED,
    XdmaCore,
)
from vnetcard.window.ivshmem_protocol import Client

BASE, LIMIT = 0x2000, 20.0
LIST, BUFFER = 0x1000, 0x4000


class Driver:
    """Does what the driver in a guest does; ``ram`` is its memory, ``bar`` the core's registers."""

    def __init__(self, core: XdmaCore, ram: Path) -> None:
        self._client = Client(core.socket)
        self._bar = mmap.mmap(self._client.memory, 64 << 10)
        with ram.open("r+b") as file:
            self.ram = mmap.mmap(file.fileno(), 0)

    def register(self, offset: int) -> int:
        value: int = struct.unpack_from("<I", self._bar, offset)[0]
        return value

    def start(self, channel: int, *pieces: tuple[int, int, int], magic: int = MAGIC) -> None:
        """Begin a transfer: each of ``pieces`` is (bytes, source, destination)."""
        for n, (length, source, to) in enumerate(pieces):
            control = magic << 16 | (STOP if n == len(pieces) - 1 else 0)
            at = LIST + n * DESCRIPTOR.size
            DESCRIPTOR.pack_into(self.ram, at, control, length, source, 0, to, 0, at + DESCRIPTOR.size, 0)
        struct.pack_into("<II", self._bar, channel + FIRST_DESCRIPTOR, LIST, 0)
        struct.pack_into("<I", self._bar, channel + CONTROL, RUN)

    def wait(self, channel: int) -> int:
        """The channel's status once its interrupt has come."""
        fd = self._client.eventfds[channel == C2H]
        assert select.select([fd], [], [], LIMIT)[0], "no interrupt came"
        os.eventfd_read(fd)
        return self.register(channel + STATUS)

    def close(self) -> None:
        self._bar.close()
        self.ram.close()
        self._client.close()


@pytest.fixture
def core(tmp_path: Path) -> Iterator[XdmaCore]:
    for name in ("ram", "card"):
        (tmp_path / name).write_bytes(bytes(64 << 10))
    core = XdmaCore(tmp_path, tmp_path / "ram", tmp_path / "card", base=BASE, align=64)
    yield core
    core.close()


@pytest.fixture
def driver(core: XdmaCore, tmp_path: Path) -> Iterator[Driver]:
    with contextlib.closing(Driver(core, tmp_path / "ram")) as driver:
        yield driver


def test_scattered_buffers_go_to_the_card_and_back(driver: Driver, tmp_path: Path) -> None:
    data = os.urandom(5000)
    driver.ram[BUFFER : BUFFER + 5000] = data
    driver.start(H2C, (1000, BUFFER, BASE + 64), (4000, BUFFER + 1000, BASE + 1064))
    assert driver.wait(H2C) == STOPPED | DONE
    assert driver.register(H2C + COMPLETED) == 2
    assert (tmp_path / "card").read_bytes()[64 : 64 + 5000] == data
    driver.start(C2H, (5000, BASE + 64, BUFFER + 8192))
    assert driver.wait(C2H) == STOPPED | DONE
    assert driver.ram[BUFFER + 8192 : BUFFER + 8192 + 5000] == data


@pytest.mark.parametrize("channel", [H2C, C2H], ids=["h2c", "c2h"])
@pytest.mark.parametrize("address", [0, BASE - 64, BASE + (64 << 10) - 32])
def test_address_outside_of_the_card_is_a_decode_error(driver: Driver, channel: int, address: int) -> None:
    piece = (64, BUFFER, address) if channel == H2C else (64, address, BUFFER)
    driver.start(channel, piece)
    assert driver.wait(channel) == STOPPED | DECODE_ERROR[channel]
    assert driver.register(channel + COMPLETED) == 0


def test_descriptor_without_the_magic_number_stops_the_engine(driver: Driver) -> None:
    driver.start(H2C, (64, BUFFER, BASE), magic=0x1234)
    assert driver.wait(H2C) == STOPPED | MAGIC_STOPPED


def test_core_that_hangs_answers_once_it_is_let_go(core: XdmaCore, driver: Driver) -> None:
    core.faults.hangs = True
    driver.start(H2C, (64, BUFFER, BASE))
    begun = core.polls
    until(lambda: core.polls > begun + 2, "the core has seen the run bit")
    assert driver.register(H2C + CONTROL) & RUN, "the core has begun the transfer"
    assert (driver.register(H2C + STATUS), core.transfers[H2C]) == (0, 0)
    core.faults.hangs = False
    assert driver.wait(H2C) == STOPPED | DONE


def test_alignment_register_says_how_the_core_was_built(driver: Driver) -> None:
    assert driver.register(H2C + ALIGNMENTS) >> 16 == 64
