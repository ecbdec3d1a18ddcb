"""What a peer writes into its index, a header or a record is checked; memory outside a window is out of reach."""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

import pytest

from tests.unit.fifo_harness import (
    CONS,
    FIFO,
    FRAME_MAX,
    GEOMETRY,
    LAST_LINE,
    PROD,
    RING,
    WINDOW,
    pattern,
)
from vnetcard._core import Consumer, Memory, Producer
from vnetcard.errors import FifoCorrupt
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import Fifo

RING_AT = GEOMETRY.rings[0][1].offset
HEADER = struct.Struct("<IHHII")  # len, flags, hdr_len, seq, crc32c


# --- records -------------------------------------------------------------------------------------------

GOOD = (60, 0, 0, 0, 0)
RECORDS = {
    "len 0": ((0, 0, 0, 0, 0), "length"),
    "len all ones": ((0xFFFF_FFFF, 0, 0, 0, 0), "length"),
    "len that overflows when it is rounded up": ((0xFFFF_FFF0, 0, 0, 0, 0), "length"),
    "len above frame_max": ((FRAME_MAX + 1, 0, 0, 0, 0), "length"),
    "len beyond prod": ((3 * L.LINE, 0, 0, 0, 0), "length"),
    "len one beyond prod": ((2 * L.LINE - L.RECORD_HEADER + 1, 0, 0, 0, 0), "length"),
    "unknown flag": ((60, 2, 0, 0, 0), "flags"),
    "hdr_len without VNET": ((60, 0, 10, 0, 0), "hdr_len"),
    "VNET without hdr_len": ((60, 1, 0, 0, 0), "hdr_len"),
    "VNET with another hdr_len": ((60, 1, 12, 0, 0), "hdr_len"),
    "VNET with no packet behind it": ((10, 1, 10, 0, 0), "hdr_len"),
    "seq ahead": ((60, 0, 0, 1, 0), "missing"),
    "seq all ones": ((60, 0, 0, 0xFFFF_FFFF, 0), "missing"),
    "crc that was not negotiated": ((60, 0, 0, 0, 1), "crc32c"),
}


@pytest.mark.parametrize(("header", "complaint"), RECORDS.values(), ids=RECORDS)
@pytest.mark.parametrize("start", [0, RING - L.LINE, LAST_LINE], ids=["0", "end of ring", "2^32"])
def test_impossible_record_is_refused_and_left_where_it_is(
    memory: Memory, consumer: Fifo, header: tuple[int, ...], complaint: str, start: int
) -> None:
    consumer.reset(start)
    memory.write(RING_AT + start % RING, HEADER.pack(*header))
    memory.store32(PROD, (start + 2 * L.LINE) % 2**32)
    for _ in range(2):
        with pytest.raises(FifoCorrupt, match=complaint):
            consumer.try_pop()
        with pytest.raises(FifoCorrupt, match=complaint):
            consumer.pop_batch()
    assert memory.load32(CONS) == start
    assert consumer.counters.popped == 0
    memory.write(RING_AT + start % RING, HEADER.pack(*GOOD))
    packet = consumer.try_pop()
    assert packet is not None and len(packet) == 60


def test_vnet_record_with_its_header_is_accepted(producer: Fifo, consumer: Fifo) -> None:
    assert producer.try_push(pattern(L.VNET_HDR + 1), hdr_len=L.VNET_HDR)
    assert consumer.try_pop() == pattern(L.VNET_HDR + 1)
    with pytest.raises(ValueError, match="hdr_len"):
        producer.try_push(pattern(60), hdr_len=12)


def test_batch_delivers_what_stands_before_a_bad_record(memory: Memory, producer: Fifo, consumer: Fifo) -> None:
    producer.push_batch([b"one", b"two", b"bad", b"never"])
    memory.write(RING_AT + 2 * L.LINE, HEADER.pack(0, 0, 0, 2, 0))
    assert consumer.pop_batch() == [b"one", b"two"]
    with pytest.raises(FifoCorrupt):
        consumer.pop_batch()
    assert memory.load32(CONS) == 2 * L.LINE


