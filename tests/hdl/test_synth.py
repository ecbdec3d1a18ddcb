"""Size and speed of the engine on an ECP5 by open tools: a yardstick, not evidence for other families."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import skip_or_fail
from vnetcard.hdl.synth import flow, yardstick
from vnetcard.hdl.tools import missing_tools

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

README = Path(__file__).parents[2] / "hdl" / "README.md"
BLOCK_RAM_BITS = 36  # width of a block RAM at a depth of 512, that of a data FIFO


@pytest.fixture(
    scope="module",
    params=[64, pytest.param(512, marks=pytest.mark.campaign)],  # minutes
    ids=lambda width: f"w{width}",
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
