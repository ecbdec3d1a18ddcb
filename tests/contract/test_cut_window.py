"""A window in a file that another program cuts short or lays out again: reported, and never the end of the process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from vnetcard.ring import layout as L
from vnetcard.window import open_window

READ_AFTER_CUT = """
import os, sys
from vnetcard.ring import layout as L
from vnetcard.window import open_window

window = open_window(sys.argv[1], side=L.HOST)
os.truncate(sys.argv[2], int(sys.argv[3]))
last = window.memory.load32(window.geometry.window_bytes - 64)
window.memory.store32(window.geometry.window_bytes - 64, 7)
print(f"{last:#x}", window.memory.lost, window.vanished())
window.close()
"""


@pytest.fixture(params=["shm", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A window's URL and its file."""
    name = f"vnc-cut-{uuid.uuid4().hex[:12]}"
    path = Path("/dev/shm", name) if request.param == "shm" else tmp_path / name
    yield (f"shm:{name}+64K" if request.param == "shm" else f"file:{path}+64K"), path
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("size", [0, 4096, 8192])
def test_memory_beyond_the_cut_reads_as_all_ones(place: tuple[str, Path], size: int) -> None:
    url, path = place
    command = [sys.executable, "-c", READ_AFTER_CUT, url, str(path), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert done.stdout.startswith("0xffffffff True ") and f"was cut to {size} bytes" in done.stdout


@pytest.mark.parametrize("how", ["moved away", "replaced"])
def test_file_that_is_not_at_its_place_any_more_is_lost_and_not_removed(place: tuple[str, Path], how: str) -> None:
    url, path = place
    window, aside = open_window(url, side=L.HOST), path.with_name(f"{path.name}-aside")
    try:
        path.rename(aside)
        if how == "replaced":
            path.touch(0o600)
        assert "was moved away or replaced" in str(window.vanished())
        with contextlib.closing(open_window(url, side=L.CARD)) as other:
            window.close()
            assert path.exists() and aside.exists()
            assert other.vanished() is None
    finally:
        window.close()
        aside.unlink()


def test_holes_of_a_file_are_filled_when_it_is_opened(place: tuple[str, Path]) -> None:
    url, path = place
    with contextlib.closing(open_window(url, side=L.HOST)):
        content = path.read_bytes()
    for head in (b"", content[:4096]):  # blank, and laid out
        path.touch(0o600)
        path.write_bytes(head)
        os.truncate(path, 64 << 10)
        assert path.stat().st_blocks * 512 < 64 << 10
        with contextlib.closing(open_window(url, side=L.CARD)) as window:
            assert path.stat().st_blocks * 512 >= 64 << 10
            assert window.memory.lost is False
        path.unlink(missing_ok=True)


def test_window_that_is_laid_out_again_in_the_same_file_is_lost(place: tuple[str, Path]) -> None:
    url, path = place
    with contextlib.closing(open_window(url, side=L.HOST)) as window:
        assert window.vanished() is None
        os.truncate(path, 0)
        with contextlib.closing(open_window(url, side=L.CARD)) as other:
            assert other.vanished() is None
            assert "laid out again" in str(window.vanished())
