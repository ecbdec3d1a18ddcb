"""Compiles a C harness of tests/unit/c with the compiler and flags that the test names, and runs it."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

from tests.harness.needs import need

ROOT = Path(__file__).resolve().parents[2]
HARNESSES = Path(__file__).with_name("c")
CORE = ROOT / "vnetcard" / "_c"

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers")
ASAN = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-O1")
CHECKED = ("-DVNC_CHECKED_WINDOWS=1",)
TSAN = ("-fsanitize=thread", "-Wno-tsan", "-O1")  # -Wno-tsan: "fences are not followed"; see vnc_barrier.h
ARM64 = ("-static", "-D_FORTIFY_SOURCE=0")

PUMP = ("vnc_pump_core.c", "vnc_pump_thread.c", "vnc_inline.c", "vnc_tx.c", "vnc_rx.c", "vnc_tap.c")
"""The sources of the core that a harness with a pump needs."""

SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "exitcode=98:halt_on_error=1",
}
ASAN_EXIT, TSAN_EXIT = 99, 98
WATCHDOG_EXIT = 97
"""The exit status of a harness whose own watchdog found that it makes no progress."""


def seed() -> int:
    """Return the seed of this run: VNETCARD_SEED, or a random one.  It is printed, so that a failure shows it."""
    chosen = int(os.environ.get("VNETCARD_SEED") or secrets.randbits(32))
    print(f"VNETCARD_SEED={chosen}")
    return chosen


def build(out: Path, *sources: str, flags: tuple[str, ...] = (), compiler: str = "gcc", core: Path = CORE) -> Path:
    """Compile ``sources`` (names in tests/unit/c or in ``core``) into a program in ``out``; returns its path."""
    paths = [HARNESSES / name if (HARNESSES / name).exists() else core / name for name in sources]
    program = out / Path(sources[0]).stem
    include = [f"-I{core}", f"-I{HARNESSES}"]
    command = [need(compiler), "-std=gnu11", "-O2", "-g", *WARNINGS, *include, *flags, "-pthread"]
    done = subprocess.run([*command, "-o", program, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def run(
    program: Path, *args: object, emulator: str | None = None, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run ``program``, under ``emulator`` if it is for another machine.  Its output is printed."""
    command = [*([need(emulator)] if emulator else []), str(program), *map(str, args)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, check=False, env=os.environ | SANITIZER_ENV
    )
    print(done.stdout, done.stderr, sep="\n")
    return done


def must_pass(program: Path, *args: object, emulator: str | None = None, seconds: float = 120) -> str:
    """Run ``program`` and expect exit status 0; returns its output."""
    done = run(program, *args, emulator=emulator, seconds=seconds)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
