"""``check:NAME[+SIZE]``: POSIX shared memory that behaves as badly as device memory may; for tests.

On both sides only the accesses of ``_c/vnc_access.h`` get through (anything else ends the process), stores wait and
leave in any order until a barrier, and wake no sleeper.  It is slow, and serves to find mistakes only; see
``_c/vnc_checked.h``.
"""

from __future__ import annotations

from vnetcard import _core
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import WindowUnavailable
from vnetcard.window.contract import Request
from vnetcard.window.file_backed import BackedWindow, open_backed, read_backed
from vnetcard.window.shm import object_path, opener


def open_window(request: Request) -> BackedWindow:
    """Open or create the object; see ``vnetcard.window.open_window``."""
    if not _core.CHECKED_MEMORY:
        raise WindowUnavailable(
            f"check:{request.place}: this build has no checked memory; build the package with VNETCARD_CHECKED=1",
            code=ErrorCode.WINDOW_NOT_BUILT,
        )
    return open_backed(opener(request.place, f"check:{request.place}", checked=True), request)


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the object's first bytes."""
    url = f"check:{place}"
    return read_backed(object_path(place, url), url, limit)
