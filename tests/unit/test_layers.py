"""Imports go down through the layers, never in circles; each kind of violation is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.layers import LEVEL, folder_of, modules_of, violations

ROOT = Path(__file__).resolve().parents[2]
TREE = {"vnetcard": ROOT / "vnetcard"} | {
    f"vnetcard.{folder}": ROOT / folder for folder in ("x86_side", "fpga_side", "sim", "firmware", "hdl")
}


def test_imports_go_down_and_never_in_circles() -> None:
    assert violations(modules_of(TREE)) == []


def test_every_folder_has_a_layer() -> None:
    folders = {folder_of(name) for name in modules_of(TREE)}
    assert folders | {"_core"} == set(LEVEL)


def made_up(tmp_path: Path, files: dict[str, str]) -> list[str]:
    """Violations of a tree of ``files``, each empty but for its text."""
    root = tmp_path / "vnetcard"
    for name in ("__init__.py", "errors.py", "testing.py", "link/__init__.py", "ring/__init__.py", *files):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files.get(name, ""))
    return violations(modules_of({"vnetcard": root}))


def test_good_tree_has_no_violations(tmp_path: Path) -> None:
    files = {
        "link/link.py": "from vnetcard._core import Memory\nfrom vnetcard.ring import fifo\nimport vnetcard.link.types",
        "link/types.py": "from vnetcard import __version__\nfrom vnetcard.errors import Closed",
        "ring/fifo.py": "TEXT = 'vnetcard.link.link'  # no import without import_module",
    }
    assert made_up(tmp_path, files) == []


@pytest.mark.parametrize(
    "text",
    [
        "import vnetcard.link.link",
        "import os, vnetcard.link.link as link",
        "from vnetcard.link import link",
        "from vnetcard.link.link import Link",
        "from ..link import link",
        "from ..link.link import Link",
        "def lazily():\n    from vnetcard.link.link import Link",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vnetcard.link.link import Link",
        "import importlib\nlink = importlib.import_module('vnetcard.link.link')",
        "from importlib import import_module\nTABLE = {'a': 'vnetcard.link.link'}\n"
        "def load(name):\n    return import_module(TABLE[name])",
    ],
)
def test_upward_import_is_found_however_it_is_written(tmp_path: Path, text: str) -> None:
    found = made_up(tmp_path, {"ring/fifo.py": text, "link/link.py": ""})
    assert found == ["upward: vnetcard.ring.fifo -> vnetcard.link.link"]


def test_import_of_the_package_itself_goes_up(tmp_path: Path) -> None:
    found = made_up(tmp_path, {"ring/fifo.py": "from vnetcard import Link"})
    assert found == ["upward: vnetcard.ring.fifo -> vnetcard"]


def test_import_between_folders_of_one_layer_is_found(tmp_path: Path) -> None:
    files = {"engine/__init__.py": "from vnetcard.port import tun", "port/__init__.py": "", "port/tun.py": ""}
    assert made_up(tmp_path, files) == ["upward: vnetcard.engine -> vnetcard.port.tun"]


def test_cycle_within_a_folder_is_found(tmp_path: Path) -> None:
    files = {
        "ring/a.py": "from vnetcard.ring import b",
        "ring/b.py": "def lazily():\n    from vnetcard.ring.c import name",
        "ring/c.py": "import vnetcard.ring.a",
        "ring/d.py": "import vnetcard.ring.a",
    }
    assert made_up(tmp_path, files) == ["cycle: vnetcard.ring.a, vnetcard.ring.b, vnetcard.ring.c"]


def test_fourth_module_on_the_ground_floor_is_found(tmp_path: Path) -> None:
    assert made_up(tmp_path, {"extra.py": ""}) == ["ground floor: vnetcard.extra"]


def test_folder_without_a_layer_is_found(tmp_path: Path) -> None:
    found = made_up(tmp_path, {"attic/__init__.py": "from vnetcard.ring import fifo", "ring/fifo.py": ""})
    assert found == ["upward: vnetcard.attic -> vnetcard.ring.fifo"]
