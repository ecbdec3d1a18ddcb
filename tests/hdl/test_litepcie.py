"""The engine and its AXI slave behind the RTL that LitePCIe 2024.12 generates; its PHY and the host are a model.

``make test`` runs the slave and the engine at 64 bit, the campaign also at the other widths, and seeds bugs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hdl import build, litepcie_build, suite
from tests.hdl.litepcie_mutations import MUTATIONS
from tests.hdl.mutants import SEED, Mutation

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900)]

MODULES = {"slave": "cases_pcie_slave", "engine": "cases_litepcie"}
LONG = ("agents_bring_their_link_up_behind_litepcie",)
"""Cases of the campaign."""
Run = tuple[str, int, str]
"""Kind of the bench, its width, and the case."""


def runs() -> Iterator[object]:
    """Every case at every width; what only the campaign runs is marked."""
    for width in suite.WIDTHS:
        for kind, module in MODULES.items():
            for case in suite.cases(module):
                marks = () if width == 64 and case not in LONG else pytest.mark.campaign
                yield pytest.param((kind, width, case), id=f"{kind}-w{width}-{case}", marks=marks)


class Results:
    """The outcomes of the selected cases; those of one bench run in one process."""

    def __init__(self, folder: Path, selected: list[Run]) -> None:
        self.folder = folder
        self.selected = selected
        self.found: dict[Run, build.Outcome] = {}

    def get(self, run: Run) -> build.Outcome:
        if run not in self.found:
            kind, width, _ = run
            cases = [case for *bench, case in self.selected if bench == [kind, width]]
            folder = litepcie_build.kept(self.folder / f"{kind}-w{width}", kind, width)
            outcomes = build.simulate_all(folder, cases, module=MODULES[kind], top=litepcie_build.TOP)
            self.found |= {(kind, width, case): outcome for case, outcome in zip(cases, outcomes, strict=True)}
        return self.found[run]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    items = [item for item in request.session.items if item.getparent(pytest.Module) is request.node]
    params = [item.callspec.params.get("run") for item in items if hasattr(item, "callspec")]
    selected = [param for param in params if param is not None]
    return Results(tmp_path_factory.mktemp("litepcie"), selected)


@pytest.mark.usefixtures("verilator")
@pytest.mark.parametrize("run", list(runs()))
def test_litepcie(results: Results, run: Run) -> None:
    build.show(results.get(run))


def test_soc_with_the_engine_is_elaborated(verilator: str, tmp_path: Path) -> None:
    """``add_vnetcard`` in a SoC: Verilator finds no missing module or port; bad arguments are refused."""
    source = tmp_path / "soc.v"
    command = [sys.executable, "-m", "tests.hdl.litex_soc", str(source)]
    done = subprocess.run(command, cwd=build.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    files = [str(build.RTL / "lint.vlt"), *map(str, build.sources()), str(source)]
    lint = [verilator, "--lint-only", "-Wno-fatal", "--quiet", "--top-module", "litex_soc", "-Wwarn-PINMISSING", *files]
    said = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr[-3000:]
    assert "vnc_dma_top" in source.read_text()
    assert "PIN" not in said.stderr, said.stderr[-3000:]


def test_mutations_apply() -> None:
    """A text that no longer occurs is an error: change the mutation with the module."""
    for mutation in MUTATIONS:
        assert (litepcie_build.LITEX / mutation.file).read_text().count(mutation.old) == 1, mutation.name
        assert set(mutation.killers) <= set(suite.cases(MODULES["slave"])), mutation.name


@pytest.mark.campaign
@pytest.mark.usefixtures("verilator")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_bug_in_the_slave_is_found(mutation: Mutation, tmp_path: Path) -> None:
    """A case fails on a copy of ``hdl/litex`` with one bug."""
    copy = shutil.copytree(litepcie_build.LITEX, tmp_path / "litex", ignore=shutil.ignore_patterns("__pycache__"))
    place = copy / mutation.file
    place.write_text(place.read_text().replace(mutation.old, mutation.new))
    folder = litepcie_build.make(tmp_path / "bench", "slave", mutation.width, litex=copy)
    module = MODULES["slave"]
    order = sorted(suite.cases(module), key=lambda case: case not in mutation.killers)
    for case in order:
        if build.simulate(folder, case, module=module, top=litepcie_build.TOP, seed=SEED).why:
            return
    pytest.fail(f"{mutation.name} survives: {mutation.breaks}")
