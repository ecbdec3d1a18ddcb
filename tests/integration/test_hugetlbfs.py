"""A `file:` window on hugetlbfs, where memory comes in huge pages and write(2) does not exist."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import skip_or_fail
from tests.harness.programs import ROOT, X86, Outcome, privately, run

pytestmark = pytest.mark.root

POOL = Path("/proc/sys/vm/nr_hugepages")
PAGES = 4
HUGE = 2 << 20
CHECK = (
    "import sys; from vnetcard.testing import check_window; from vnetcard.window import open_window; "
    "check_window(lambda side: open_window(sys.argv[1], side=side))"
)


@pytest.fixture(autouse=True)
def _some_huge_pages() -> Iterator[None]:
    """Four more of them in the kernel's pool while the test runs."""
    if not POOL.exists():
        skip_or_fail("the kernel has no huge pages")
    before = int(POOL.read_text())
    POOL.write_text(str(before + PAGES))
    if int(POOL.read_text()) < before + PAGES:
        POOL.write_text(str(before))
        skip_or_fail("the kernel has no memory left for huge pages")
    yield
    POOL.write_text(str(before))


def on_hugetlbfs(tmp_path: Path, *command: str) -> Outcome:
    """``command`` where ``tmp_path`` is a hugetlbfs of four pages."""
    mount = f"mount -t hugetlbfs -o pagesize={HUGE},size={PAGES * HUGE} none {tmp_path}"
    return run(privately(mount, command), cwd=ROOT)


def test_window_passes_the_contract(tmp_path: Path) -> None:
    done = on_hugetlbfs(tmp_path, sys.executable, "-c", CHECK, f"file:{tmp_path}/window+{PAGES * HUGE}")
    assert done.status == 0, done.stderr


@pytest.mark.parametrize(
    ("size", "message"),
    [("64K", "huge pages of 2 MiB: ask for a multiple"), ("16M", "no room for 16 MiB")],
)
def test_impossible_size_is_refused(tmp_path: Path, size: str, message: str) -> None:
    options = ["--netns", "vnc-no-such", "--window", f"file:{tmp_path}/window+{size}"]
    done = on_hugetlbfs(tmp_path, *X86, *options)
    assert done.status == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


CUT = """
import os, sys
from vnetcard.window import open_window
window = open_window(sys.argv[1], side=0)
os.truncate(sys.argv[2], int(sys.argv[3]))
print(hex(window.memory.load32(window.geometry.window_bytes - 64)), window.memory.lost, window.vanished())
window.close()
"""


def test_window_that_is_cut_short_reads_as_all_ones_in_huge_pages(tmp_path: Path) -> None:
    window, size = f"{tmp_path}/window", PAGES * HUGE
    done = on_hugetlbfs(tmp_path, sys.executable, "-c", CUT, f"file:{window}+{size}", window, str(HUGE))
    assert done.status == 0, done
    assert done.stdout.startswith("0xffffffff True ") and f"was cut to {HUGE} bytes" in done.stdout
