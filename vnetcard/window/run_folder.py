"""The folder of the sockets of one user's agents: control sockets, and those of ``memfd:NAME``."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """$VNETCARD_RUN_DIR, or /run/vnetcard for root, or $XDG_RUNTIME_DIR/vnetcard, or /tmp/vnetcard-UID."""
    if named := os.environ.get("VNETCARD_RUN_DIR"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/run/vnetcard")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "vnetcard"
    return Path(f"/tmp/vnetcard-{os.geteuid()}")
