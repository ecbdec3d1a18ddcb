"""Window and port kinds of other packages: found, listed, used by agents' commands; a broken one is one clear line."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.programs import VNETCARD, X86
from vnetcard import ConfigError
from vnetcard.codes.error import ErrorCode
from vnetcard.plugins.kinds import Kinds
from vnetcard.window import KINDS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs/examples/vnetcard-acme"
GROUP = "vnetcard.windows"
FUNCTIONS = ("open_window", "read_window")
GOOD = "def open_window(request): ...\ndef read_window(place, limit): ...\n"
USE = """
import sys
from vnetcard.port import open_port
from vnetcard.testing import NearAndFar, check_port, check_window
from vnetcard.window import open_window

def far_port():
    port = open_port("acme:test")
    return NearAndFar(port, port.far)

check_window(lambda side: open_window(sys.argv[1] + "+64K", side=side))
check_port(far_port)
print(open_window(sys.argv[1], side=0).url)
"""


def install(folder: Path, name: str, kind: str, module: str, code: str) -> None:
    """What an installer leaves of package ``name`` in ``folder``: its module and its entry point."""
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{kind} = {module}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def kinds() -> Kinds:
    return Kinds(GROUP, {"shm": "vnetcard.window.shm"}, FUNCTIONS)


def test_kind_of_an_installed_package_is_found(site: Path) -> None:
    install(site, "good-windows", "good", "good_windows_a", GOOD)
    assert "good" in kinds()
    assert {"good", "shm", "xdma"} <= set(kinds().names())
    assert kinds().load("good").__name__ == "good_windows_a"


def test_builtin_kind_is_never_replaced(site: Path) -> None:
    install(site, "thief", "shm", "thief_windows", GOOD)
    assert kinds().load("shm").__name__ == "vnetcard.window.shm"


def test_builtin_kind_needs_no_scan_of_the_packages() -> None:
    code = (
        "import sys; from vnetcard.window import WindowUrl, KINDS; WindowUrl.parse('shm:x'); KINDS.load('shm'); "
        "sys.exit('importlib.metadata' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import no_such_module",
            "bad-windows 1.0 cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("def open_window(request): ...", "bad_windows of bad-windows 1.0 has no function read_window"),
    ],
)
def test_broken_plugin_is_one_line_that_names_it(
    site: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    install(site, "bad-windows", "bad", "bad_windows", code)
    monkeypatch.delitem(sys.modules, "bad_windows", raising=False)
    with pytest.raises(ConfigError) as caught:
        kinds().load("bad")
    assert caught.value.code is ErrorCode.BROKEN_PLUGIN
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_two_packages_with_one_kind_are_both_named(site: Path) -> None:
    for name in ("first-windows", "second-windows"):
        install(site, name, "twice", name.replace("-", "_"), GOOD)
    with pytest.raises(ConfigError, match=r"first-windows 1\.0 and second-windows 1\.0") as caught:
        kinds().load("twice")
    assert caught.value.code is ErrorCode.BROKEN_PLUGIN


def test_xdma_comes_through_the_same_door() -> None:
    assert "xdma" not in KINDS.builtin
    assert KINDS.load("xdma").__name__ == "vnetcard.x86_side.xdma.window"


def test_agents_help_lists_every_kind() -> None:
    text = subprocess.run([*X86, "--help"], capture_output=True, text=True, check=True).stdout
    option = " ".join(text.partition("\n  --window URL")[2].partition("\n  --")[0].split())
    for kind in KINDS.names():
        assert re.search(rf"\b{kind}\b", option), (kind, option)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, built from a copy and installed into a folder of its own, without the network."""
    tmp = tmp_path_factory.mktemp("acme")
    subprocess.run(["cp", "-r", EXAMPLE, tmp / "tree"], check=True)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    build: list[str | Path] = [
        *pip,
        "wheel",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "-w",
        tmp,
        tmp / "tree",
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp.glob("*.whl")
    install: list[str | Path] = [*pip, "install", "--no-deps", "--no-index", "--target", tmp / "site", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return tmp / "site"


@pytest.mark.slow
def test_example_package_keeps_the_contracts(example: Path, tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(example), "ACME_MEMORY": str(tmp_path)}
    url = f"acme:{secrets.token_hex(4)}"

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=100)

    outcome = run(sys.executable, "-c", USE, url)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, f"{url}\n", "")
    assert (tmp_path / url.replace(":", "-")).exists(), "opened last, and never closed"
    outcome = run(*VNETCARD, "info", url)
    assert outcome.returncode == 0, outcome.stderr
    outcome = run(*X86, "--window", "acm:x")
    assert outcome.returncode == 2 and "acme" in outcome.stderr
