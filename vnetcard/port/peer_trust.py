"""What the kernel believes of the peer's packets: without a reason to trust it, nothing that configures this machine.

One router advertisement would give this machine a default route, a redirect another gateway; strict rp_filter drops
packets whose source is reached over another interface; without a link-local address the interface does not answer to
everybody.  Source: Linux Documentation/networking/ip-sysctl.rst.  The kernel forgets the IPv6 settings whenever it
removes IPv6 from an interface (MTU below 1280, another namespace), so they are set again.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from vnetcard.errors import PortUnavailable, VnetcardError
from vnetcard.port import netns as ns

SETTINGS: Final = {
    "ipv6/conf/{}/accept_ra": "0",
    "ipv6/conf/{}/accept_redirects": "0",
    "ipv6/conf/{}/addr_gen_mode": "1",
    "ipv4/conf/{}/accept_redirects": "0",
    "ipv4/conf/{}/rp_filter": "1",
}
"""Below /proc/sys/net; ``{}`` is the interface."""
ROOT: Final = Path("/proc/sys/net")


FAMILIES: Final = ("ipv4/conf", "ipv6/conf")
"""The folders below ROOT that a network namespace has for itself."""
_folders: dict[str, dict[str, int]] = {}
"""FAMILIES of namespaces that were entered, by ``netns.identity``: kept open, as a process may lose the permission."""


def distrust(name: str, place: str | int | None) -> list[str]:
    """Apply ``SETTINGS`` to the interface ``name`` of a namespace; those that cannot be set, each with the reason.

    A setting that the kernel does not have (it runs without IPv6) is none.  Idempotent.
    """
    try:
        folders = _open_folders(place)
    except (OSError, VnetcardError) as error:
        return [str(error)]
    failed = []
    for setting, value in SETTINGS.items():
        path = setting.format(name)
        family = next(one for one in FAMILIES if path.startswith(one))
        if family in folders and (why := _set(folders[family], path.removeprefix(f"{family}/"), value)):
            failed.append(f"net/{path} = {value} ({why})")
    return failed


def _open_folders(place: str | int | None) -> dict[str, int]:
    """The folders of the namespace; those from when it could be entered, where that is not permitted any more."""
    identity = ns.identity(place)
    found = {}
    try:
        with ns.inside(place):
            for family in FAMILIES:
                with contextlib.suppress(FileNotFoundError):
                    found[family] = os.open(ROOT / family, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PortUnavailable:
        if identity not in _folders:
            raise
    else:
        for old in _folders.pop(identity, {}).values():
            os.close(old)
        _folders[identity] = found
    return _folders[identity]


def _set(folder: int, path: str, value: str) -> str:
    """Write ``value`` where it is not there yet; why that failed, or ''."""
    try:
        if _read(folder, path).strip() != value:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder), "w") as file:
                file.write(value)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or os.strerror(error.errno or 0)
    return ""


def _read(folder: int, path: str) -> str:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)) as file:
        return file.read()
