"""The crossing between two clocks, and the engine on a clock of its own: ``vnc_axi_decoupler`` and ``vnc_card_top``.

The benches replace ``vnc_sync`` by a model that samples a changing bit as old or new.  The campaign repeats the cases
with many more disturbances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.hdl import build, suite
from tests.hdl.jobs import WORKERS

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

MANY = "60"
"""VNETCARD_TRIALS of the campaign."""

ON_THE_CARD = {
    "cases_moving": ("random_doorbells_match_the_model", "indices_wrap_at_2_to_the_32"),
    "cases_wakeup": ("receiver_that_goes_to_sleep_is_woken",),
    "cases_side": ("start_copies_both_side_blocks_first", "side_block_error_halts_only_that_side_mover"),
}
"""Cases of the engine, by module, that ``vnc_card_top`` passes as ``vnc_dma_top`` does."""

Simulate = Callable[[str, str, str], build.Outcome]


def runs() -> Iterator[ParameterSet]:
    """Yield the parameters design, module, case and trials of every run; the campaign has them with many trials."""
    own = (build.DECOUPLER, "cases_decoupler"), (build.CARD, "cases_card")
    for design, module in own:
        for case in suite.cases(module):
            yield pytest.param(design, module, case, "", id=f"{case}")
            yield pytest.param(design, module, case, MANY, id=f"{case}-many", marks=pytest.mark.campaign)
    for module, cases in ON_THE_CARD.items():
        for case in cases:
            yield pytest.param(build.CARD, module, case, "", id=f"{case}-card")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Path]]]:
    """The simulators of both designs at 64 bit, built at the same time."""
    folder = tmp_path_factory.mktemp("decoupler")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(WORKERS) as pool:
        build.use_verilator(patch)
        yield {
            design.name: pool.submit(build.kept, folder / design.name, 64, build.FAST, design)
            for design in (build.DECOUPLER, build.CARD)
        }


@pytest.mark.parametrize(("design", "module", "case", "trials"), list(runs()))
def test_decoupler(
    programs: dict[str, Future[Path]], design: build.Design, module: str, case: str, trials: str
) -> None:
    extra = {"VNETCARD_STALL": "stalled"} | ({"VNETCARD_TRIALS": trials} if trials else {})
    outcome = build.simulate(
        programs[design.name].result(), case, module=module, label=f"-{trials}", extra_env=extra, top=design.top
    )
    build.show(outcome)


@pytest.mark.parametrize("width", suite.WIDTHS)
def test_lint_of_the_card_reports_no_warning(verilator: str, width: int) -> None:
    said = build.lint(verilator, build.CARD.top, DataW=width)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize(
    ("top", "name", "value", "why"),
    [
        ("vnc_isolate", "Outstanding", 3, "Outstanding must be"),
        ("vnc_cdc_fifo", "Depth", 2, "Depth must be"),
        ("vnc_card_top", "DataW", 96, "DataW must be"),
    ],
)
def test_invalid_parameter_ends_elaboration(verilator: str, top: str, name: str, value: int, why: str) -> None:
    said = build.lint(verilator, top, **{name: value})
    assert said.returncode != 0
    assert why in said.stderr
