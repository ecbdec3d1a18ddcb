"""The contents of an unused window do not hurt: the link comes up and every ping is answered."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.checked_stream import Stream
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, chance, ping_suite, shm_path
from vnetcard.lab.lab import ADDRESSES, Lab
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry

pytestmark = [pytest.mark.root, pytest.mark.slow]

BYTES = 1 << 20


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("stale") as lab:
        yield lab


def valid(bytes_: int = BYTES) -> bytes:
    return Geometry.plan(bytes_, instance=0xBEEF, removable=True).encode()


def with_noise(rng: random.Random, start: int, end: int = BYTES) -> bytes:
    """A valid superblock and random bytes from ``start`` to ``end``."""
    content = bytearray(valid().ljust(BYTES, b"\0"))
    content[start:end] = rng.randbytes(end - start)
    return bytes(content)


def all_ones(rng: random.Random) -> bytes:
    del rng
    return valid().ljust(L.SIDE_OFFSET, b"\0").ljust(BYTES, b"\xff")


CONTENTS: dict[str, Callable[[random.Random], bytes]] = {
    "random rings": lambda rng: with_noise(rng, L.rings_offset(1)),
    "random index lines": lambda rng: with_noise(rng, L.QUEUE_OFFSET, L.QUEUE_OFFSET + 0x200),
    "random side blocks": lambda rng: with_noise(rng, L.SIDE_OFFSET, L.QUEUE_OFFSET),
    "random everything": lambda rng: with_noise(rng, L.SIDE_OFFSET),
    "all ones": all_ones,
    "empty file": lambda rng: b"",
    "blank file": lambda rng: bytes(BYTES),
    "blank file too small for a window": lambda rng: bytes(4096),
    "half made: no magic": lambda rng: (bytes(8) + valid()[8:]).ljust(BYTES, b"\0"),
    "half made: no superblock, noise behind": lambda rng: bytes(L.LINE * 2) + rng.randbytes(BYTES - L.LINE * 2),
    "cut short": lambda rng: valid().ljust(BYTES // 2, b"\0"),
    "damaged superblock": lambda rng: (valid()[:24] + bytes([200]) + valid()[25:]).ljust(BYTES, b"\0"),
}
WITHOUT_LEDGERS = {"random index lines", "random side blocks", "random everything", "all ones"}
"""Contents whose counters are noise, so that no ledger can balance."""


@pytest.mark.parametrize("content", CONTENTS)
def test_stale_contents_do_not_hurt(lab: Lab, content: str) -> None:
    rng = chance()
    shm_path(lab).touch(mode=0o600)
    shm_path(lab).write_bytes(CONTENTS[content](rng))
    order = rng.sample((L.HOST, L.CARD), 2)
    for side in order:
        lab.start(side)
    lab.wait_up()
    ping_suite(lab)
    if content not in WITHOUT_LEDGERS:
        assert_ledgers_balance(lab)
    assert [lab.stop(side) for side in order] == [0, 0]
    assert not shm_path(lab).exists()


@pytest.mark.parametrize("size", ["+64K", ""])
def test_a_window_left_by_a_crash_under_load_does_not_hurt(lab: Lab, tmp_path: Path, size: str) -> None:
    """Both agents are killed under load, and the window is taken over unchanged, and with overwritten rings."""
    rng = chance()
    lab.window += size
    for spoil in (False, True):
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        ping_suite(lab, (56, 1472))
        assert_ledgers_balance(lab, allow=OUTAGE | {"drop_port_down", "drop_port_refused"})
        netns = lab.namespaces
        with Stream(*netns, ADDRESSES[L.CARD], tmp_path, seed=1, port=5500 + spoil) as stream:
            stream.wait_progress(since=1 << 18)
            for side in (L.HOST, L.CARD):
                lab.stop(side, signal.SIGKILL)
        if spoil:
            with shm_path(lab).open("r+b") as file:
                file.seek(L.rings_offset(1))
                file.write(rng.randbytes(os.fstat(file.fileno()).st_size - L.rings_offset(1)))
    for side in (L.CARD, L.HOST):
        lab.start(side)
    lab.wait_up()
    ping_suite(lab)
    assert_ledgers_balance(lab, allow=OUTAGE | {"drop_port_down", "drop_port_refused"})
