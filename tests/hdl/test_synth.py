"""Size and speed of the engine on an ECP5 by open tools: a yardstick, not evidence for other families."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import skip_or_fail
from vnetcard.hdl.synth import families, flow, yardstick
from vnetcard.hdl.tools import missing_tools

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

README = Path(__file__).parents[2] / "hdl" / "README.md"
BLOCK_RAM_BITS = 36  # width of a block RAM at a depth of 512, that of a data FIFO


@pytest.fixture(
    scope="module",
    params=[pytest.param(width, id=f"w{width}", marks=pytest.mark.campaign) for width in (64, 512)],  # minutes
)
def synthesized(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, yosys: None
) -> Iterator[tuple[int, Path, flow.Size]]:
    """Data width, folder and size of one synthesis."""
    if missing := missing_tools(flow.TOOLS):
        skip_or_fail(f"{', '.join(missing)} missing: scripts/venv.sh test")
    folder = tmp_path_factory.mktemp("synth")
    yield request.param, folder, flow.synthesize(request.param, folder)


def test_the_documented_table_is_the_record() -> None:
    assert yardstick.table(yardstick.load()) in README.read_text(), "print(yardstick.table(yardstick.load()))"


def test_the_documented_families_are_those_of_this_rtl() -> None:
    digest, table = families.load()
    assert digest == yardstick.rtl_digest(), "python -m vnetcard.hdl.synth --families --record"
    assert list(table) == list(families.FAMILIES)
    assert families.text(table) in README.read_text(), "print(families.text(families.load()[1]))"


@pytest.mark.campaign
@pytest.mark.parametrize("name", list(families.FAMILIES))
def test_families_have_the_recorded_size(name: str, tmp_path: Path, yosys: None) -> None:
    if missing := missing_tools(flow.TOOLS):
        skip_or_fail(f"{', '.join(missing)} missing: scripts/venv.sh test")
    found = families.measure(families.FAMILIES[name], 64, tmp_path)
    _, table = families.load()
    assert found == table[name][64]


def test_cells_are_counted_by_their_kind() -> None:
    family = families.FAMILIES["ultrascale+"]
    cells = {"BUFG": 1, "CARRY4": 716, "FDRE": 6344, "FDSE": 19, "INV": 552, "LUT2": 10, "LUT6": 5}
    cells |= {"RAM32M16": 22, "RAMB36E2": 2, "SRL16E": 3, "RAM64X1D": 1}
    assert families.unknown(cells, family) == ["BUFG"]
    assert families.count(cells, family) == families.Resources(567, 716, 6363, 26, 2)
    ecp5 = {"LUT4": 10, "CCU2C": 3, "TRELLIS_FF": 4, "TRELLIS_DPR16X4": 5, "DP16KD": 6, "PFUMX": 9}
    assert families.count(ecp5, families.FAMILIES["ecp5"]) == families.Resources(16, 3, 4, 5, 6)


def test_size_stays_within_the_record(synthesized: tuple[int, Path, flow.Size]) -> None:
    width, _, size = synthesized
    assert yardstick.complaints(yardstick.Measured(width, size), yardstick.load()[width]) == []


def test_data_fifos_are_block_ram(synthesized: tuple[int, Path, flow.Size]) -> None:
    width, _, size = synthesized
    assert size.block_ram == 2 * -(-width // BLOCK_RAM_BITS)


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_speed_reaches_the_target(synthesized: tuple[int, Path, flow.Size]) -> None:
    width, folder, size = synthesized
    row = yardstick.Measured(width, size, flow.route(width, folder))
    print(row)
    assert yardstick.complaints(row, yardstick.load()[width]) == []
