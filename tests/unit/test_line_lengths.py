"""Lines of code and Markdown are within the limit that .editorconfig states; a tab counts as the indent size.

Three kinds of line cannot be wrapped and are exempt: a row of a Markdown table, a line that ends with a URL, and one
whose excess is a comment for a checker.  Generated sources are exempt.
"""

from __future__ import annotations

import configparser
import re
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = "do not edit"
FOR_CHECKERS = re.compile(r"  # (?:type: ignore|noqa).*")
CHECKED = ("*.c", "*.cpp", "*.h", "*.md", "*.py", "*.pyi", "*.sh", "*.sv", "*.svh", "*.toml", "*.yml", "Makefile")


@dataclass(frozen=True, slots=True)
class Rule:
    """What .editorconfig says of one file."""

    limit: int
    tab: int


def sections() -> list[tuple[str, dict[str, str]]]:
    """The sections of .editorconfig in order: pattern and properties."""
    parsed = configparser.ConfigParser()
    parsed.read_string("[root]\n" + (ROOT / ".editorconfig").read_text(encoding="utf-8"))
    return [(name, dict(parsed[name])) for name in parsed.sections() if name != "root"]


def alternatives(pattern: str) -> list[str]:
    """``pattern`` with its outermost braces expanded, as the EditorConfig specification defines them."""
    before, opening, rest = pattern.partition("{")
    inside, _, after = rest.rpartition("}")
    return [before + choice + after for choice in inside.split(",")] if opening else [pattern]


def rule_for(name: str) -> Rule:
    """The rule for a file called ``name``: of several sections that match, the last one counts."""
    properties: dict[str, str] = {}
    for pattern, wanted in sections():
        if any(fnmatch(name, choice) for choice in alternatives(pattern)):
            properties |= wanted
    return Rule(limit=int(properties["max_line_length"]), tab=int(properties["indent_size"]))


def exempt(name: str, line: str, limit: int) -> bool:
    """True for a line that cannot be wrapped."""
    one_url = "://" in line and len(line.rsplit(maxsplit=1)[-1]) > limit - 20
    return one_url or (name.endswith(".md") and line.lstrip().startswith("|"))


def tracked_files() -> list[str]:
    """Every file in the repository of a checked kind."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if any(fnmatch(Path(path).name, kind) for kind in CHECKED)]


def too_long(path: Path, rule: Rule) -> list[int]:
    """Numbers of the lines of ``path`` that exceed the limit."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.suffix != ".md" and any(GENERATED in line for line in lines[:3]):
        return []
    return [
        number
        for number, line in enumerate(lines, 1)
        if len(FOR_CHECKERS.sub("", line).expandtabs(rule.tab)) > rule.limit and not exempt(path.name, line, rule.limit)
    ]


def test_editorconfig_states_a_limit_for_code_and_markdown() -> None:
    for name in ("link.py", "vnc_ring.h", "vnc_mover.sv", "README.md", "Makefile"):
        assert rule_for(name).limit == 120
    assert rule_for("vnc_ring.h").tab == 8


def test_no_line_exceeds_the_limit() -> None:
    files = tracked_files()
    assert len(files) > 400
    found = [
        f"{name}:{number}"
        for name in files
        if (ROOT / name).exists()
        for number in too_long(ROOT / name, rule_for(Path(name).name))
    ]
    assert found == []


def test_long_line_is_found_and_table_row_is_exempt(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("x" * 120 + "\n" + "x" * 121 + "\n| " + "x" * 130 + " |\n", encoding="utf-8")
    assert too_long(page, rule_for(page.name)) == [2]
    source = tmp_path / "source.c"
    source.write_text("\t" + "x" * 112 + "\n\t" + "x" * 113 + "\n", encoding="utf-8")
    assert too_long(source, rule_for(source.name)) == [2]
