"""The folder of the sockets of one user's agents: control sockets, and those of ``memfd:NAME``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.window.trust import ALONE, Sharing, check_folders, user_name, walk

T = TypeVar("T")
OF_ROOT: Final = Path("/run/vnetcard")
TRIES: Final = 10
"""Attempts to use the folder while other agents, which end, remove it."""


def folder() -> Path:
    """$VNETCARD_RUN_DIR, or /run/vnetcard for root, or $XDG_RUNTIME_DIR/vnetcard, or /tmp/vnetcard-UID."""
    if named := os.environ.get("VNETCARD_RUN_DIR"):
        return Path(named)
    if os.geteuid() == 0:
        return OF_ROOT
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "vnetcard"
    return Path(f"/tmp/vnetcard-{os.geteuid()}")


def retry(attempt: Callable[[], T]) -> T:
    """``attempt()``, again where FileNotFoundError shows that the last agent has removed the folder."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(FileNotFoundError):
            return attempt()
    return attempt()


def prepare(uid: int, gid: int) -> bool:
    """As root: make the folder for the agents of user ``uid`` if it is missing; whether it was made.

    An empty /run/vnetcard changes its owner, since an agent that is not root could not remove it.  Raises ConfigError
    where the folder is another user's, and OSError.
    """
    return retry(lambda: _prepare(folder(), uid, gid))


def _prepare(path: Path, uid: int, gid: int) -> bool:
    try:
        path.mkdir(mode=0o700, parents=True)
        made = True
    except FileExistsError:
        made = False
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        owner = os.fstat(fd).st_uid
        if owner == uid:
            return made
        if made or (path == OF_ROOT and not any(path.iterdir())):
            os.fchown(fd, uid, gid)
            return made
    finally:
        os.close(fd)
    raise ConfigError(
        f"control socket: {path} belongs to {user_name(owner)}, whose agents may run; set VNETCARD_RUN_DIR",
        code=ErrorCode.CONTROL_SOCKET,
    )


def take_back() -> None:
    """As root: an empty /run/vnetcard that the agent of another user has left is root's again; OSError, ConfigError."""
    if folder() == OF_ROOT and OF_ROOT.exists():
        prepare(0, 0)


def trusted_in(path: Path) -> Sharing:
    """Whom a client may believe that reads the sockets in ``path``: its own user, root, and the folder's owner.

    The owner counts where only root or this user could have given the folder to it, as /run/vnetcard to a service's
    user: not in /tmp.  Raises WindowUnavailable (code ``window-untrusted``) for a folder that another user may have
    made or may change, and FileNotFoundError for one that is missing or was removed meanwhile.
    """
    owner = path.stat().st_uid
    sharing = ALONE if owner in ALONE.users or walk(path.absolute().parent, str(path), ALONE) else Sharing(owner=owner)
    check_folders(path / "socket", str(path), sharing)
    return sharing
