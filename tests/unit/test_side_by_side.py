"""The tests that `tests/harness/side_by_side.py` names exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import side_by_side
from tests.harness.side_by_side import AGENTS, UNTIMED

TESTS = Path(__file__).parents[1]
FILES = [path.relative_to(TESTS.parent).as_posix() for path in sorted(TESTS.glob("*/test_*.py"))]


@pytest.mark.parametrize("folder", [*side_by_side.AGENTS, *side_by_side.UNTIMED, *side_by_side.PATIENT])
def test_named_folder_or_file_has_tests(folder: str) -> None:
    assert any(file.startswith(folder) for file in FILES)


@pytest.mark.parametrize("name", [side_by_side.WANTED, *side_by_side.APART, *side_by_side.BY_PARAMETER])
def test_named_file_exists_once(name: str) -> None:
    assert sum(f"/{file}".endswith(f"/{name}") for file in FILES) == 1


@pytest.mark.parametrize("pattern", side_by_side.LONGEST)
def test_longest_tests_are_patient(pattern: str) -> None:
    file = pattern.partition(".py")[0] + ".py"
    assert [path for path in FILES if path.endswith(f"/{file}") and path.startswith(side_by_side.PATIENT)]


def test_tests_with_agents_are_one_group() -> None:
    tests = [f"{file}::test_x" for file in FILES if file.startswith(AGENTS) and not file.startswith(UNTIMED)]
    assert {side_by_side.group(test) for test in tests} == {"agents"}
    tests = [f"{file}::test_x" for file in FILES if file.startswith(UNTIMED)]
    assert {side_by_side.group(test) for test in tests} == {"untimed"}


def test_tests_of_a_file_are_one_group_unless_they_share_nothing() -> None:
    both = [side_by_side.group(f"tests/unit/test_fifo.py::test_{n}") for n in "ab"]
    assert both[0] == both[1]
    proofs = [
        side_by_side.group(f"tests/hdl/test_formal.py::test_{n}") for n in ("a[fifo]", "b[fifo-1-a_x]", "a[mover]")
    ]
    assert proofs[0] == proofs[1] != proofs[2]
    figures = [side_by_side.group(f"tests/hdl/test_mover_figures.py::test_{n}") for n in "ab"]
    assert figures[0] != figures[1]


def test_order_is_agents_builds_quick_tests_untimed_agents_patient_tests_longest_first() -> None:
    tests = [
        "tests/integration/test_queues.py::test_a",
        "tests/e2e/test_card.py::test_a",
        "tests/hdl/test_simulators.py::test_a",
        "tests/unit/test_fifo.py::test_a",
        "tests/sim/test_sim_link.py::test_a",
        "tests/hdl/test_engine.py::test_a",
        "tests/hdl/test_pcap.py::test_a",
    ]
    assert sorted(reversed(tests), key=side_by_side.turn) == tests
