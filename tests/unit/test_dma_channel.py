"""Transfers over channels that do less than they were asked, are busy, late, or fail: exact, or reported as errors."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from vnetcard.hw.xdma import BUSY_LIMIT
from vnetcard.x86_side.xdma.channel import (
    ERESTARTSYS,
    CardMemory,
    DeviceChannel,
    DeviceGone,
    TransferFailed,
)

BASE, SIZE = 0x4000, 0x1000


class Faulty:
    """A channel over ``memory``; ``act`` gets each move and its bytes, and returns how many move or raises OSError."""

    name = "/dev/xdma0_h2c_0"

    def __init__(self, act: Callable[[int, int], int], *, to_card: bool = True) -> None:
        self.memory = bytearray(SIZE)
        self._act, self._to_card = act, to_card
        self.moves = 0

    def move(self, span: memoryview, address: int, /) -> int:
        self.moves += 1
        said = self._act(self.moves - 1, len(span))
        count, at = max(0, min(said, len(span))), address - BASE
        if self._to_card:
            self.memory[at : at + count] = span[:count]
        else:
            span[:count] = self.memory[at : at + count]
        return said


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def card(act: Callable[[int, int], int], time: Time | None = None) -> tuple[CardMemory, Faulty, Faulty]:
    time = time or Time()
    to_card, from_card = Faulty(act), Faulty(act, to_card=False)
    return CardMemory(to_card, from_card, base=BASE, size=SIZE, clock=time, sleep=time.sleep), to_card, from_card


def fails(number: int) -> Callable[[int, int], int]:
    def act(move: int, count: int) -> int:
        raise OSError(number, os.strerror(number))

    return act


def sometimes(number: int, every: int) -> Callable[[int, int], int]:
    """Move number ``every`` and its multiples move up to 100 bytes; the others fail with ``number``."""

    def act(move: int, count: int) -> int:
        if move % every:
            raise OSError(number, os.strerror(number))
        return min(count, 100)

    return act


DATA = bytes(range(256)) * 8


@pytest.mark.parametrize("most", [1, 7, 64, 1000, 4096])
def test_short_moves_are_continued_where_they_ended(most: int) -> None:
    memory, to_card, from_card = card(lambda move, count: min(count, most))
    memory.write(0x100, DATA)
    assert to_card.memory[0x100 : 0x100 + len(DATA)] == DATA and not any(to_card.memory[:0x100])
    from_card.memory[:] = to_card.memory
    assert memory.read(0x100, len(DATA)) == DATA
    assert to_card.moves == from_card.moves == -(-len(DATA) // most)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EINTR, errno.EBUSY])
def test_busy_channel_is_retried_and_counted(number: int) -> None:
    memory, to_card, _ = card(sometimes(number, 3))
    memory.write(0, DATA)
    assert to_card.memory[: len(DATA)] == DATA
    assert memory.retries == 2 * (-(-len(DATA) // 100) - 1)


def test_channel_that_stays_busy_is_an_error() -> None:
    time = Time()
    memory, _, _ = card(fails(errno.EAGAIN), time)
    with pytest.raises(TransferFailed, match="TIMEOUT, /dev/xdma0_h2c_0 was busy for 2 s at card address 0x4040"):
        memory.write(0x40, DATA)
    assert BUSY_LIMIT <= time.now < BUSY_LIMIT + 0.1


@pytest.mark.parametrize(
    ("number", "cause", "words"),
    [
        (errno.EIO, "WRITE", "a write over /dev/xdma0_h2c_0 failed .Input/output error. at card address 0x4100"),
        (errno.EINVAL, "WRITE", "failed .Invalid argument."),
        (errno.EFAULT, "WRITE", "failed .Bad address."),
        (errno.ETIMEDOUT, "TIMEOUT", "/dev/xdma0_h2c_0 timed out at card address 0x4100"),
        (ERESTARTSYS, "TIMEOUT", "timed out"),
    ],
)
def test_transfer_that_fails_names_cause_channel_and_address(number: int, cause: str, words: str) -> None:
    memory, _, _ = card(fails(number))
    with pytest.raises(TransferFailed, match=words) as caught:
        memory.write(0x100, DATA)
    assert (caught.value.cause, caught.value.address) == (cause, 0x4100)


def test_failure_in_the_middle_names_the_first_byte_that_was_not_moved() -> None:
    def act(move: int, count: int) -> int:
        if move == 3:
            raise OSError(errno.EIO, "")
        return 64

    memory, _, _ = card(act)
    with pytest.raises(TransferFailed) as caught:
        memory.read(0, 1024)
    assert (caught.value.cause, caught.value.address) == ("READ", BASE + 192)


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENXIO, errno.ESHUTDOWN])
def test_removed_device_is_not_a_failed_transfer(number: int) -> None:
    memory, _, _ = card(fails(number))
    with pytest.raises(DeviceGone, match=r"/dev/xdma0_h2c_0 is gone .*was the card removed"):
        memory.read(0, 64)


@pytest.mark.parametrize("moved", [0, -1, 65])
def test_impossible_transfer_length_is_an_error_and_not_retried(moved: int) -> None:
    memory, _, from_card = card(lambda move, count: moved)
    with pytest.raises(TransferFailed, match=f"moved {moved} of 64 bytes"):
        memory.read(0, 64)
    assert from_card.moves == 1


@pytest.mark.parametrize(("offset", "count"), [(SIZE, 1), (SIZE - 64, 65), (-1, 1), (0, SIZE + 1)])
def test_nothing_outside_the_window_is_touched(offset: int, count: int) -> None:
    memory, to_card, _ = card(lambda move, count: count)
    with pytest.raises(IndexError):
        memory.write(offset, bytes(count))
    assert to_card.moves == 0


# --- real descriptors --------------------------------------------------------------------------------


def test_file_behaves_like_the_devices(tmp_path: Path) -> None:
    path = tmp_path / "card"
    path.write_bytes(bytes(BASE + SIZE))
    to_card, from_card = DeviceChannel(path, to_card=True), DeviceChannel(path, to_card=False)
    memory = CardMemory(to_card, from_card, base=BASE, size=SIZE)
    memory.write(0x40, DATA)
    assert memory.read(0x40, len(DATA)) == path.read_bytes()[BASE + 0x40 :][: len(DATA)] == DATA
    assert to_card.vanished() is None
    path.rename(tmp_path / "elsewhere")
    assert "is gone" in (to_card.vanished() or "")
    path.write_bytes(b"")
    assert "another device" in (to_card.vanished() or "")
    for channel in (to_card, from_card):
        channel.close()
        channel.close()
    with pytest.raises(DeviceGone):
        memory.read(0, 64)


def test_file_that_ends_early_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "card"
    path.write_bytes(bytes(BASE + 100))
    channel = DeviceChannel(path, to_card=False)
    with pytest.raises(TransferFailed, match="moved 0 of 28 bytes at card address 0x4064"):
        CardMemory(channel, channel, base=BASE, size=SIZE).read(0, 128)
    channel.close()


def test_slow_pipe_in_small_pieces_is_read_to_its_end(tmp_path: Path) -> None:
    """A stream has no addresses, so this is the reading alone: a channel that gives a little at a time, late."""
    read, write = os.pipe()

    class Pipe:
        name = "pipe"

        def move(self, span: memoryview, address: int, /) -> int:
            return os.readv(read, [span])

    def feed() -> None:
        for at in range(0, len(DATA), 100):
            os.write(write, DATA[at : at + 100])

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        assert CardMemory(Pipe(), Pipe(), base=0, size=SIZE).read(0, len(DATA)) == DATA
    finally:
        thread.join()
        os.close(read)
        os.close(write)
