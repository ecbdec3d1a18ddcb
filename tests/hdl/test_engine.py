"""The DMA engine in simulation: Verilator, cocotb, and memories that reorder, stall and fail.

Each case is a function of ``hdl_cases.py`` that says what it shows.  VNETCARD_SEED repeats a run.
"""

from __future__ import annotations

from pathlib import Path

import hdl_build
import pytest

pytestmark = [pytest.mark.hdl, pytest.mark.slow]

CASES = (
    "random_doorbells_match_the_model",
    "random_doorbells_match_the_model_under_stalls",
    "indices_wrap_at_2_to_the_32",
    "write_side_held_back_loses_nothing",
    "packets_of_the_project_fifo_arrive",
    "read_error_halts_one_direction",
    "write_error_halts_one_direction",
    "index_word_error_halts_one_direction",
    "impossible_index_halts_the_direction",
    "reset_in_mid_burst_drains_and_starts_anew",
    "hostile_registers_stay_inside_the_window",
    "configuration_is_checked_and_locked",
    "interrupts_follow_mask_and_clearing",
    "event_in_the_cycle_of_its_clearing_stays",
)
WIDTHS = (64, 512)


@pytest.fixture(scope="session")
def builds() -> dict[int, Path]:
    return {}


@pytest.fixture
def verilator(monkeypatch: pytest.MonkeyPatch) -> str:
    return hdl_build.use_verilator(monkeypatch)


@pytest.fixture
def simulator(
    request: pytest.FixtureRequest, verilator: str, builds: dict[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The engine of data width ``request.param``, built once a session."""
    width: int = request.param
    if width not in builds:
        builds[width] = hdl_build.build(tmp_path_factory.mktemp("hdl") / f"w{width}", width)
    return builds[width]


@pytest.mark.parametrize("width", [64, 128, 256, 512])
def test_lint_has_nothing_to_say(verilator: str, width: int) -> None:
    said = hdl_build.lint(verilator, DataW=width)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [("DataW", 96, "DataW must be"), ("BurstBeats", 4, "BurstBeats must be"), ("ReadsMax", 3, "ReadsMax must be")],
)
def test_impossible_parameter_ends_elaboration(verilator: str, name: str, value: int, why: str) -> None:
    said = hdl_build.lint(verilator, **{name: value})
    assert said.returncode != 0
    assert why in said.stderr


@pytest.mark.parametrize("simulator", WIDTHS, indirect=True, ids=lambda width: f"w{width}")
@pytest.mark.parametrize("case", CASES)
def test_engine(simulator: Path, case: str) -> None:
    hdl_build.run(simulator, case)
