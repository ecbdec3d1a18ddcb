"""requirements/*.txt: every file that pip may download is pinned by hash, and they are all that is needed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import vnetcard

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = {"build": (), "run": (), "sim": ("sim",), "test": ("dev", "docs", "hdl", "release", "tools")}
"""File: the extras of the project that it serves."""


def pins(name: str) -> dict[str, tuple[Requirement, int]]:
    """By package: what ``requirements/NAME.txt`` asks for, and how many hashes it has."""
    found: dict[str, tuple[Requirement, int]] = {}
    for block in re.split(r"\n(?=\S)", (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8").strip()):
        if block.startswith("#"):
            continue
        first, *rest = block.replace("\\\n", "\n").split("\n")
        requirement = Requirement(first)
        assert len(rest) == len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block)), block
        found[canonicalize_name(requirement.name)] = (requirement, len(rest))
    return found


@pytest.mark.parametrize("name", EXTRAS)
def test_each_requirement_is_one_version_with_hashes_and_names_no_host(name: str) -> None:
    for requirement, hashes in pins(name).values():
        (version,) = requirement.specifier
        assert version.operator == "==" and "*" not in version.version and not requirement.url
        assert hashes >= 1
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|^-|index-url|find-links", text, re.MULTILINE)


@pytest.mark.parametrize("name", EXTRAS)
def test_dependencies_of_the_project_are_pinned(name: str) -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = list(project["build-system"]["requires"])
    if name != "build":
        wanted += project["project"]["dependencies"]
    for extra in EXTRAS[name]:
        wanted += [text for text in project["project"]["optional-dependencies"][extra] if "[" not in text]
    have = pins(name)
    for requirement in map(Requirement, wanted):
        pin, _ = have[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(next(iter(pin.specifier)).version), requirement


@pytest.mark.parametrize("name", [name for name in EXTRAS if name != "test"])
def test_versions_are_the_tested_ones(name: str) -> None:
    tested = {package: pin.specifier for package, (pin, _) in pins("test").items()}
    assert {package: pin.specifier for package, (pin, _) in pins(name).items()}.items() <= tested.items()


def test_pins_are_all_that_this_environment_needs() -> None:
    """pip refuses a requirement without a hash, but an environment may have been made otherwise."""
    have = {package: pin for package, (pin, _) in pins("test").items() if not pin.marker or pin.marker.evaluate()}
    for package, pin in have.items():
        assert pin.specifier.contains(importlib.metadata.version(package)), pin
        for text in importlib.metadata.requires(package) or ():
            needed = Requirement(text)
            if not needed.marker or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in have, f"{package} needs {needed}"


# --- the bill of materials ---------------------------------------------------------------------------


@pytest.mark.slow
def test_bill_of_materials_is_valid_and_lists_what_is_installed_with_its_hashes(tmp_path: Path) -> None:
    bill = tmp_path / "bill.json"
    environment = os.environ | {"VENV": sys.prefix}
    subprocess.run([ROOT / "scripts/sbom.sh", bill], env=environment, check=True, timeout=120)
    text = bill.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    main = bom["metadata"]["component"]
    assert (main["name"], main["version"]) == ("vnetcard", vnetcard.__version__)
    listed = {
        canonicalize_name(one["name"]): (one["version"], len(one["externalReferences"][0]["hashes"]))
        for one in bom["components"]
    }
    assert listed == {name: (next(iter(pin.specifier)).version, count) for name, (pin, count) in pins("run").items()}


def test_bill_of_materials_without_a_place_is_one_line() -> None:
    done = subprocess.run([ROOT / "scripts/sbom.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "usage: scripts/sbom.sh FILE" in done.stderr and done.stderr.count("\n") == 1
