"""Each word of docs/glossary.md exists in the code, and each package and public name has an entry there.

The words that the glossary replaces are the subject of test_words.py.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import vnetcard

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs/glossary.md"
NOT_USED = "## Words that the code does not use"


def rows(text: str) -> list[list[str]]:
    """The cells of every table row of ``text`` but the headings."""
    lines = [line for line in text.splitlines() if line.startswith("| ") or line.startswith("|-")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if not line.startswith("|-") and not after.startswith("|-")
    ]


def entries() -> list[list[str]]:
    """Word, places in the code and meaning of each entry."""
    return rows(GLOSSARY.read_text(encoding="utf-8").partition(NOT_USED)[0])


def places() -> list[str]:
    """Every dotted name that an entry gives as its place in the code."""
    return [place for row in entries() for place in re.findall(r"`([^`]+)`", row[1])]


def resolve(dotted: str) -> object:
    """The module, class, function or attribute called ``dotted``."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        try:
            found: object = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(dotted)


@pytest.mark.parametrize("place", places())
def test_place_in_the_code_exists(place: str) -> None:
    resolve(place)


def test_each_word_has_one_entry() -> None:
    words = [word.strip() for row in entries() for word in row[0].split(",")]
    assert sorted(words) == sorted(set(words))
    assert len(words) > 50


def test_every_package_and_public_name_has_an_entry() -> None:
    packages = {module.name for module in pkgutil.iter_modules(vnetcard.__path__, "vnetcard.") if module.ispkg}
    public = {f"vnetcard.{name}" for name in vnetcard.__all__}
    covered = {".".join(place.split(".")[:depth]) for place in places() for depth in (2, 3)}
    assert sorted((packages | public) - covered) == []
