"""No identifier, and no page, uses a word that docs/glossary.md replaces by another one."""

from __future__ import annotations

import io
import re
import tokenize

from tests.unit.test_glossary import GLOSSARY, NOT_USED, ROOT, rows

FOLDERS = ("vnetcard", "x86_side", "fpga_side", "sim", "firmware", "hdl", "tests", "benchmarks", "docs")
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")} - {GLOSSARY})
ONLY_IN_IDENTIFIERS = {"crossing", "silent", "way", "ways", "wish", "world", "worlds"}
"""Words of the table that are plain English in prose."""

EXCEPTIONS: dict[str, str] = {
    "tell": "the method of files in the standard library",
    "NOBODY": "the user of that name",
    "as_nobody": "the user of that name",
    "home_of_nobody": "the user of that name",
}
"""Identifiers that contain a word which the code does not use, and why each stays."""

PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
C_NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def unused_words() -> set[str]:
    """The words that no identifier may contain."""
    table = rows(GLOSSARY.read_text(encoding="utf-8").partition(NOT_USED)[2])
    return {word.strip() for row in table for word in row[0].split(",")}


def python_identifiers(source: str) -> set[str]:
    """The names in Python source: not those in strings and comments."""
    return {token.string for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == 1}


def c_identifiers(source: str) -> set[str]:
    """The names in C or C++ source: not those in strings and comments."""
    return set(re.findall(r"[A-Za-z_]\w*", C_NOT_CODE.sub(" ", source)))


def misused(identifiers: set[str], words: set[str]) -> list[str]:
    """The identifiers that contain one of ``words`` as a part of their own."""
    return sorted(name for name in identifiers if words & {part.lower() for part in PARTS.findall(name)})


def test_no_identifier_uses_a_word_that_the_glossary_replaces() -> None:
    words = unused_words()
    assert {"ears", "bells", "crossing", "patience", "moverbooks", "sight"} <= words
    found = {}
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))):
        if path.suffix in (".py", ".pyi"):
            names = python_identifiers(path.read_text(encoding="utf-8"))
        elif path.suffix in (".c", ".h", ".cpp", ".sv", ".svh", ".pml"):
            names = c_identifiers(path.read_text(encoding="utf-8"))
        else:
            continue
        words_in_path = misused({path.stem}, words)
        if left := [name for name in [*words_in_path, *misused(names, words)] if name not in EXCEPTIONS]:
            found[str(path.relative_to(ROOT))] = left
    assert found == {}


def test_each_exception_is_still_needed() -> None:
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".c", ".h")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert [name for name in EXCEPTIONS if not re.search(rf"\b{name}\b", text)] == []


def test_words_are_found_inside_identifiers() -> None:
    names = python_identifiers("tx_bell = Sight()  # bells\nbellow = 'ears'\nHTTPBell = 0\n")
    assert misused(names, {"bell", "bells", "sight", "ears"}) == ["HTTPBell", "Sight", "tx_bell"]
    assert misused(c_identifiers('int n_ears; /* bells */ puts("patience");'), {"ears", "bells", "patience"}) == [
        "n_ears"
    ]


def test_pages_use_the_words_of_the_glossary() -> None:
    words = unused_words() - ONLY_IN_IDENTIFIERS
    found = []
    for page in PAGES:
        prose = "\n".join("" if line.startswith("    ") else line for line in page.read_text("utf-8").splitlines())
        for number, line in enumerate(re.sub(r"`[^`]*`", "", prose).splitlines(), 1):
            found += [f"{page.name}:{number}: {word}" for word in re.findall(r"[a-z]+", line.lower()) if word in words]
    assert found == []
