"""FPGA logic as one end of a link: the stream port alone, and behind the engine with an echo.

Each case is a function of ``cases_stream*.py``; those of ``cases_stream_link.py`` run the agents' own Link.  `make
test` runs each at 64 bit, stalled.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from _pytest.mark import ParameterSet

from tests.hdl import build, suite
from tests.hdl.jobs import WORKERS

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

WIDTHS = (64, 128)
DESIGNS = {
    "cases_stream": build.STREAM_PORT,
    "cases_stream_card": build.STREAM_ECHO,
    "cases_stream_link": build.STREAM_ECHO,
}


@dataclass(frozen=True, slots=True)
class Group:
    """All cases of one module, in one process: at one width, stalled or calm, as one end of the link."""

    module: str
    width: int
    stall: str
    side: str = "card"

    @property
    def name(self) -> str:
        return f"{self.module}-w{self.width}-{self.stall}-{self.side}"


ALWAYS = [Group(module, 64, "stalled") for module in DESIGNS]
GROUPS = [
    *(Group(module, width, stall) for module in DESIGNS for width in WIDTHS for stall in suite.STALLS),
    *(Group("cases_stream", 64, stall, "host") for stall in suite.STALLS),
]

Started = dict[Group, Future[dict[str, build.Outcome]]]


def run_group(group: Group, folder: Path) -> dict[str, build.Outcome]:
    """Build the design of ``group`` and run its cases; return the outcome of each."""
    folder.mkdir()
    design = DESIGNS[group.module]
    if group.side == "host":
        built = build.build(folder / "sim", group.width, ("-GIsCard=1'b0", *build.QUICK), design=design)
    else:
        built = build.kept(folder / "sim", group.width, design=design)
    cases = suite.cases(group.module)
    env = {"VNETCARD_STALL": group.stall, "VNETCARD_STREAM_SIDE": group.side}
    outcomes = build.simulate_all(built, cases, module=group.module, extra_env=env, top=design.top)
    return dict(zip(cases, outcomes, strict=True))


@pytest.fixture(scope="module")
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The runs of all groups of which a test is selected, several at a time."""
    folder = tmp_path_factory.mktemp("stream")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(WORKERS) as pool:
        build.use_verilator(patch)
        wanted = dict.fromkeys(
            cast("Group", item.callspec.params["group"])
            for item in request.session.items
            if isinstance(item, pytest.Function) and item.path == Path(__file__) and hasattr(item, "callspec")
            if isinstance(item.callspec.params.get("group"), Group)
        )
        yield {group: pool.submit(run_group, group, folder / group.name) for group in wanted}
        pool.shutdown(cancel_futures=True)


def params() -> Iterator[ParameterSet]:
    for group in GROUPS:
        for case in suite.cases(group.module):
            marks = () if group in ALWAYS else pytest.mark.campaign
            yield pytest.param(group, case, id=f"{case}-{group.name}", marks=marks)


@pytest.mark.parametrize(("group", "case"), list(params()))
def test_stream(started: Started, group: Group, case: str) -> None:
    build.show(started[group].result()[case])


@pytest.mark.parametrize("width", WIDTHS)
def test_verilator_lint_reports_no_warning(verilator: str, width: int) -> None:
    said = build.lint(verilator, "vnc_stream_card", build.STREAM_ECHO.folders, DataW=width)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize(("name", "value"), [("DataW", 256), ("WindowLog2", 13), ("WindowLog2", 21)])
def test_invalid_parameter_ends_elaboration(verilator: str, name: str, value: int) -> None:
    said = build.lint(verilator, "vnc_stream_port", build.STREAM_PORT.folders, **{name: value})
    assert said.returncode != 0
    assert f"vnc_stream_port: {name} must be" in said.stderr
