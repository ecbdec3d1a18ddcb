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
print(f"{last:#x}", window.vanished())
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
    assert done.stdout.startswith("0xffffffff ") and f"was cut to {size} bytes" in done.stdout


def test_window_that_is_laid_out_again_in_the_same_file_is_lost(place: tuple[str, Path]) -> None:
    url, path = place
    with contextlib.closing(open_window(url, side=L.HOST)) as window:
        assert window.vanished() is None
        os.truncate(path, 0)
        with contextlib.closing(open_window(url, side=L.CARD)) as other:
            assert other.vanished() is None
            assert "laid out again" in str(window.vanished())
