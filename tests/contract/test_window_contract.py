"""Every kind of window keeps the same promises; a new kind is one line in PLACES."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests.contract.creation_race import assert_racers_make_one_window
from tests.harness.needs import skip_or_fail
from vnetcard.errors import ConfigError, LayoutMismatch, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.testing import WINDOW_CHECKS, OpenWindow, check_window
from vnetcard.window import KINDS, Window, file_backed, open_window, read_window


def _shared(kind: str) -> tuple[str, Path]:
    name = f"vnc-contract-{uuid.uuid4().hex[:12]}"
    return f"{kind}:{name}", Path("/dev/shm", name)


PLACES: dict[str, Callable[[Path], tuple[str, Path]]] = {
    "check": lambda tmp: _shared("check"),
    "file": lambda tmp: (f"file:{tmp / 'window'}", tmp / "window"),
    "shm": lambda tmp: _shared("shm"),
}
"""Kind to a new URL of it, and the file behind it."""
ELSEWHERE = {
    "ivshmem": "test_ivshmem_window_contract.py",
    "mem": "test_device_window_contract.py",
    "memfd": "test_memfd_window.py",
    "pci": "test_device_window_contract.py",
    "sim": "test_sim_window_contract.py",
    "udmabuf": "test_device_window_contract.py",
    "uio": "test_device_window_contract.py",
    "vfio": "../e2e/test_card_vfio.py",
    "xdma": "test_xdma_window_contract.py",
}
"""Kinds with a contract of their own: memory of a device or a server, or one per side, which no agent creates."""


@dataclass(frozen=True, slots=True)
class Place:
    """A window that is not there yet, and the file that will be behind it."""

    url: str
    path: Path

    def open(self, side: int, size: str = "", queue_bytes: int | None = None, queues: int | None = None) -> Window:
        url = self.url + (f"+{size}" if size else "")
        return open_window(url, side=side, queue_bytes=queue_bytes, queues=queues)

    def write(self, content: bytes) -> None:
        """Put ``content`` into the file, as a program of this user would that keeps it to itself."""
        self.path.write_bytes(content)
        self.path.chmod(0o600)

    def make(self, side: int = L.HOST, size: str = "") -> None:
        """Make the window and leave it as a killed agent does: the file stays, and no process holds it."""
        with contextlib.closing(self.open(side, size)):
            content = self.path.read_bytes()
        self.write(content)


@pytest.fixture(params=sorted(PLACES))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    here = Place(*PLACES[request.param](tmp_path))
    yield here
    here.path.unlink(missing_ok=True)


def test_every_kind_of_window_is_under_contract() -> None:
    assert set(PLACES) | set(ELSEWHERE) == set(KINDS.names())
    assert all((Path(__file__).parent / file).exists() for file in ELSEWHERE.values())


@pytest.mark.parametrize("check", WINDOW_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("size", ["16K", "64K", "8M"])
def test_window_keeps_its_promise(place: Place, check: Callable[[OpenWindow], None], size: str) -> None:
    check(lambda side: place.open(side, size))
    assert not place.path.exists(), "the last process left the window behind"


@pytest.mark.slow
def test_largest_window_works(place: Place) -> None:
    folder = place.path.parent
    if shutil.disk_usage(folder).free < 2 * L.WINDOW_MAX:
        skip_or_fail(f"{folder} has no room for a window of 1 GiB")
    check_window(lambda side: place.open(side, "1G"))


def test_window_is_its_owners_alone(place: Place) -> None:
    before = os.umask(0)
    try:
        with contextlib.closing(place.open(L.HOST)):
            assert stat.S_IMODE(place.path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("first", [L.HOST, L.CARD])
def test_last_process_to_close_removes_the_window(place: Place, first: int) -> None:
    with contextlib.closing(place.open(first)), contextlib.closing(place.open(1 - first)):
        pass
    assert not place.path.exists()
    one, other = place.open(first), place.open(1 - first)
    one.close()
    assert place.path.exists()
    other.close()
    assert not place.path.exists()


def test_deletion_is_noticed_and_a_new_window_is_another_one(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST)) as window:
        place.path.unlink()
        assert "deleted" in (window.vanished() or "")
        with contextlib.closing(place.open(L.HOST)) as other:
            assert other.geometry.instance != window.geometry.instance
            assert other.vanished() is None
            window.close()
            assert place.path.exists(), "closing a lost window removed its successor"


def test_truncation_is_noticed(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST, "64K")) as window:
        content = place.path.read_bytes()
        os.truncate(place.path, 4096)
        assert "4096" in (window.vanished() or "")
        place.path.write_bytes(content)  # before anything touches the pages that were cut off: SIGBUS
        assert window.vanished() is None


def test_stale_window_is_used_again(place: Place) -> None:
    place.make(size="64K")
    before = place.path.read_bytes()[: L.LINE]
    with contextlib.closing(place.open(L.CARD)) as window:
        assert window.geometry.window_bytes == 64 << 10
        assert place.path.read_bytes()[: L.LINE] == before
        assert not window.notes
    assert not place.path.exists()


def test_stale_window_of_another_size_is_replaced_and_reported(place: Place) -> None:
    place.make(size="64K")
    with contextlib.closing(place.open(L.CARD, "32K")) as window:
        assert window.geometry.window_bytes == 32 << 10 == place.path.stat().st_size
        assert any("64 KiB" in note and "replaced" in note for note in window.notes)


def test_stale_window_of_other_queue_pairs_is_replaced_and_reported(place: Place) -> None:
    place.make(size="64K")
    with contextlib.closing(place.open(L.HOST, queues=2)) as window:
        assert len(window.geometry.rings) == 2
        assert any("asked for 2 queue pairs, the window has 1" in note and "replaced" in note for note in window.notes)


def test_stale_damaged_window_is_replaced_and_reported(place: Place) -> None:
    place.make()
    with place.path.open("r+b") as file:
        file.seek(L.SUPERBLOCK.offset("instance"))
        file.write(b"\xaa\xaa")
    with contextlib.closing(place.open(L.CARD)) as window:
        assert any("damaged" in note for note in window.notes)


def test_other_size_than_a_live_peers_is_refused(place: Place) -> None:
    with contextlib.closing(place.open(L.HOST, "64K")) as window:
        with pytest.raises(LayoutMismatch, match=r"128 KiB.*64 KiB.*stop it"):
            place.open(L.CARD, "128K")
        with pytest.raises(LayoutMismatch, match=r"queues of 4 KiB.*16 KiB.*stop it"):
            place.open(L.CARD, queue_bytes=4096)
        place.open(L.CARD, "64K", 16384).close()
        assert window.vanished() is None


@pytest.mark.parametrize("first", [L.HOST, L.CARD])
def test_first_opener_decides_the_queue_pairs_and_only_the_host_insists(place: Place, first: int) -> None:
    with contextlib.closing(place.open(first, "64K", queues=2)) as window:
        assert [len(window.geometry.rings), window.geometry.ring_bytes] == [2, 8 << 10]
        for queues in (None, 2) if first == L.CARD else (None, 1, 2, 15):
            with contextlib.closing(place.open(1 - first, queues=queues)) as other:
                assert other.geometry == window.geometry
        if first == L.CARD:
            with pytest.raises(LayoutMismatch, match=r"asked for 3 queue pairs, the window has 2.*stop it"):
                place.open(L.HOST, queues=3)
        assert window.vanished() is None


def test_damaged_window_of_a_live_peer_is_refused_and_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_backed, "RESTORE_LIMIT", 0.2)  # no agent runs that would restore it
    with contextlib.closing(place.open(L.HOST)) as window:
        window.memory.store32(L.SUPERBLOCK.offset("instance"), 0)
        with pytest.raises(LayoutMismatch, match=r"damaged.*stop the peer's agent"):
            place.open(L.CARD)
        assert place.path.exists()


def test_impossible_size_is_bad_input_and_leaves_nothing(place: Place) -> None:
    for size, queue in (("8K", None), ("2G", None), ("64K", 65536), ("64K", 12288), ("64K", 2048)):
        with pytest.raises(ConfigError):
            place.open(L.HOST, size, queue)
        assert not place.path.exists()


def test_blank_memory_becomes_a_window(place: Place) -> None:
    place.write(bytes(64 << 10))
    with contextlib.closing(place.open(L.HOST)) as host, contextlib.closing(place.open(L.CARD)) as card:
        assert host.geometry == card.geometry
        assert host.geometry.window_bytes == 64 << 10


def test_blank_file_that_another_program_made_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "backing"
    path.write_bytes(bytes(64 << 10))
    path.chmod(0o600)
    open_window(f"file:{path}", side=L.HOST).close()
    with pytest.raises(LayoutMismatch, match=r"32 KiB.*64 KiB.*not the agents' own"):
        open_window(f"file:{path}+32K", side=L.HOST)
    assert path.stat().st_size == 64 << 10


def test_foreign_contents_are_refused_and_unchanged(place: Place) -> None:
    foreign = os.urandom(1 << 16)
    place.write(foreign)
    for size in ("", "64K", "16K"):
        with pytest.raises(LayoutMismatch, match="no vnetcard window"):
            place.open(L.HOST, size)
    assert place.path.read_bytes() == foreign


def test_window_of_another_wire_version_is_refused_naming_both(place: Place) -> None:
    place.make()
    with place.path.open("r+b") as file:
        file.seek(L.SUPERBLOCK.offset("version_min"))
        file.write((77).to_bytes(4, "little") * 2)
    with pytest.raises(LayoutMismatch, match=rf"77.*speaks {L.VERSION}"):
        place.open(L.HOST)


def test_reading_disturbs_no_agent(place: Place) -> None:
    with pytest.raises(WindowUnavailable, match="No such file"):
        read_window(place.url)
    assert not place.path.exists()
    with contextlib.closing(place.open(L.HOST, "64K")) as window:
        window.memory.store32(L.side_offset(L.HOST), 0x1234_5678)
        before = place.path.read_bytes()
        copies = [read_window(place.url) for _ in range(20)]
        assert set(copies) == {before}
        assert len(read_window(place.url, 100)) == 100
        assert place.path.read_bytes() == before
        Geometry.decode(copies[0], len(copies[0]))
        place.open(L.CARD).close()  # the free side is still free


@pytest.mark.slow
def test_eight_creators_at_once_make_one_window(place: Place) -> None:
    assert_racers_make_one_window(place.url, rounds=20, racers=8)
    assert not list(place.path.parent.glob(f"{place.path.name}-*"))


def _come_and_go(url: str, side: int, barrier: Barrier, results: Queue[tuple[int, int, int]]) -> None:
    barrier.wait(60)
    lost = opened = kept = 0
    deadline = time.monotonic() + 50
    while opened < 50 and time.monotonic() < deadline:
        try:
            window = open_window(f"{url}+16K", side=side)
        except WindowUnavailable:  # another process has this side just now
            time.sleep(0.0001)
            continue
        opened += 1
        lost += window.vanished() is not None
        try:
            window.close()
        except WindowUnavailable:  # another process held the creation lock for long: the file stays, as was said
            kept += 1
        time.sleep(0)  # leave it to another process
    results.put((opened, lost, kept))


def test_window_is_never_removed_while_another_process_opens_it(place: Place) -> None:
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    racers = [context.Process(target=_come_and_go, args=(place.url, n % 2, barrier, results)) for n in range(4)]
    for racer in racers:
        racer.start()
    counts = [results.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    assert [opened for opened, _, _ in counts] == [50] * len(counts)
    assert [lost for _, lost, _ in counts] == [0] * len(counts)
    assert not place.path.exists() or any(kept for _, _, kept in counts)
