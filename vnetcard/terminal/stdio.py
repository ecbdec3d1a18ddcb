"""Standard descriptors of a program that was started with some of them closed."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path


def open_missing_descriptors() -> None:
    """Open /dev/null as each of the descriptors 0 to 2 that is closed.

    A device or window that is opened later would get the free number, and what is written to stderr would go into it.
    To be called before anything is opened.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno != errno.EBADF:
                continue
            null = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
    if sys.stdout is None:  # so Python left it
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process runs
