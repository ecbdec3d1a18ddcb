"""The ring in C: against a model, between two threads, on x86-64 and ARM64, under sanitizers and without a libc."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.harness.needs import need, need_arm64_emulator, skip_or_fail
from tests.unit.c_build import ARM64, ASAN, CORE, TSAN, TSAN_EXIT, WARNINGS, WATCHDOG_EXIT, build, must_pass, run, seed

pytestmark = pytest.mark.slow

STEPS = 200_000
RECORDS = 300_000
ROUNDS = 300_000
TRIES = 100
CROSS = "aarch64-linux-gnu-gcc"


# --- against a model -----------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_ring_behaves_as_a_list(tmp_path: Path, compiler: str) -> None:
    program = build(tmp_path, "ring_model.c", compiler=compiler)
    assert must_pass(program, seed(), STEPS).endswith("ok\n")


def test_ring_touches_nothing_but_its_own_bytes(tmp_path: Path) -> None:
    program = build(tmp_path, "ring_model.c", flags=ASAN)
    assert must_pass(program, seed(), STEPS // 4).endswith("ok\n")


@pytest.mark.arm64
def test_ring_behaves_as_a_list_on_arm64(tmp_path: Path) -> None:
    program = build(tmp_path, "ring_model.c", flags=ARM64, compiler=CROSS)
    assert must_pass(program, seed(), STEPS // 10, emulator=need_arm64_emulator()).endswith("ok\n")


# --- between two threads -------------------------------------------------------------------------------


def slept(output: str) -> bool:
    """Whether both sides slept at all; else the run shows nothing about wake-ups."""
    return "producer 0" not in output and "consumer 0" not in output and output.endswith("ok\n")


@pytest.mark.parametrize("ring", [4096, 65536])
def test_two_threads_lose_neither_records_nor_wake_ups(tmp_path: Path, ring: int) -> None:
    assert slept(must_pass(build(tmp_path, "ring_stress.c"), seed(), RECORDS, ring))


def test_two_threads_do_not_race(tmp_path: Path) -> None:
    assert slept(must_pass(build(tmp_path, "ring_stress.c", flags=TSAN), seed(), RECORDS // 10))


@pytest.mark.arm64
def test_two_threads_on_arm64(tmp_path: Path) -> None:
    program = build(tmp_path, "ring_stress.c", flags=ARM64, compiler=CROSS)
    assert slept(must_pass(program, seed(), RECORDS // 10, emulator=need_arm64_emulator()))


def test_missing_release_is_found(tmp_path: Path) -> None:
    program = build(tmp_path, "ring_stress.c", flags=(*TSAN, "-DBREAK_RELEASE"))
    done = run(program, seed(), RECORDS // 10)
    assert done.returncode == TSAN_EXIT
    assert "ThreadSanitizer: data race" in done.stderr


@pytest.mark.parametrize("broken", ["BREAK_RECHECK", "BREAK_WAKEUP"])
def test_lost_wake_up_is_found(tmp_path: Path, broken: str) -> None:
    done = run(build(tmp_path, "ring_stress.c", flags=(f"-D{broken}",)), seed(), 100 * RECORDS)
    assert done.returncode == WATCHDOG_EXIT


@pytest.mark.parametrize("domain", [0, 1], ids=["coherent", "device"])
def test_one_of_index_and_need_wakeup_is_seen(tmp_path: Path, domain: int) -> None:
    program = build(tmp_path, "barrier_litmus.c")
    assert must_pass(program, ROUNDS, domain).startswith("0 of")


def test_missing_fence_is_found(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        skip_or_fail("one core never sees its own loads and stores reordered")
    program = build(tmp_path, "barrier_litmus.c", flags=("-DBREAK_FENCE",))
    # The two threads must run at the same moment, which is rare on a busy machine.
    assert any(not must_pass(program, ROUNDS, 0).startswith("0 of") for _ in range(TRIES))


# --- without a libc ------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", ["gcc", "clang", pytest.param(CROSS, marks=pytest.mark.arm64)])
@pytest.mark.parametrize("standard", ["c11", "gnu11"])
def test_ring_compiles_for_firmware(tmp_path: Path, compiler: str, standard: str) -> None:
    source = tmp_path / "firmware.c"
    source.write_text(
        '#include "vnc_ring.h"\n'
        "int use(struct vnc_producer *p, struct vnc_consumer *c, struct vnc_view *v, struct vnc_span *s);\n"
        "int use(struct vnc_producer *p, struct vnc_consumer *c, struct vnc_view *v, struct vnc_span *s)\n"
        "{ return (int)vnc_ring_reserve(p, 64, s) + vnc_producer_publish(p) + (int)vnc_ring_peek(c, v); }\n"
    )
    command = [need(compiler), f"-std={standard}", "-O2", "-ffreestanding", *WARNINGS, f"-I{CORE}", "-c", str(source)]
    done = subprocess.run([*command, "-o", tmp_path / "firmware.o"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = subprocess.run([need("nm"), "-u", tmp_path / "firmware.o"], capture_output=True, text=True, check=True)
    assert {line.split()[-1] for line in names.stdout.splitlines()} <= {"memcpy"}
