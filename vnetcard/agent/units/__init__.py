"""Installation and removal of the system's files for an agent: service, configuration, udev rule, link file, user.

The first line of a file marks it as installed by this module; a file without the mark is neither replaced nor removed.
A configuration is written only where there is none, and removed only while it is unchanged.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError

MARK = "# Installed by `vnetcard install-units`"
SIDES = {"x86": "vnetcard.x86_side", "fpga": "vnetcard.fpga_side"}
HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")
"""Folders that a service with ProtectHome and PrivateTmp cannot read."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A file to be installed at ``path``.

    ``keep``: a configuration, which the administrator edits.  ``others``: the other services that need the file.
    """

    path: Path
    contents: str
    keep: bool = False
    others: tuple[Path, ...] = ()


def units(side: str, prefix: Path, programs: Path) -> list[Unit]:
    """The files of the agent of ``side`` below ``prefix``, for programs in the folder ``programs``."""
    etc, own = prefix / "etc", files(SIDES[side])
    others = tuple(etc / f"systemd/system/vnetcard-{other}.service" for other in SIDES if other != side)
    service = own.joinpath(f"vnetcard-{side}.service").read_text(encoding="utf-8")
    configuration = own.joinpath(f"vnetcard-{side}.toml").read_text(encoding="utf-8")
    return [
        Unit(etc / f"systemd/system/vnetcard-{side}.service", service.replace("@bin@", str(programs))),
        Unit(etc / f"vnetcard/{side}.toml", configuration, keep=True),
        Unit(etc / "udev/rules.d/60-vnetcard.rules", _shared("60-vnetcard.rules"), others=others),
        Unit(etc / "systemd/network/70-vnetcard.link", _shared("70-vnetcard.link"), others=others),
        Unit(etc / "sysusers.d/vnetcard.conf", _shared("vnetcard.conf"), others=others),
    ]


def _shared(name: str) -> str:
    return files("vnetcard.agent.units").joinpath(name).read_text(encoding="utf-8")


def programs(side: str) -> Path:
    """The folder of the agent's installed program; ConfigError when it is not installed."""
    name = f"vnetcard-{side}"
    own = Path(sysconfig.get_path("scripts"))
    if (own / name).exists():
        return own
    found = shutil.which(name)
    if found is None:
        raise ConfigError(f"{name} is not installed: `pip install` vnetcard where the service can read it")
    return Path(found).parent


def install(wanted: list[Unit], *, dry_run: bool = False) -> Iterator[str]:
    """Write the files; yields a line for each.  ConfigError, before any is written, for a file without our mark."""
    for unit in wanted:
        if not unit.keep and unit.path.exists() and not _is_ours(unit.path):
            raise ConfigError(f"{unit.path} was not installed by us: move it away first", code=ErrorCode.FOREIGN_FILE)
    for unit in wanted:
        if unit.keep and unit.path.exists():
            yield f"keep     {unit.path}"
            continue
        yield f"install  {unit.path}"
        if not dry_run:
            _write(unit)


def uninstall(wanted: list[Unit], *, dry_run: bool = False) -> Iterator[str]:
    """Remove the files, and our folders once they are empty; yields a line for each file that exists."""
    for unit in wanted:
        if not unit.path.exists():
            continue
        if _text(unit.path) != unit.contents if unit.keep else not _is_ours(unit.path):
            yield f"keep     {unit.path}: it was changed"
            continue
        if users := [other.name for other in unit.others if other.exists()]:
            yield f"keep     {unit.path}: {users[0]} needs it"
            continue
        yield f"remove   {unit.path}"
        if not dry_run:
            _remove(unit)


def _is_ours(path: Path) -> bool:
    return _text(path).startswith(MARK)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"cannot read {path} ({error.strerror})") from error


def _write(unit: Unit) -> None:
    """Replace the file atomically: a reader gets the old contents or the new ones."""
    try:
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=unit.path.parent, encoding="utf-8", delete=False) as file:
            try:
                file.write(unit.contents)
                os.fchmod(file.fileno(), 0o644)
                os.replace(file.name, unit.path)  # noqa: PTH105 - one of the two is a str
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise ConfigError(f"cannot write {unit.path} ({error.strerror}): run as root, or name a --prefix") from error


def _remove(unit: Unit) -> None:
    try:
        unit.path.unlink()
    except OSError as error:
        raise ConfigError(f"cannot remove {unit.path} ({error.strerror}): run as root") from error
    if unit.path.parent.name == "vnetcard":
        with contextlib.suppress(OSError):  # not empty: it holds other configurations
            unit.path.parent.rmdir()
