"""Cells for other Pythons: this machine's, one that uv can fetch, or that of the Debian release that has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.matrix.cell import NotAvailable, Ran, one_line
from tests.matrix.debian import run_in_release
from tests.matrix.quick_part import run_quick_part

RELEASES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "forky"}
"""The release of Debian whose own Python it is."""
UV_LIMIT_S = 600.0
APART = """
set -e
mount -t tmpfs -o mode=1777 apart /dev/shm
names=$(readlink -f /etc/resolv.conf) servers=$(cat /etc/resolv.conf 2>/dev/null || true)
mount -t tmpfs -o mode=755 apart /run
case $names in /run/*) mkdir -p "${names%/*}" && echo "$servers" >"$names" ;; esac  # systemd-resolved keeps it there
mkdir -m 1777 /run/lock
mkdir /run/netns
exec "$@"
"""
"""Not over /run/vnetcard alone: an agent elsewhere that removes that folder takes this mount away with it."""
_PROBE = """
import ensurepip, os, sys, sysconfig
assert "%d.%d" % sys.version_info[:2] == sys.argv[1]
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
print(sys.executable)
"""


def run_with_python(version: str, folder: Path, log: Path) -> Ran:
    """The quick part with Python ``version``; NotAvailable with what was tried."""
    try:
        python = find_python(version, folder / "pythons", log)
    except NotAvailable as missing:
        if version not in RELEASES:
            raise
        with log.open("a") as out:
            out.write(f"{missing}; trying Debian {RELEASES[version]}\n")
        return run_in_release(RELEASES[version], folder, log)
    return run_quick_part(folder / f"python-{version}", log, python=python, enter=apart())


def apart() -> list[str]:
    """The words before a command that, for root, hide from it what other sessions make at the same time.

    The tests check at their end that nothing is left in these folders.
    """
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return []
    return ["unshare", "--mount", "--fork", "--kill-child", "sh", "-c", APART, "sh"]


def find_python(version: str, folder: Path, log: Path) -> str:
    """The path of a Python ``version`` with headers and venv; ``folder`` is where uv may put one."""
    for candidate in _candidates(version):
        if (found := _probe(candidate, version)) is not None:
            return found
    return _from_uv(version, folder, log)


def _candidates(version: str) -> Iterator[str]:
    yield f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True))


def _probe(python: str, version: str) -> str | None:
    """The path of the interpreter that ``python`` starts, if it is complete and of this version."""
    if shutil.which(python) is None:
        return None
    done = subprocess.run([python, "-I", "-c", _PROBE, version], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _from_uv(version: str, folder: Path, log: Path) -> str:
    """A Python that uv, itself from PyPI, installs below ``folder``; NotAvailable with its last line."""
    tools = folder / "uv"
    pip = [str(tools / "bin/python"), "-m", "pip", "-q", "install", "--disable-pip-version-check", "uv"]
    uv = [str(tools / "bin/uv"), "python", "install", "--install-dir", str(folder), version]
    for command in ([sys.executable, "-m", "venv", str(tools)], pip, uv):
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=UV_LIMIT_S, check=False
        )
        with log.open("a") as out:
            out.write(done.stdout + done.stderr)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise NotAvailable(
                f"no Python {version} with headers and venv here, and uv installs none: {one_line(last)}"
            )
    for path in sorted(folder.glob(f"cpython-{version}.*/bin/python{version}")):
        if (found := _probe(str(path), version)) is not None:
            return found
    raise NotAvailable(f"no Python {version} with headers and venv here, and uv's is incomplete")
