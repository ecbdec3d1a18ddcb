"""Geometry: what is planned, written and read again is the same, and nothing else is accepted."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, LayoutMismatch
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import HEADER_BYTES, Geometry, Ring, speaks_our_format
from vnetcard.terminal.sizes import human, parse_size

sizes = st.integers(L.WINDOW_MIN, L.WINDOW_MAX)
instances = st.integers(1, (1 << 32) - 1)


def header_of(geometry: Geometry, *, magic: bool = True) -> bytes:
    return geometry.encode(magic=magic).ljust(HEADER_BYTES, b"\0")


def plan(window_bytes: int = 64 << 10, *, queue_bytes: int | None = None, queues: int = 1) -> Geometry:
    return Geometry.plan(window_bytes, queue_bytes=queue_bytes, queues=queues, instance=0xDEC0DE, removable=True)


# --- planning ----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(window_bytes=sizes, instance=instances, removable=st.booleans())
def test_planned_geometry_is_read_again_as_it_was(window_bytes: int, instance: int, removable: bool) -> None:
    geometry = Geometry.plan(window_bytes, instance=instance, removable=removable)
    assert Geometry.decode(header_of(geometry), window_bytes) == geometry


@settings(deadline=None)
@given(window_bytes=st.integers(1 << 20, L.WINDOW_MAX), queues=st.integers(1, L.QUEUES_MAX), bits=st.integers(12, 29))
def test_queues_are_read_again_as_they_were_or_do_not_fit(window_bytes: int, queues: int, bits: int) -> None:
    fits = L.rings_offset(queues) + 2 * queues * (1 << bits) <= window_bytes
    try:
        geometry = plan(window_bytes, queue_bytes=1 << bits, queues=queues)
    except ConfigError as error:
        assert not fits
        assert "do not fit" in str(error)
    else:
        assert fits
        assert Geometry.decode(header_of(geometry), window_bytes) == geometry


@settings(deadline=None)
@given(window_bytes=sizes, queues=st.integers(1, 2))
def test_rings_are_apart_aligned_and_inside(window_bytes: int, queues: int) -> None:
    try:
        geometry = plan(window_bytes, queues=queues)
    except ConfigError:
        assert queues == 2 and window_bytes < L.rings_offset(2) + 4 * L.RING_MIN
        return
    at = L.rings_offset(queues)
    for ring in (ring for pair in geometry.rings for ring in pair):
        assert ring.offset >= at and ring.offset % L.RING_ALIGN == 0
        assert ring.size & (ring.size - 1) == 0
        at = ring.offset + ring.size
    assert at <= window_bytes


@settings(deadline=None)
@given(window_bytes=sizes)
def test_rings_are_the_largest_that_fit(window_bytes: int) -> None:
    assert plan(window_bytes).ring_bytes * 4 > window_bytes - L.rings_offset(1)


@pytest.mark.parametrize("window_bytes", [0, 1, L.WINDOW_MIN - 1, L.WINDOW_MAX + 1, 1 << 40, -1])
def test_impossible_window_size_is_refused(window_bytes: int) -> None:
    with pytest.raises(ConfigError, match="16 KiB to 1 GiB"):
        plan(window_bytes)


@pytest.mark.parametrize("queue_bytes", [0, 1, 64, 2048, 4095, 4097, 12288, L.RING_MAX * 2, -4096])
def test_impossible_queue_size_is_refused(queue_bytes: int) -> None:
    with pytest.raises(ConfigError, match="power of two"):
        plan(L.WINDOW_MAX, queue_bytes=queue_bytes)


def test_smallest_window_carries_an_ethernet_mtu() -> None:
    geometry = plan(L.WINDOW_MIN)
    assert geometry.ring_bytes == 4096
    assert geometry.mtu_max >= 1500
    assert plan(L.WINDOW_DEFAULT).mtu_max == L.MTU_MAX


def test_description_is_in_words() -> None:
    assert plan(8 << 20).describe() == "8 MiB window, 1 queue pair, rings of 2 MiB"
    assert plan(8 << 20, queues=3).describe().startswith("8 MiB window, 3 queue pairs")


# --- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("queues", [1, 2, L.QUEUES_MAX])
def test_every_damaged_byte_of_the_superblock_is_noticed(queues: int) -> None:
    geometry = plan(1 << 20, queues=queues)
    header = header_of(geometry)
    for at in range(L.LINE * (1 + queues)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(header)
            damaged[at] ^= flip
            with pytest.raises(LayoutMismatch):
                Geometry.decode(bytes(damaged), 1 << 20)


def test_window_without_its_magic_is_none_yet() -> None:
    header = header_of(plan(), magic=False)
    assert not speaks_our_format(header)
    with pytest.raises(LayoutMismatch) as caught:
        Geometry.decode(header, 64 << 10)
    assert caught.value.code is ErrorCode.NO_WINDOW


def test_too_little_is_refused() -> None:
    header = header_of(plan())
    for length in (0, 1, 64, HEADER_BYTES - 1):
        with pytest.raises(LayoutMismatch, match="too few"):
            Geometry.decode(header[:length], 64 << 10)
    with pytest.raises(LayoutMismatch, match="names 65536 bytes, the window has 65535"):
        Geometry.decode(header, (64 << 10) - 1)


@pytest.mark.parametrize(
    ("oldest", "newest", "words"), [(2, 2, "format 2,"), (2, 9, "format 2 to 9"), (0, 0, "format 0")]
)
def test_other_wire_version_is_refused_naming_both(oldest: int, newest: int, words: str) -> None:
    header = bytearray(header_of(plan()))
    header[8:16] = oldest.to_bytes(4, "little") + newest.to_bytes(4, "little")
    assert not speaks_our_format(bytes(header))
    with pytest.raises(LayoutMismatch, match=rf"{words}.*speaks {L.VERSION}") as caught:
        Geometry.decode(bytes(header), 64 << 10)
    assert caught.value.code is ErrorCode.WIRE_FORMAT


@settings(deadline=None)
@given(st.binary(max_size=HEADER_BYTES + 64), st.integers(0, L.WINDOW_MAX))
def test_foreign_bytes_are_refused_in_words(header: bytes, available: int) -> None:
    assert not speaks_our_format(header)
    with pytest.raises(LayoutMismatch):
        Geometry.decode(header, available)


@settings(deadline=None, max_examples=500)
@given(
    offsets=st.lists(st.integers(0, 36).map(lambda n: n * 2048), min_size=2, max_size=2),
    size=st.sampled_from((4096, 4096, 8192, 16384, 2048, 12288, 65536, 0, 64)),
    beside=st.booleans(),
)
def test_impossible_rings_are_refused_though_the_checksum_fits(offsets: list[int], size: int, beside: bool) -> None:
    window = 64 << 10
    if beside:
        check_rings_of_two_memories(window, offsets, size)
        return
    forged = Geometry(window, ((Ring(offsets[0], size), Ring(offsets[1], size)),), 1, removable=False)
    first, second = sorted(offsets)
    possible = (
        size in (4096, 8192, 16384)
        and all(offset % L.RING_ALIGN == 0 for offset in offsets)
        and L.rings_offset(1) <= first <= second - size
        and second + size <= window
    )
    if possible:
        assert Geometry.decode(header_of(forged), window) == forged
    else:
        with pytest.raises(LayoutMismatch, match=r"impossible in this window|in a memory beside it.*\?c2h="):
            Geometry.decode(header_of(forged), window)


def check_rings_of_two_memories(window: int, offsets: list[int], size: int) -> None:
    """The second offset is one in the second memory."""
    h2c, c2h = offsets
    forged = Geometry(window, ((Ring(h2c, size), Ring(window + c2h, size)),), 1, removable=False)
    possible = (
        size in (4096, 8192, 16384)
        and all(offset % L.RING_ALIGN == 0 for offset in offsets)
        and L.rings_offset(1) <= h2c <= window - size
        and L.RING_ALIGN <= c2h <= window - size
    )
    if possible:
        assert Geometry.decode(header_of(forged), window, c2h_beside=True) == forged
        assert Geometry.decode(header_of(forged), 2 * window, c2h_beside=None) == forged
        for available, wanted in ((2 * window, False), (2 * window - 1, None)):
            with pytest.raises(LayoutMismatch, match=r"in a memory beside it.*\?c2h="):
                Geometry.decode(header_of(forged), available, c2h_beside=wanted)
    else:
        with pytest.raises(LayoutMismatch, match="impossible in this window"):
            Geometry.decode(header_of(forged), window, c2h_beside=True)


@given(window_bytes=st.integers(14, 30).map(lambda n: 1 << n), queues=st.integers(1, 3))
def test_c2h_rings_beside_the_window_leave_it_to_those_of_h2c(window_bytes: int, queues: int) -> None:
    try:
        geometry = Geometry.plan(window_bytes, queues=queues, instance=1, removable=False, c2h_beside=True)
    except ConfigError:
        assert window_bytes < L.rings_offset(queues) + queues * L.RING_MIN
        return
    assert geometry.c2h_beside and "those of c2h beside it" in geometry.describe()
    assert 2 * geometry.ring_bytes * queues > window_bytes - L.rings_offset(queues)
    assert Geometry.decode(header_of(geometry), window_bytes, c2h_beside=True) == geometry
    with pytest.raises(LayoutMismatch, match=r"not in another memory \(\?c2h=\)"):
        Geometry.decode(header_of(plan(1 << 20)), 1 << 20, c2h_beside=True)


# --- sizes as text -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("0", 0), ("5B", 5), ("007", 7), ("65536", 65536)),
        *((text, 65536) for text in ("64K", "64k", "64KiB", "64kB", "64 K")),
        *(("8M", 8 << 20), ("8 MiB", 8 << 20), ("1G", 1 << 30), (" 1g ", 1 << 30)),
    ],
)
def test_size_is_parsed(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "K", "abc", "-1", "1.5M", "1T", "0x10", "1e3", "8 8M", "٣", "²", "KiB", "9" * 5000]
)
def test_invalid_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="K, M or G"):
        parse_size(text)


@settings(deadline=None)
@given(st.integers(0, 1 << 40))
def test_printed_size_is_parsed(size: int) -> None:
    assert parse_size(human(size).removesuffix(" bytes")) == size


def test_noise_in_a_superblock_is_refused_without_a_crash() -> None:
    rng = random.Random(7)
    header = header_of(plan())
    for _ in range(2000):
        noisy = bytearray(header)
        for at in rng.sample(range(2 * L.LINE), rng.randint(1, 8)):
            noisy[at] = rng.randrange(256)
        if noisy != header:
            with pytest.raises(LayoutMismatch):
                Geometry.decode(bytes(noisy), 64 << 10)
