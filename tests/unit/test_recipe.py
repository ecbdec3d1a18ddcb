"""The layer for Yocto: its recipes follow the packages' metadata, and the agent's recipe installs what a card needs."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vnetcard
from tests.harness.needs import need
from vnetcard.agent.units import units

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "fpga_side/meta-vnetcard"
AGENT = LAYER / f"recipes-connectivity/vnetcard/vnetcard_{vnetcard.__version__}.bb"
(NETLINK,) = LAYER.glob("recipes-devtools/python/python3-pyroute2_*.bb")
TARGET = "aarch64"
SUPPRESSED = (
    "oelint.vars.homepageping",  # the network
    "oelint.var.mandatoryvar.HOMEPAGE",
    "oelint.var.suggestedvar.BUGTRACKER",
    "oelint.var.bbclassextend",  # the agent is for the target only
)
FOLDERS = {
    "bindir": "/usr/bin",
    "sysconfdir": "/etc",
    "systemd_system_unitdir": "/usr/lib/systemd/system",
    "systemd_unitdir": "/usr/lib/systemd",
    "nonarch_base_libdir": "/usr/lib",
}
"""Variables of OpenEmbedded, with merged /usr."""


def variables(recipe: Path) -> dict[str, str]:
    """The assignments of a recipe or layer: values with their lines joined."""
    text = recipe.read_text().replace("\\\n", " ")
    return {
        name: " ".join(value.split())
        for name, value in re.findall(r'^([\w:${}\[\]-]+) *(?:\?=|\.=|\+=|=) *"([^"]*)"$', text, re.M)
    }


def function(recipe: Path, name: str) -> str:
    """The body of a shell function."""
    found = re.search(rf"^{re.escape(name)}\(\) {{\n(.*?)^}}$", recipe.read_text(), re.M | re.S)
    assert found, f"{recipe.name} has no {name}"
    return found[1]


def project() -> dict[str, object]:
    """``[project]`` of pyproject.toml."""
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def shell(script: str, **given: str) -> None:
    """Run the body of a function with the variables that bitbake expands, under a umask that hides a forgotten mode."""
    for name, value in given.items():
        script = script.replace(f"${{{name}}}", value)
    assert "${" not in script, script
    subprocess.run(["bash", "-euc", f"umask 077\n{script}"], check=True, env={"PATH": os.environ["PATH"]})


def test_recipe_has_the_version_and_the_licence_of_the_package() -> None:
    assert AGENT.exists(), f"rename the recipe of {AGENT.parent} to {AGENT.name}"
    found = variables(AGENT)
    assert found["LICENSE"] == project()["license"]
    md5 = hashlib.md5((ROOT / "LICENSE").read_bytes()).hexdigest()
    assert found["LIC_FILES_CHKSUM"] == f"file://LICENSE;md5={md5}"
    assert found["SRC_URI"] == "${VNETCARD_URI}" and "${PV}" in found["VNETCARD_URI"]


def test_dependencies_are_those_of_the_package_on_the_card() -> None:
    wanted = set()
    listed = project()["dependencies"]
    assert isinstance(listed, list)
    for requirement in listed:
        name, _, marker = str(requirement).partition(";")
        if marker:
            assert marker.strip() == "platform_machine == 'x86_64'" and TARGET != "x86_64"
            continue
        wanted.add("python3-" + re.split(r"[<>=!~]", name)[0].strip().lower().replace("_", "-"))
    depends = set(variables(AGENT)["RDEPENDS:${PN}"].split())
    assert depends == wanted | {"python3-modules"}
    assert f"{NETLINK.name.partition('_')[0]}" in wanted


def test_netlink_recipe_is_the_pinned_release() -> None:
    pins = (ROOT / "requirements/run.txt").read_text()
    version = NETLINK.stem.partition("_")[2]
    found = re.search(rf"^pyroute2=={re.escape(version)} \\\n((?: +--hash=sha256:\w+.*\n)+)", pins, re.M)
    assert found, f"requirements/run.txt pins another pyroute2: rename {NETLINK.name} and correct its checksums"
    assert f"sha256:{variables(NETLINK)['SRC_URI[sha256sum]']}" in found[1]


def test_layer_names_itself_and_where_its_dependencies_are() -> None:
    found = variables(LAYER / "conf/layer.conf")
    (name,) = found["BBFILE_COLLECTIONS"].split()
    assert {f"{key}_{name}" for key in ("BBFILE_PATTERN", "LAYERDEPENDS", "LAYERSERIES_COMPAT")} <= set(found)
    assert set(found[f"LAYERDEPENDS_{name}"].split()) == {"core", "meta-python"}
    pattern = found["BBFILES"].removeprefix("${LAYERDIR}/")
    assert set(LAYER.glob(pattern)) == set(LAYER.rglob("*.bb")) == {AGENT, NETLINK}


def test_recipe_installs_the_files_of_install_units(tmp_path: Path) -> None:
    shell(function(AGENT, "do_install:append"), D=str(tmp_path), S=str(ROOT), **FOLDERS)
    installed = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    wanted = {unit.path.name: unit.contents for unit in units("fpga", Path("/"), Path("/usr/bin"))}
    sysusers = wanted.pop("vnetcard.conf")
    assert {path.name: text for path, text in installed.items()} == wanted
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in installed)
    found = variables(AGENT)
    assert (tmp_path / f"usr/lib/systemd/system/{found['SYSTEMD_SERVICE:${PN}']}") in installed
    assert f"{tmp_path}{found['CONFFILES:${PN}'].replace('${sysconfdir}', '/etc')}" in map(str, installed)
    user = found["USERADD_PARAM:${PN}"].split()[-1]
    assert f"u {user} " in sysusers and f"User={user}\n" in wanted["vnetcard-fpga.service"]


def test_older_setuptools_gets_metadata_that_it_reads(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    shell(function(AGENT, "do_configure:prepend"), S=str(tmp_path))
    changed = tomllib.loads((tmp_path / "pyproject.toml").read_text())
    assert changed["project"]["license"] == {"text": project()["license"]}
    assert "license-files" not in changed["project"]
    assert changed["build-system"]["requires"] == ["setuptools"]
    assert changed["project"]["dependencies"] == project()["dependencies"]


def lint(release: str, *recipes: Path) -> subprocess.CompletedProcess[str]:
    """Run oelint-adv for a release of Yocto."""
    program = need(str(Path(sys.executable).parent / "oelint-adv"))
    hidden = [argument for rule in SUPPRESSED for argument in ("--suppress", rule)]
    command = [program, "--quiet", "--release", release, *hidden, *map(str, recipes)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("release", variables(LAYER / "conf/layer.conf")["LAYERSERIES_COMPAT_vnetcard"].split())
def test_linter_of_recipes_finds_nothing(release: str) -> None:
    done = lint(release, AGENT, NETLINK)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("old", "new"), [("LIC_FILES_CHKSUM", "LIC_FILES_CHECKSUM"), ("RDEPENDS:${PN}", "RDEPENDS"), ("SUMMARY", "SUMARY")]
)
def test_linter_finds_mistakes(tmp_path: Path, old: str, new: str) -> None:
    recipe = tmp_path / AGENT.name
    assert old in AGENT.read_text()
    recipe.write_text(AGENT.read_text().replace(old, new))
    assert lint("scarthgap", recipe).returncode != 0
