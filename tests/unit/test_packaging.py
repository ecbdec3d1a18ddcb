"""What `pip install` brings: one package, typed, with its compiled core, and no tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.harness.needs import need

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NOT_SOURCES = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "*.so", "__pycache__")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive of a copy of this tree: a build in place would leave files behind."""
    tree, out = (tmp_path_factory.mktemp("archive") / name for name in ("tree", "out"))
    shutil.copytree(ROOT, tree, ignore=NOT_SOURCES)
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(out)!r})"
    out.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("VNETCARD_")}
    done = subprocess.run([sys.executable, "-c", build], cwd=tree, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in a wheel that was built from the source archive."""
    need("gcc")
    out = tmp_path_factory.mktemp("packaging")
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    built = subprocess.run([*pip_wheel, "-w", out, archive], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        return opened.namelist()


def test_source_archive_has_what_the_recipe_for_yocto_reads(archive: Path) -> None:
    (recipe,) = (ROOT / "fpga_side/meta-vnetcard").glob("recipes-*/vnetcard/*.bb")
    read = set(re.findall(r"\$\{S\}/([\w./-]+)", recipe.read_text()))
    assert len(read) > 3
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"LICENSE", *read} - names == set()


def test_wheel_has_one_top_level_package(wheel: list[str]) -> None:
    top = {name.partition("/")[0] for name in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {"vnetcard"}


def test_wheel_has_both_sides_and_the_compiled_core(wheel: list[str]) -> None:
    packages = "", "agent/units/", "bench/", "doctor/", "port/", "window/", "x86_side/", "fpga_side/", "sim/", "hdl/"
    for package in packages:
        assert f"vnetcard/{package}__init__.py" in wheel
    assert [name for name in wheel if name.startswith("vnetcard/_core.") and name.endswith(".so")]


def test_wheel_has_every_module_of_the_tree(wheel: list[str]) -> None:
    # A new subpackage that is missing from pyproject.toml still imports in a checkout, but not installed.
    tree = {str(path.relative_to(ROOT)) for path in (ROOT / "vnetcard").rglob("*.py")}
    for side in ("x86_side", "fpga_side", "sim", "firmware", "hdl"):
        tree |= {f"vnetcard/{path.relative_to(ROOT)}" for path in (ROOT / side).rglob("*.py")}
    assert tree - set(wheel) == set()


def test_wheel_has_what_the_simulator_is_built_from(wheel: list[str]) -> None:
    sources = [path for folder in ("sim/cpp", "hdl/rtl") for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert len(sources) > 10
    wanted = {f"vnetcard/{path.relative_to(ROOT)}" for path in sources} | {"vnetcard/_c/vnc_layout.h"}
    assert wanted - set(wheel) == set()


def test_wheel_has_the_systems_files(wheel: list[str]) -> None:
    sides = [ROOT / "x86_side", ROOT / "fpga_side", ROOT / "vnetcard/agent/units"]
    wanted = [path for folder in sides for path in folder.iterdir() if path.is_file() and path.suffix != ".py"]
    wanted += [path for path in (ROOT / "fpga_side").rglob("*") if path.suffix in {".dtso", ".conf", ".bb"}]
    assert len(wanted) == 13
    assert {f"vnetcard/{str(path.relative_to(ROOT)).removeprefix('vnetcard/')}" for path in wanted} - set(
        wheel
    ) == set()


def test_wheel_has_the_ip_for_vivado_and_every_file_that_it_names(wheel: list[str]) -> None:
    named = re.findall(r"<spirit:name>((?:rtl|vivado)/[^<]+)<", (ROOT / "hdl/component.xml").read_text())
    scripts = [
        f"vivado/{path.name}" for path in (ROOT / "hdl/vivado").iterdir() if path.suffix in {".tcl", ".v", ".xdc"}
    ]
    assert len(named) > 20 and len(scripts) > 5
    assert {f"vnetcard/hdl/{name}" for name in ("component.xml", *named, *scripts)} - set(wheel) == set()


def test_wheel_is_typed(wheel: list[str]) -> None:
    assert "vnetcard/py.typed" in wheel
    assert "vnetcard/_core.pyi" in wheel


def test_wheel_has_the_c_programs_of_the_bench(wheel: list[str]) -> None:
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "vnetcard/bench/c").iterdir()}
    assert wanted and wanted - set(wheel) == set()


def test_wheel_has_no_tests_and_no_c_sources_of_the_core(wheel: list[str]) -> None:
    built_on_demand = ("vnetcard/bench/c/", "vnetcard/firmware/")
    wheel = [name for name in wheel if not name.startswith(built_on_demand)]
    unwanted = re.compile(r"(^|/)(tests?|test_[^/]*|conftest\.py|needs\.py)(/|$)|\.c$")
    assert [name for name in wheel if unwanted.search(name)] == []
