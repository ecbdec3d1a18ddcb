"""Build the UltraScale+ bridge, alone or before the engine, and lint it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.hdl import build

BRIDGE, ENGINE = "vnc_usp_bridge", "vnc_usp_dma_top"
WIDTHS = (256, 512)
CHECKS = ("usp_checks.sv",)
TIMEOUT_LOG2 = 12
"""So that a read without a completion times out after 16 us."""


def sources(rtl: Path = build.RTL) -> list[Path]:
    """The files of the bridge in the order of ``usp/files.f``; those of the engine come before."""
    folder = rtl / "usp"
    lines = (folder / "files.f").read_text().splitlines()
    return [folder / line for line in lines if line and not line.startswith("//")]


def _files(top: str, rtl: Path) -> list[Path]:
    checks = [Path(__file__).with_name(name) for name in CHECKS]
    if top == ENGINE:
        checks += [Path(__file__).with_name(name) for name in build.CHECKS]
    return [*build.sources(rtl), *sources(rtl), *checks]


def compile_(folder: Path, top: str, width: int, options: Iterable[str] = build.QUICK, rtl: Path = build.RTL) -> Path:
    """Compile ``top`` in ``rtl`` at data width ``width`` into ``folder``."""
    parameters = {"DataW": width, "TimeoutLog2": TIMEOUT_LOG2}
    return build.compile_bench(folder, top, _files(top, rtl), parameters, options)


def kept(folder: Path, top: str, width: int, options: Sequence[str] = build.QUICK) -> Path:
    """As ``compile_``, from the cache when it is there."""
    parameters = {"DataW": width, "TimeoutLog2": TIMEOUT_LOG2}
    return build.keep_bench(folder, top, _files(top, build.RTL), parameters, options)


def lint(verilator: str, **parameters: int) -> subprocess.CompletedProcess[str]:
    """Run Verilator's lint with all warnings on the engine behind the bridge."""
    given = [f"-G{name}={value}" for name, value in parameters.items()]
    files = [str(path) for path in (build.RTL / "lint.vlt", *build.sources(), *sources())]
    command = [verilator, "--lint-only", "-Wall", "--quiet", "--top-module", ENGINE, *given, *files]
    return subprocess.run(command, capture_output=True, text=True, check=False)
