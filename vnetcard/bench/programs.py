"""Programs that the bench runs: what is installed, and its own small C programs, compiled at their first use."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.lab import toolchain

SOURCES = Path(__file__).with_name("c")
CORE = Path(__file__).resolve().parents[1] / "_c"
PACKAGES = {
    "gcc": "gcc",
    "g++": "g++",
    "make": "make",
    "perl": "perl",
    "ip": "iproute2",
    "iperf3": "iperf3",
    "ping": "iputils-ping",
    "socat": "socat",
    "dpdk-testpmd": "dpdk dpdk-dev",
    "openvpn": "openvpn",
    "openssl": "openssl",
    "perf": "linux-perf",
}
"""Debian's and Ubuntu's package of a program; ``dpdk-testpmd`` is in ``dpdk-dev`` in Debian 12, else in ``dpdk``."""


def missing(*names: str) -> str:
    """'' when all of ``names`` are installed, else which are not and the package of each."""
    lacking = [name for name in names if shutil.which(name) is None]
    if not lacking:
        return ""
    packages = " ".join(dict.fromkeys(PACKAGES[name] for name in lacking))
    return f"{', '.join(lacking)} not installed (Debian, Ubuntu: apt-get install {packages})"


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="vnetcard-bench-")  # removed when this process ends


@functools.cache
def compiled(name: str, program_name: str = "", flags: Sequence[str] = ()) -> Path:
    """The program compiled from ``c/NAME.c``; ConfigError with the compiler's first message when that fails."""
    if why := missing("gcc"):
        raise ConfigError(f"{name}.c cannot be compiled: {why}", code=ErrorCode.TOOL_MISSING)
    program = Path(_folder().name, program_name or name)
    command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", f"-I{CORE}", "-pthread", "-o", str(program)]
    command += [str(SOURCES / f"{name}.c"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, env=toolchain.environment(), check=False)
    if done.returncode:
        raise ConfigError(f"{name}.c cannot be compiled: {(done.stderr.strip().splitlines() or ['?'])[0]}")
    return program
