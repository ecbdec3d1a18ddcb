"""The matrix: what is not available is no pass, what fails is named, and the quick part is really run in the copy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.matrix import __main__ as matrix
from tests.matrix import interpreters, quick_part
from tests.matrix.cell import Cell, Failed, NotAvailable, Ran, State, TestsFailed
from vnetcard.errors import ConfigError


def passes(log: Path) -> Ran:
    log.write_text("ran\n")
    return Ran("CPython 9.9", 12, skipped=1)


def is_missing(log: Path) -> Ran:
    raise NotAvailable("no such\nPython")


def has_no_archive(log: Path) -> Ran:
    raise ConfigError("no archive")


def fails(log: Path) -> Ran:
    raise TestsFailed(Ran("CPython 9.9", 12), ["tests/unit/test_a.py::test_b"])


def breaks(log: Path) -> Ran:
    raise OSError("disk full")


def runs_nothing(log: Path) -> Ran:
    return Ran("CPython 9.9", 0)


@pytest.mark.parametrize(
    ("runs", "state", "detail"),
    [
        (passes, State.PASSED, "CPython 9.9"),
        (is_missing, State.NOT_AVAILABLE, "no such Python"),
        (has_no_archive, State.NOT_AVAILABLE, "no archive"),
        (fails, State.FAILED, "1 of 12 tests failed on CPython 9.9"),
        (breaks, State.FAILED, "disk full"),
        (runs_nothing, State.FAILED, "ran no test"),
    ],
)
def test_every_end_of_a_cell_is_a_result(runs: object, state: State, detail: str, tmp_path: Path) -> None:
    result = Cell("one", runs).result(tmp_path / "log")  # type: ignore[arg-type]
    assert result.state is state
    assert result.detail.startswith(detail)


@pytest.mark.parametrize(
    ("cells", "status", "summary"),
    [
        ([passes], 0, "matrix: 1 passed, 0 failed, 0 not available"),
        ([passes, is_missing], 3, "matrix: 1 passed, 0 failed, 1 not available"),
        ([is_missing, fails, passes], 1, "matrix: 1 passed, 1 failed, 1 not available"),
    ],
    ids=["all pass", "one is missing", "one fails"],
)
def test_result_counts_what_is_not_available_apart(
    cells: list[object], status: int, summary: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [Cell(f"cell-{number}", run) for number, run in enumerate(cells)]  # type: ignore[arg-type]
    assert matrix.run_cells(named, tmp_path / "work", tmp_path / "out.json") == status
    *table, last = capsys.readouterr().out.splitlines()
    assert last == f"{summary}; JSON: {tmp_path / 'out.json'}"
    assert all(len(line) <= 120 for line in table)
    if is_missing in cells:
        (row,) = (line for line in table if "not available" in line)
        assert row.endswith("no such Python")
    whole = json.loads((tmp_path / "out.json").read_text())
    assert [cell["name"] for cell in whole["cells"]] == [cell.name for cell in named]
    assert whole["passed"] + whole["failed"] + whole["not_available"] == len(cells)
    assert [cell["failed"] for cell in whole["cells"] if cell["state"] == "failed"] == [
        ["tests/unit/test_a.py::test_b"] for run in cells if run is fails
    ]


def test_unknown_cell_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        matrix.main(["python-2.7"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(
        "make matrix: error: no cell 'python-2.7' (cells: python-3.11, python-3.12"
    )


CHECK = """\
check:
	@mkdir -p .venv/bin && ln -sf $$VNETCARD_PYTHON .venv/bin/python
	@printf '<testsuite>{cases}</testsuite>' >$(word 2,$(subst =, ,$(filter --junit-xml=%,$(PYTEST_ARGS))))
	@echo CI=$$CI; {end}
"""
PASS = '<testcase classname="tests.unit.test_a" name="test_good"/>'
SKIP = '<testcase classname="tests.unit.test_a" name="test_idle"><skipped/></testcase>'
EXPECTED = '<testcase classname="tests.unit.test_a" name="test_known"><skipped type="pytest.xfail"/></testcase>'
FAIL = '<testcase classname="tests.unit.test_a" name="test_bad"><failure/></testcase>'


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose ``make check`` the test writes."""
    root = tmp_path / "checkout"
    root.mkdir()
    subprocess.run([need("git"), "init", "-q", root], check=True)
    (root / ".gitignore").write_text("ignored\n")
    (root / "ignored").touch()
    monkeypatch.setattr(quick_part, "ROOT", root)
    return root


def quick(checkout: Path, cases: str, end: str = "true") -> Ran:
    (checkout / "Makefile").write_text(CHECK.format(cases=cases, end=end))
    python = shutil.which("python3") or need("python3")
    return quick_part.run_quick_part(checkout.parent / "copy", checkout.parent / "log", python=python)


def test_quick_part_is_make_check_in_a_copy_with_missing_tools_as_failures(checkout: Path) -> None:
    (checkout.parent / "copy").mkdir()
    (checkout.parent / "copy/old").touch()
    ran = quick(checkout, PASS + SKIP + EXPECTED)
    assert (ran.tests, ran.skipped) == (3, 1)
    assert ran.system.startswith("Python 3.")
    assert "CI=true" in (checkout.parent / "log").read_text()
    names = {path.name for path in (checkout.parent / "copy").iterdir()}
    assert names == {".git", ".gitignore", ".venv", "Makefile", "matrix.xml"}


def test_failed_tests_are_named(checkout: Path) -> None:
    with pytest.raises(TestsFailed, match="1 of 2 tests failed") as caught:
        quick(checkout, PASS + FAIL, end="exit 1")
    assert caught.value.failed == ["tests/unit/test_a.py::test_bad"]


@pytest.mark.parametrize(("cases", "words"), [(PASS, "`make check` ended with status 2"), ("", "status 2")])
def test_check_that_fails_without_a_failed_test_has_failed(checkout: Path, cases: str, words: str) -> None:
    with pytest.raises(Failed, match=words):
        quick(checkout, cases, end="echo left behind; exit 1")


def test_version_that_no_one_has_is_not_available_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")  # uv cannot be had either
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(NotAvailable, match=r"no Python 3\.99 with headers and venv here, and uv installs none"):
        interpreters.run_with_python("3.99", tmp_path, tmp_path / "log")


def test_interpreter_of_this_machine_is_used_when_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = "{}.{}".format(*sys.version_info)
    folder = tmp_path / f"versions/{version}.7/bin"
    folder.mkdir(parents=True)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")
    (folder / f"python{version}").write_text("#!/bin/sh\nexit 1\n")
    (folder / f"python{version}").chmod(0o755)
    with pytest.raises(NotAvailable):
        monkeypatch.setattr(sys, "executable", "/bin/false")
        interpreters.find_python(version, tmp_path, tmp_path / "log")
    (folder / f"python{version}").write_text("#!/bin/sh\necho /the/python\n")
    assert interpreters.find_python(version, tmp_path, tmp_path / "log") == "/the/python"
