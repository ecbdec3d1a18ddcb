"""What Xilinx's stock XDMA driver demands of a read or write, checked on the system call itself.

From its source (linux-kernel/xdma/cdev_sgdma.c, 2020 to 2026): ``read``, ``write``, ``pread`` and ``pwrite`` are
served; vectored calls take an asynchronous path that ignores the file's offset and returns -EIOCBQUEUED, on which the
kernel stops (``kernel BUG at fs/read_write.c``).  A buffer that is not aligned as the card's address is gets EINVAL
(``check_transfer_align``; up to 64 bytes, as the core was configured).
"""

from __future__ import annotations

import errno
import platform
from pathlib import Path
from typing import Final

ADDRESS_ALIGN: Final = 64
"""The largest that the core can be configured to, in bytes."""
_PLAIN: Final = {
    "x86_64": {0: "read", 1: "write", 17: "pread64", 18: "pwrite64"},
    "aarch64": {63: "read", 64: "write", 67: "pread64", 68: "pwrite64"},
}[platform.machine()]
"""System calls that the driver serves (asm/unistd.h)."""


class XdmaRules:
    """Refuses the calls that crash the driver; ``broken`` is the reason why a host would have crashed."""

    def __init__(self) -> None:
        self.broken: list[str] = []

    def check(self, name: str, thread: int) -> None:
        """The system call in which ``thread`` now waits for the device ``name``; raises OSError."""
        words = Path(f"/proc/{thread}/syscall").read_text().split()
        if not words[0].isdigit():
            return  # the thread has ended meanwhile
        call = _PLAIN.get(int(words[0]))
        if call is None:
            self.broken.append(f"system call {words[0]} on {name}")
            raise OSError(errno.EIO, "the host is dead")
        if self.broken:
            raise OSError(errno.EIO, "the host is dead")
        if call in ("pread64", "pwrite64") and ("h2c" in name or "c2h" in name):
            buffer, position = int(words[2], 16), int(words[4], 16)
            if buffer % ADDRESS_ALIGN != position % ADDRESS_ALIGN:
                raise OSError(errno.EINVAL, "buffer and address differ in alignment")
