"""An ARM64 system made of Debian's packages, and its Python under qemu-user with this project installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.harness.build_cache import TEST_BUILDS, build_cache  # noqa: F401 - build_cache for this folder
from tests.harness.needs import need, need_arm64_emulator, skip_or_fail
from vnetcard.errors import ConfigError
from vnetcard.sim.build_cache import digest
from vnetcard.sim.guest.packages import Sysroot, sysroot
from vnetcard.sim.guest.wheel import guest_wheel

ROOT = Path(__file__).resolve().parents[2]
PINNED = ROOT / "requirements/test.txt"
TOOLS = ("pytest", "pytest-timeout", "hypothesis", "posix-ipc", "pyroute2")
"""What the tests need under the ARM64 Python."""
BELOW = ("iniconfig", "packaging", "pluggy", "pygments", "sortedcontainers")
"""What TOOLS need."""


@pytest.fixture(scope="session")
def arm64() -> Sysroot:
    """The ARM64 system; fetched once."""
    need("aarch64-linux-gnu-gcc")
    try:
        return sysroot(sys.stderr.write)
    except ConfigError as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="session")
def bare_arm64_python(arm64: Sysroot) -> list[str]:
    """The command that runs its Python on this machine; nothing is installed there."""
    return [need_arm64_emulator(), "-L", str(arm64.root), f"{arm64.root}/usr/bin/python{arm64.python}"]


@pytest.fixture(scope="session")
def arm64_python(arm64: Sysroot, bare_arm64_python: list[str]) -> list[str]:
    """The same with this project's wheel and TOOLS."""
    tools = TEST_BUILDS.get(
        "tools", digest(arm64.key, PINNED.read_bytes(), *TOOLS), partial(_install, arm64), sys.stderr.write
    )
    wheel = guest_wheel(sys.stderr.write, checked=True)
    ours = TEST_BUILDS.get(
        "ours", wheel.parent.name, lambda folder: shutil.unpack_archive(wheel, folder, "zip"), sys.stderr.write
    )
    return [need("env"), f"PYTHONPATH={ours}:{tools}", "PYTHONDONTWRITEBYTECODE=1", *bare_arm64_python, "-P"]


def _pinned(names: Sequence[str]) -> str:
    """The lines of PINNED for ``names``: versions, with the hashes of their files."""
    blocks = re.split(r"\n(?=\S)", PINNED.read_text(encoding="utf-8"))
    return "\n".join(block for block in blocks if block.partition("==")[0] in names)


def _install(arm64: Sysroot, folder: Path) -> None:
    version = [f"--python-version={arm64.python}", "--implementation=cp", "--only-binary=:all:"]
    platforms = [f"--platform={name}_aarch64" for name in ("linux", "manylinux2014", "manylinux_2_28")]
    command = [sys.executable, "-m", "pip", "-q", "install", "--target", str(folder), "--no-deps", "--require-hashes"]
    with tempfile.NamedTemporaryFile("w") as wanted:
        wanted.write(_pinned((*TOOLS, *BELOW)))
        wanted.flush()
        words = ["-r", wanted.name, *version, *platforms]
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
