"""CONTRIBUTING.md follows the code: its map is the import rule, and its recipes name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.layers import LAYERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLACEHOLDERS = ("KIND", "NAME")
"""In a path: the reader's own choice."""


def folder_of(path: str) -> str:
    """Name of ``path`` in the import rule: ``vnetcard/ring`` is ring, ``vnetcard/__init__.py`` is vnetcard."""
    name = path.removeprefix("vnetcard/").partition(".")[0]
    return "vnetcard" if name == "__init__" else name


def recipes() -> dict[str, str]:
    """Title to text of each recipe."""
    text = PAGE.partition("\n## Recipes\n")[2].partition("\n## ")[0]
    title, *rest = re.split(r"\n### (.+)\n", text)
    assert title.strip()
    return dict(zip(rest[::2], rest[1::2], strict=True))


def test_map_is_the_import_rule_from_top_to_bottom() -> None:
    table = PAGE.partition("| layer | folders |")[2].partition("\n\n")[0].splitlines()[2:]
    paths = [re.findall(r"`([^`]+)`", row.split("|")[2].partition(" (")[0]) for row in table]
    assert [{folder_of(path) for path in row} for row in paths] == [set(layer) for layer in LAYERS]
    assert all((ROOT / path).exists() for row in paths for path in row)


def test_recipes_are_those_that_maintainers_need() -> None:
    wanted = [
        "window kind",
        "port kind",
        "counter",
        "counter of the kernel",
        "register of the DMA engine",
        "cause",
        "command",
    ]
    assert list(recipes()) == [f"Add a {name}" for name in wanted]


@pytest.mark.parametrize("title", recipes())
def test_recipe_has_at_most_three_steps_and_names_files_that_exist(title: str) -> None:
    steps = re.findall(r"(?m)^(\d)\. ", recipes()[title])
    assert steps == ["1", "2", "3"][: len(steps)]
    paths = re.findall(r"`((?:vnetcard|hdl|tests)/[\w./]+)`", recipes()[title])
    missing = [path for path in paths if not any(word in path for word in PLACEHOLDERS) and not (ROOT / path).exists()]
    assert paths
    assert missing == []


def test_every_helper_of_the_tests_is_in_their_table() -> None:
    table = (ROOT / "tests/README.md").read_text(encoding="utf-8").partition("| module | what it does |")[2]
    named = {name for row in table.partition("\n\n")[0].splitlines() for name in re.findall(r"`(\w+)`", row)}
    modules = {path.stem for path in (ROOT / "tests/harness").glob("[!_]*.py")}
    assert modules - named == set()


def test_contributing_names_every_target_of_the_makefile_that_it_mentions() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    assert set(re.findall(r"`make ([a-z-]+)", PAGE)) <= targets
