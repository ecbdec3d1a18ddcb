"""The indented blocks of commands and files in our documents, for tests that run them as they stand."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def documented_blocks(page: str, heading: str) -> list[str]:
    """The indented paragraphs of ``page`` behind the line that starts with ``heading``, up to the next heading."""
    text = (ROOT / page).read_text(encoding="utf-8")
    section = re.split(r"^#+ ", text.partition(f"\n{heading}")[2], maxsplit=1, flags=re.MULTILINE)[0]
    blocks = [part for part in section.split("\n\n") if part.startswith("    ")]
    assert blocks, f"{page} has no block under {heading}"
    return [textwrap.dedent(block) for block in blocks]
