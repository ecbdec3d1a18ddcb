"""The live simulators build and are cached; building them here spares the tests that use them the wait."""

from __future__ import annotations

import pytest

from vnetcard.sim import build

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("verilator")]


@pytest.mark.parametrize(
    ("width", "trace"), [(512, False), (64, True), pytest.param(64, False, marks=pytest.mark.campaign)]
)
def test_simulator_is_built_once_and_cached(width: int, trace: bool) -> None:
    library = build.library(width, trace=trace, progress=lambda text: print(text, end=""))
    said: list[str] = []
    assert build.library(width, trace=trace, progress=said.append) == library
    assert library.exists()
    assert said == [], "the simulator was built again"
