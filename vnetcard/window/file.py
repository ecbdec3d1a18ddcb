"""``file:PATH[?OPTIONS][+SIZE]``: a mapped file, such as the memory of a virtual machine's device; mode 0600.

``owner=USER`` and ``group=GROUP`` let others share it (``trust.py``).
"""

from __future__ import annotations

import errno
from pathlib import Path

from vnetcard.errors import WindowUnavailable
from vnetcard.hw.mapping import code_of
from vnetcard.window.contract import Request
from vnetcard.window.creation import Opener
from vnetcard.window.file_backed import BackedWindow, open_backed, read_backed
from vnetcard.window.trust import bare_place, open_or_create, refusal, split_sharing


def open_window(request: Request) -> BackedWindow:
    """Open or create the file; see ``vnetcard.window.open_window``."""
    place, sharing = split_sharing(request.place, f"file:{request.place}")
    path = Path(place)
    url = f"file:{path}"

    def open_file() -> int:
        try:
            return open_or_create(path, sharing)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise refusal(url, f"{path} is a symbolic link: name the file itself") from error
            raise WindowUnavailable(
                f"{url}: cannot open {path} ({error.strerror}): name one that you may write, in a folder that exists",
                code=code_of(error),
            ) from error

    def remove() -> None:
        path.unlink(missing_ok=True)

    return open_backed(Opener(url, path, open_file, remove, blank_is_ours=False, sharing=sharing), request)


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the file's first bytes."""
    return read_backed(Path(bare_place(place)), f"file:{place}", limit)
