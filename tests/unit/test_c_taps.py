"""The ring of a tap between a writer that never waits and a reader that is not trusted; and bugs that this finds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.harness.needs import need_arm64_emulator
from tests.unit.c_build import ARM64, ASAN, CORE, TSAN, build, must_pass, run, seed

pytestmark = pytest.mark.slow

EVENTS = 100_000
SOURCES = ("tap_stress.c", "vnc_tap.c")


def test_events_arrive_whole_and_in_order_and_missed_ones_are_counted(tmp_path: Path) -> None:
    assert must_pass(build(tmp_path, *SOURCES), seed(), EVENTS).endswith("ok\n")


def test_writer_and_reader_do_not_race(tmp_path: Path) -> None:
    assert must_pass(build(tmp_path, *SOURCES, flags=TSAN), seed(), EVENTS // 10).endswith("ok\n")


def test_hostile_reader_cannot_make_the_writer_leave_the_ring(tmp_path: Path) -> None:
    assert must_pass(build(tmp_path, *SOURCES, flags=ASAN), seed(), EVENTS // 4, "hostile").endswith("ok\n")


@pytest.mark.arm64
def test_events_arrive_whole_on_arm64(tmp_path: Path) -> None:
    program = build(tmp_path, *SOURCES, flags=ARM64, compiler="aarch64-linux-gnu-gcc")
    assert must_pass(program, seed(), EVENTS // 20, emulator=need_arm64_emulator()).endswith("ok\n")


BUGS = {
    "missed events are not counted": ("++t->missed", "t->missed", ""),
    "events overwrite what was not read": ("t->size - used < size", "0", ""),
    "bytes run out of the ring": (
        "vnc_split(t->ring, t->size, index, len, to);",
        "to[0] = (struct vnc_span){t->ring + (index & (t->size - 1)), len}; to[1] = (struct vnc_span){t->ring, 0};",
        "hostile",
    ),
    "the second piece of a packet is taken for the first": (
        "span[1].base + (skip - span[0].len)",
        "span[0].base",
        "",
    ),
}
"""Name: a text of vnc_tap.c, its replacement, and the reader that finds the bug."""


@pytest.mark.parametrize("name", BUGS)
def test_seeded_bug_is_found(name: str, tmp_path: Path) -> None:
    right, wrong, reader = BUGS[name]
    core = tmp_path / "core"
    shutil.copytree(CORE, core)
    text = (core / "vnc_tap.c").read_text()
    assert text.count(right) == 1
    (core / "vnc_tap.c").write_text(text.replace(right, wrong))
    done = run(build(tmp_path, *SOURCES, flags=ASAN, core=core), seed(), EVENTS // 4, *filter(None, [reader]))
    assert done.returncode != 0
