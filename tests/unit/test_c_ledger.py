"""A ledger in shared memory is always whole: for a concurrent reader, and after the death of its writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.needs import need_arm64_emulator
from tests.unit.c_build import ARM64, TSAN, build, must_pass, run, seed

UPDATES = 300_000
KILLS = 1_000
STEPPED_UPDATES = 200
TRIES = 20


@pytest.mark.slow
def test_reader_never_sees_half_an_update(tmp_path: Path) -> None:
    must_pass(build(tmp_path, "ledger_stress.c"), "threads", seed(), UPDATES)


@pytest.mark.slow
def test_reader_and_writer_do_not_race(tmp_path: Path) -> None:
    must_pass(build(tmp_path, "ledger_stress.c", flags=TSAN), "threads", seed(), UPDATES // 3)


@pytest.mark.arm64
def test_reader_never_sees_half_an_update_on_arm64(tmp_path: Path) -> None:
    program = build(tmp_path, "ledger_stress.c", flags=ARM64, compiler="aarch64-linux-gnu-gcc")
    must_pass(program, "threads", seed(), UPDATES // 5, emulator=need_arm64_emulator())


def test_killed_writer_leaves_a_whole_update_and_a_successor_continues(tmp_path: Path) -> None:
    must_pass(build(tmp_path, "ledger_stress.c"), "kill", seed(), KILLS)


@pytest.mark.slow
def test_ledger_is_whole_after_every_instruction_of_an_update(tmp_path: Path) -> None:
    must_pass(build(tmp_path, "ledger_stress.c"), "steps", seed(), STEPPED_UPDATES)


@pytest.mark.parametrize(("how", "count"), [("threads", UPDATES), ("kill", KILLS), ("steps", STEPPED_UPDATES)])
def test_stamp_ahead_of_its_words_is_found(tmp_path: Path, how: str, count: int) -> None:
    program = build(tmp_path, "ledger_stress.c", flags=("-DBREAK_FLIP",))
    for _ in range(TRIES):  # on a busy machine reader and writer may not run at the same time
        done = run(program, how, seed(), count)
        if done.returncode:
            break
    assert done.returncode == 1
    assert "failed: out[n] == word_of" in done.stderr
