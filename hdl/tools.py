"""The programs of the extra ``hdl``, which pip installs beside Python."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path


class ToolMissing(Exception):
    """A program of the extra is missing."""


def _find(name: str) -> str | None:
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def tool(name: str) -> str:
    """Return the path of a program; ToolMissing says how to install it."""
    if (found := _find(name)) is None:
        raise ToolMissing(f"{name} is missing: pip install 'vnetcard[hdl]'")
    return found


def missing_tools(names: Iterable[str]) -> list[str]:
    """Return those of ``names`` that are missing."""
    return [name for name in names if _find(name) is None]
