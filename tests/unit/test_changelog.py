"""CHANGELOG.md has the form that docs/release.md describes."""

from __future__ import annotations

import re
from pathlib import Path

import vnetcard

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+) - \d{4}-\d\d-\d\d")


def versions() -> dict[str, str]:
    """Heading to text of each version, the newest first."""
    _, *rest = re.split(r"(?m)^## (.+)\n", TEXT)
    return dict(zip(rest[::2], rest[1::2], strict=True))


def test_unreleased_comes_first_and_versions_have_a_date() -> None:
    first, *released = versions()
    assert first == "Unreleased"
    numbers = []
    for heading in released:
        found = VERSION.fullmatch(heading)
        assert found, f"## {heading}: expected MAJOR.MINOR.PATCH - YYYY-MM-DD"
        numbers.append(tuple(int(part) for part in found.groups()))
    assert numbers == sorted(numbers, reverse=True)
    own = tuple(int(part) for part in vnetcard.__version__.split("."))
    assert not numbers or own >= numbers[0]


def test_each_entry_is_in_a_known_section_in_order() -> None:
    for heading, text in versions().items():
        before, *rest = re.split(r"(?m)^### (.+)\n", text)
        assert before.strip() == "", f"{heading}: an entry stands before its section: {before.strip()[:60]}"
        names = rest[::2]
        assert names == [name for name in SECTIONS if name in names], f"{heading}: {names}"
        assert all(body.strip() for body in rest[1::2]), f"{heading}: a section is empty"


def test_version_has_three_numbers() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", vnetcard.__version__)