# --- indices -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, RING - L.LINE, LAST_LINE], ids=["0", "end of ring", "2^32"])
@pytest.mark.parametrize("ahead", [1, 4, 63, 65, RING + L.LINE, RING + 1, 2**31, -L.LINE, -RING])
def test_impossible_prod_is_refused(memory: Memory, consumer: Fifo, start: int, ahead: int) -> None:
    consumer.reset(start)
    memory.store32(PROD, (start + ahead) % 2**32)
    with pytest.raises(FifoCorrupt, match="index"):
        consumer.try_pop()
    with pytest.raises(FifoCorrupt, match="index"):
        _ = consumer.fill
    memory.store32(PROD, start)
    assert consumer.try_pop() is None


def test_prod_that_goes_back_is_refused(memory: Memory, producer: Fifo, consumer: Fifo) -> None:
    producer.push_batch([b"a", b"b", b"c"])
    assert consumer.try_pop() == b"a"
    memory.store32(PROD, 2 * L.LINE)
    with pytest.raises(FifoCorrupt, match="went back"):
        _ = consumer.fill
    assert consumer.pop_batch() == [b"b", b"c"]  # it had seen them


@pytest.mark.parametrize("start", [0, LAST_LINE], ids=["0", "2^32"])
@pytest.mark.parametrize("ahead", [1, 63, -L.LINE, -1, RING + L.LINE, 2**31])
def test_impossible_cons_is_refused_when_it_matters(memory: Memory, producer: Fifo, start: int, ahead: int) -> None:
    producer.reset(start)
    assert producer.try_push(pattern(FRAME_MAX))
    memory.store32(CONS, (start + ahead) % 2**32)
    before = memory.read(0, WINDOW)
    with pytest.raises(FifoCorrupt, match="index"):
        producer.try_push(b"x")
    with pytest.raises(FifoCorrupt, match="index"):
        producer.push_batch([b"x"])
    with pytest.raises(FifoCorrupt, match="index"):
        _ = producer.fill
    assert memory.read(0, WINDOW) == before


def test_cons_that_goes_back_is_refused(memory: Memory, producer: Fifo) -> None:
    producer.push_batch([b"a", b"b", b"c"])
    memory.store32(CONS, 2 * L.LINE)
    assert producer.fill == L.LINE
    memory.store32(CONS, L.LINE)
    with pytest.raises(FifoCorrupt, match="went back"):
        _ = producer.fill


def test_batch_that_meets_a_bad_index_returns_what_it_has_taken(memory: Memory, producer: Fifo) -> None:
    memory.store32(CONS, 1)  # not read before the ring seems full
    packets = [pattern(1000, n) for n in range(5)]
    assert producer.push_batch(packets) == producer.counters.pushed == 4
    assert memory.load32(PROD) == 4 * L.align_record(1000)
    with pytest.raises(FifoCorrupt, match="index"):
        producer.push_batch(packets[4:])


# --- the window's bounds -------------------------------------------------------------------------------


def test_memory_of_a_device_that_goes_reads_as_all_ones(tmp_path: Path) -> None:
    """No thread gets a SIGBUS that ends the process, and only the part that has gone reads so."""
    file = tmp_path / "memory"
    file.write_bytes(bytes(WINDOW))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), WINDOW) as window:
        memory = Memory(window, device=True)
        memory.store32(0, 7)
        os.truncate(file, mmap.PAGESIZE)
        assert memory.load32(0) == 7
        assert memory.read(WINDOW - 64, 64) == b"\xff" * 64
        memory.store32(WINDOW - mmap.PAGESIZE, 5)  # goes nowhere
        fifo = Fifo(memory, GEOMETRY, FIFO, role="producer")
        fifo.close()
        memory.close()
    assert file.stat().st_size == mmap.PAGESIZE


