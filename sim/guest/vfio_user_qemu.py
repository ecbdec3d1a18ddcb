"""A QEMU that is a client of vfio-user (10.1 and later): this system's, or else one from Debian's backports.

The latter is unpacked into the cache with its own C library and started by that one's loader: nothing of this system
is changed or used.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.sim.build_cache import Progress
from vnetcard.sim.guest.machines import ARM64, X86_64, Machine
from vnetcard.sim.guest.packages import program_of

DEVICE: Final = "vfio-user-pci"
RELEASE: Final = "trixie-backports"
"""Debian 13 itself has QEMU 10.0."""
_HERE: Final = {machine.name: machine for machine in (ARM64, X86_64)}
_PROBE_LIMIT: Final = 60.0
"""Seconds for QEMU to list the properties of a device."""


def find(progress: Progress, machine: Machine = X86_64) -> str:
    """The program, which emulates ``machine``; ConfigError says what to install."""
    own = shutil.which(machine.qemu)
    if own is not None and _has_device(own):
        return own
    try:
        return str(_fetched(progress, machine))
    except ConfigError as error:
        found = "QEMU" if own is None else _version(own)
        lack = "is missing" if own is None else f"has no {DEVICE}"
        raise ConfigError(
            f"{found} {lack}: install {machine.package} 10.1 or later ({error})", code=ErrorCode.TOOL_MISSING
        ) from error


def _fetched(progress: Progress, machine: Machine) -> Path:
    here = _HERE.get(platform.machine())
    if here is None:
        raise ConfigError(f"for {platform.machine()} none is fetched")
    root = program_of(machine.package, RELEASE, progress, here)
    script = root / "run" / machine.qemu
    if not script.exists():
        script.parent.mkdir(exist_ok=True)
        new = script.with_suffix(".new")
        new.write_text(_script(root, here, machine))
        new.chmod(0o755)
        new.rename(script)
    if not _has_device(str(script)):
        raise ConfigError(f"that of Debian's {RELEASE} does not start here")
    return script


def _script(root: Path, here: Machine, machine: Machine) -> str:
    """A shell script that becomes the unpacked QEMU."""
    quoted = "'" + str(root).replace("'", "'\\''") + "'"
    return (
        f"#!/bin/sh\nr={quoted}\n"
        f'exec "$r/usr/{here.loader}" --library-path "$r/usr/lib/{here.triplet}" "$r/usr/bin/{machine.qemu}" '
        '-L "$r/usr/share/qemu" -L "$r/usr/share/seabios" "$@"\n'
    )


def _has_device(program: str) -> bool:
    try:
        done = subprocess.run(
            [program, "-device", f"{DEVICE},help"], capture_output=True, text=True, check=False, timeout=_PROBE_LIMIT
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and DEVICE in done.stdout


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return " ".join(["QEMU", *words[3:4]])
