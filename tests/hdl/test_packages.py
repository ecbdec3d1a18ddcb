"""FuseSoC and Bender find the engine: their files list the sources of ``files.f``, and FuseSoC's targets run."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

import vnetcard
from tests.harness.programs import ROOT
from tests.hdl import build, usp_build

CORE = ROOT / "vnetcard_dma.core"
BENDER = ROOT / "Bender.yml"
NAME = f"::vnetcard_dma:{vnetcard.__version__}"


def described(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def test_lists_and_version_are_those_of_the_sources() -> None:
    wanted = [str(path.relative_to(ROOT)) for path in build.sources(ROOT / "hdl/rtl")]
    core = described(CORE)
    stream = [str(path.relative_to(ROOT)) for path in build.sources(ROOT / "hdl/rtl", ("stream",))]
    assert core["filesets"]["rtl"]["files"] == wanted
    assert core["filesets"]["stream"]["files"] == stream
    usp = [str(path.relative_to(ROOT)) for path in usp_build.sources(ROOT / "hdl/rtl")]
    assert core["filesets"]["usp"]["files"] == usp
    assert described(BENDER)["sources"] == [*wanted, *stream, {"target": "usp", "files": usp}]
    assert core["name"] == NAME
    assert core["filesets"]["checks"]["files"] == [f"tests/hdl/{name}" for name in build.CHECKS]


def test_core_has_the_parameters_that_the_engine_accepts() -> None:
    for target in described(CORE)["targets"].values():
        (place,) = (ROOT / "hdl/rtl").rglob(f"{target['toplevel']}.sv")
        top = place.read_text()
        for parameter in target["parameters"]:
            assert f"parameter int unsigned {parameter.partition('=')[0]} " in top


def fusesoc(folder: Path, target: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a target of the core, built in ``folder``."""
    tools = Path(sys.executable).parent
    env = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{os.environ['PATH']}{os.pathsep}{tools}"}
    config = [str(tools / "cocotb-config"), "--libpython"], [str(tools / "cocotb-config"), "--pygpi-entry-point"]
    env["GPI_USERS"] = ";".join(subprocess.check_output(command, text=True).strip() for command in config)
    command = [str(tools / "fusesoc"), "--cores-root", str(ROOT), "run", f"--target={target}"]
    command += ["--build-root", str(folder), NAME, *options]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.hdl
@pytest.mark.slow
@pytest.mark.usefixtures("verilator")
def test_fusesoc_lints_the_engine_without_a_warning(tmp_path: Path) -> None:
    done = fusesoc(tmp_path, "lint")
    assert done.returncode == 0, done.stderr
    assert "%Warning" not in done.stdout + done.stderr
    done = fusesoc(tmp_path, "lint", "--DataW", "96")
    assert done.returncode != 0
    assert "DataW must be" in done.stdout + done.stderr


@pytest.mark.hdl
@pytest.mark.campaign
@pytest.mark.usefixtures("verilator")
def test_fusesoc_lints_the_engine_behind_the_usp_bridge(tmp_path: Path) -> None:
    done = fusesoc(tmp_path, "lint_usp")
    assert done.returncode == 0, done.stderr
    assert "%Warning" not in done.stdout + done.stderr


@pytest.mark.hdl
@pytest.mark.campaign
@pytest.mark.usefixtures("verilator")
def test_fusesoc_simulates_the_engine(tmp_path: Path) -> None:
    done = fusesoc(tmp_path, "sim", "--cocotb_module", "tests.hdl.cases_registers")
    assert done.returncode == 0, done.stderr
    (results,) = tmp_path.glob("**/results.xml")
    cases = list(ET.parse(results).iter("testcase"))
    assert len(cases) >= 4
    bad = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    assert bad == []