def test_memory_ends_where_it_ends(memory: Memory) -> None:
    assert memory.size == WINDOW
    memory.store32(WINDOW - 4, 7)
    memory.store64(WINDOW - 8, 9)
    assert memory.load64(WINDOW - 8) == 9
    assert memory.words(WINDOW - 8, 1) == (9,)
    for offset in (WINDOW, WINDOW - 2, WINDOW + 4, 2**32, 2**63, -4):
        for access in (memory.load32, memory.load64, memory.ledger):
            with pytest.raises(IndexError, match="are outside the window"):
                access(offset)
        for store in (memory.store32, memory.store64):
            with pytest.raises(IndexError):
                store(offset, 0)
    for offset, count in ((WINDOW - 8, 16), (0, WINDOW + 8), (8, 2**64 - 8), (WINDOW + 8, 0)):
        with pytest.raises(IndexError):
            memory.read(offset, count)
    with pytest.raises(IndexError):
        memory.write(WINDOW - 8, bytes(16))
    with pytest.raises(IndexError):
        memory.words(WINDOW - 8, 2)
    with pytest.raises(ValueError, match="count is out of range"):
        memory.words(0, 2**61)


@pytest.mark.parametrize("off", [1, 2, 3, 4, 5, 6, 7])
def test_misaligned_access_is_refused(memory: Memory, off: int) -> None:
    for access in (memory.load64, memory.ledger) if off == 4 else (memory.load32, memory.load64, memory.ledger):
        with pytest.raises(ValueError, match="is not a multiple"):
            access(off)
    for call in (lambda: memory.read(off, 8), lambda: memory.write(off, bytes(8)), lambda: memory.words(off, 1)):
        with pytest.raises(ValueError, match="is not a multiple"):
            call()
    with pytest.raises(ValueError, match="multiple of 8"):
        memory.write(0, bytes(off))


def test_read_gives_what_write_took_at_every_length(memory: Memory) -> None:
    for length in range(0, 130):
        data = pattern((length + 7) & ~7, length)
        memory.write(0x2000, data)
        assert memory.read(0x2000, length) == data[:length]


def test_window_must_be_writable_and_start_at_a_line() -> None:
    with pytest.raises(ValueError, match="multiple of 64"):
        Memory(memoryview(mmap.mmap(-1, WINDOW))[8:])
    with pytest.raises(BufferError):
        Memory(bytes(WINDOW))


def test_memory_in_use_cannot_be_closed_and_closed_memory_cannot_be_used(memory: Memory) -> None:
    fifo = Fifo(memory, GEOMETRY, FIFO, role="both")
    with pytest.raises(BufferError, match="2 FIFO ends"):
        memory.close()
    fifo.close()
    memory.close()
    memory.close()
    assert memory.size == 0
    with pytest.raises(ValueError, match="closed"):
        memory.load32(0)


@pytest.mark.parametrize("end", [Producer, Consumer])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"size": RING - L.LINE}, ValueError),
        ({"size": RING // 2}, ValueError),
        ({"size": 2**32 + RING}, ValueError),
        ({"ring": WINDOW - RING + L.LINE}, IndexError),
        ({"ring": RING_AT - 8}, ValueError),
        ({"own": PROD + 4}, ValueError),
        ({"own": WINDOW}, IndexError),
        ({"peer": 2**63}, IndexError),
        ({"frame_max": 0}, ValueError),
        ({"frame_max": FRAME_MAX + 1}, ValueError),
        ({"frame_max": 0xFFFF_FFFF}, ValueError),
    ],
    ids=str,
)
def test_end_that_does_not_fit_the_window_is_refused(
    memory: Memory, end: type[Producer | Consumer], change: dict[str, int], error: type[Exception]
) -> None:
    place = {"ring": RING_AT, "size": RING, "own": PROD, "peer": CONS, "frame_max": FRAME_MAX}
    with pytest.raises(error):
        end(memory, **(place | change))
    memory.close()  # the refused end holds nothing
