"""``acme:NAME[+SIZE]``: a window in the file ``acme-NAME`` of $ACME_MEMORY (default: /dev/shm).

Both sides map the file.  A kind for a device would map the device's memory instead; the contract is
``vnetcard.window.contract.Window``.
"""

from __future__ import annotations

import os
from pathlib import Path

from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.window.contract import Request, Window
from vnetcard.window.creation import Opener
from vnetcard.window.file_backed import open_backed, read_backed
from vnetcard.window.trust import ALONE, open_or_create


def open_window(request: Request) -> Window:
    """Open or create the window; raises as ``vnetcard.open_window``."""
    url, path = f"acme:{request.place}", _path(request.place)

    def open_file() -> int:
        try:
            return open_or_create(path, ALONE)
        except OSError as error:
            raise WindowUnavailable(f"{url}: cannot open {path} ({error.strerror}): check ACME_MEMORY") from error

    def remove() -> None:
        path.unlink(missing_ok=True)

    return open_backed(Opener(url, path, open_file, remove, blank_is_ours=True), request)


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the window's first ``limit`` bytes (default: all)."""
    return read_backed(_path(place), f"acme:{place}", limit)


def _path(name: str) -> Path:
    if "/" in name:
        raise ConfigError(f"invalid window URL acme:{name}: expected a name without '/'")
    return Path(os.environ.get("ACME_MEMORY", "/dev/shm")) / f"acme-{name}"
