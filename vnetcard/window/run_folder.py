"""The folder of the sockets of one user's agents: control sockets, and those of ``memfd:NAME``."""

from __future__ import annotations

import os
from pathlib import Path

from vnetcard.window.trust import ALONE, Sharing, check_folders, walk


def folder() -> Path:
    """$VNETCARD_RUN_DIR, or /run/vnetcard for root, or $XDG_RUNTIME_DIR/vnetcard, or /tmp/vnetcard-UID."""
    if named := os.environ.get("VNETCARD_RUN_DIR"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/run/vnetcard")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "vnetcard"
    return Path(f"/tmp/vnetcard-{os.geteuid()}")


def trusted_in(path: Path) -> Sharing:
    """Whom a client may believe that reads the sockets in ``path``: its own user, root, and the folder's owner.

    The owner counts where only root or this user could have given the folder to it, as /run/vnetcard to a service's
    user: not in /tmp.  Raises WindowUnavailable (code ``window-untrusted``) for a folder that another user may have
    made or may change, and FileNotFoundError.
    """
    owner = path.stat().st_uid
    sharing = ALONE if owner in ALONE.users or walk(path.absolute().parent, str(path), ALONE) else Sharing(owner=owner)
    check_folders(path / "socket", str(path), sharing)
    return sharing
