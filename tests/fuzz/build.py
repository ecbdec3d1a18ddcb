"""Compiles the C harnesses of tests/fuzz/c: with clang and libFuzzer to search, with gcc to replay a corpus."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from tests.harness.needs import need, skip_or_fail
from tests.unit.c_build import ASAN, CHECKED, CORE, SANITIZER_ENV, WARNINGS

SOURCES: Final = Path(__file__).with_name("c")

_TX: Final = ("tx.c", "pump.c", "vnc_tx.c", "vnc_pump_core.c", "vnc_tap.c")
_RX: Final = ("rx.c", "pump.c", "vnc_rx.c", "vnc_pump_core.c", "vnc_tap.c")
_MERGE: Final = ("merge.c", *_RX[1:])
_SOCKET: Final = ("socket.c", *_TX[1:])
HARNESSES: Final[dict[str, tuple[str, ...]]] = {
    "consumer": ("consumer.c", "no_port.c"),
    "producer": ("producer.c", "no_port.c"),
    "finish": ("finish.c", "no_port.c"),
    "ledger": ("ledger.c", "no_port.c"),
    "memif": ("memif.c", "no_port.c"),
    "merge": _MERGE,
    "tap": ("tap.c", "no_port.c", "vnc_tap.c"),
    "vhost": ("vhost.c", "no_port.c"),
    "rx": _RX,
    "socket": _SOCKET,
    "tx": _TX,
}
"""The sources of each harness, beside ``COMMON``: names in tests/fuzz/c, or in the C core."""

COMMON: Final = ("fuzz.c",)
FLAGS: Final = ("-std=gnu11", "-g", *WARNINGS, *CHECKED, f"-I{SOURCES}", "-include", "hook.h", "-pthread")
FUZZER: Final = ("-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
ENVIRONMENT: Final = SANITIZER_ENV | {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99"}
"""Leaks are not looked for: that takes longer than a replay, and the core allocates nothing."""


class Builder:
    """Compiles sources with ``compiler`` and ``flags`` into ``out``; each source once.

    ``core`` is the folder of the C core, or of a changed copy of it.
    """

    def __init__(self, out: Path, compiler: str, flags: tuple[str, ...], core: Path = CORE) -> None:
        self._out, self._core = out, core
        self._command = [need(compiler), *FLAGS, f"-I{core}", *flags]
        self._objects: dict[str, Path] = {}

    def program(self, harness: str, *more: str) -> Path:
        """The program of ``harness``; ``more``: further sources."""
        program = self._out / harness
        objects = [self.compiled(name) for name in (*HARNESSES[harness], *COMMON, *more)]
        _run([*self._command, "-o", str(program), *map(str, objects)])
        return program

    def use(self, name: str, compiled: Path) -> None:
        """Take ``compiled``, of another builder with the same flags, for the source ``name``."""
        self._objects[name] = compiled

    def compiled(self, name: str) -> Path:
        """The object file of the source ``name``."""
        if name not in self._objects:
            source = SOURCES / name if (SOURCES / name).exists() else self._core / name
            self._objects[name] = self._out / source.with_suffix(".o").name
            _run([*self._command, "-c", "-o", str(self._objects[name]), str(source)])
        return self._objects[name]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


def fuzzer(out: Path, harness: str) -> Path:
    """``harness`` with libFuzzer; skips the test without clang and its runtime libraries."""
    probe = out / "probe.c"
    probe.write_text("int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n > 9 ? 0 : 0; }\n")
    command = [need("clang"), *FUZZER, "-o", str(out / "probe"), str(probe)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        skip_or_fail("clang's libFuzzer is missing: scripts/system-packages.sh test")
    return Builder(out, "clang", FUZZER).program(harness)


def replayer(out: Path, *, core: Path = CORE, flags: tuple[str, ...] = (*ASAN, "-O0")) -> Builder:
    """A builder of programs that replay files with gcc; add the source ``replay.c``."""
    return Builder(out, "gcc", flags, core)
