"""``file:PATH[+SIZE]``: a mapped file, such as the backing file of a virtual machine's memory; mode 0600."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import WindowUnavailable
from vnetcard.hw.mapping import code_of
from vnetcard.window.contract import Request
from vnetcard.window.file_backed import BackedWindow, Opener, open_backed, read_backed


def open_window(request: Request) -> BackedWindow:
    """Open or create the file; see ``vnetcard.window.open_window``."""
    path = Path(request.place)
    url = f"file:{path}"

    def open_file() -> int:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except OSError as error:
            raise WindowUnavailable(
                f"{url}: cannot open {path} ({error.strerror}): name one that you may write, in a folder that exists",
                code=code_of(error),
            ) from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise WindowUnavailable(f"{url}: {path} is not a regular file", code=ErrorCode.BAD_URL)
        return fd

    def remove() -> None:
        path.unlink(missing_ok=True)

    return open_backed(Opener(url, path, open_file, remove, blank_is_ours=False), request)


def read_window(place: str, limit: int | None) -> bytes:
    """A copy of the file's first bytes."""
    return read_backed(Path(place), f"file:{place}", limit)
