"""Paths, modules and test functions that the pages name exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_documented_commands import PAGES, ROOT
from tests.unit.test_glossary import resolve
from vnetcard.window import KINDS

FOLDERS = "vnetcard|x86_side|fpga_side|sim|hdl|tests|benchmarks|docs|scripts|requirements"
PATH = re.compile(rf"(?:{FOLDERS})/[\w./-]*\w/?|_c/\w[\w.]*")
MODULE = re.compile(r"vnetcard(?:\.\w+)+")
NOT_A_MODULE = ("vnetcard.windows", "vnetcard.ports")
"""Names of entry-point groups."""
PLUGIN_EXAMPLES = ("acme",)
"""Kinds of the example package, where it is installed."""
PLACEHOLDER = re.compile(r"KIND|NAME|FILE")
MADE_LATER = ("vnetcard/guest", "vnetcard/sim")
"""Folders of the user's cache."""


def inline_code(page: Path) -> Iterator[str]:
    """Every inline code of ``page``."""
    prose = "\n".join(line for line in page.read_text(encoding="utf-8").splitlines() if not line.startswith("    "))
    yield from re.findall(r"`([^`\n]+)`", prose)


def names(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """Page and code of every inline code that is, as a whole, what ``pattern`` describes."""
    return sorted(
        {
            (str(page.relative_to(ROOT)), code)
            for page in PAGES
            for code in inline_code(page)
            if pattern.fullmatch(code) and not PLACEHOLDER.search(code)
        }
    )


def exists(path: str) -> bool:
    """True if ``path`` is in the repository; ``_c/`` is short for the folder of the C core."""
    return (ROOT / path).exists() or (ROOT / "vnetcard" / path).exists()


@pytest.mark.parametrize(("page", "path"), names(PATH))
def test_path_exists(page: str, path: str) -> None:
    assert exists(path) or path.rstrip("/") in MADE_LATER, f"{page} names {path}"


@pytest.mark.parametrize(("page", "name"), names(MODULE))
def test_module_or_name_exists(page: str, name: str) -> None:
    if name not in NOT_A_MODULE and not name.startswith("vnetcard.service"):
        resolve(name)


def test_names_are_found() -> None:
    assert len(names(PATH)) > 40
    assert len(names(MODULE)) > 40
    assert not exists("vnetcard/no_such_file.py")


def test_every_decision_record_is_in_the_index() -> None:
    folder = ROOT / "docs/adr"
    linked = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert linked == sorted(path.name for path in folder.glob("0*.md"))


def test_every_kind_of_window_is_in_the_table_of_windows() -> None:
    table = (ROOT / "docs/windows.md").read_text(encoding="utf-8").partition("\n\n*Coherent*")[0]
    documented = set(re.findall(r"(?m)^\| `(\w+):", table))
    assert documented >= set(KINDS.names()) - set(PLUGIN_EXAMPLES)
    assert documented <= set(KINDS.names())
