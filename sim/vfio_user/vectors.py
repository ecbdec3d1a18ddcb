"""The MSI-X of the function: eventfds of the client, masks, and the interrupts that wait for an unmask."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from vnetcard.sim.vfio_user import protocol as P


class Vectors:
    """``count`` interrupts; each descriptor that is given to it is closed by it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._eventfds = [-1] * count
        self._masked = [False] * count
        self._pending = [False] * count
        self.sent = 0
        """Interrupts that were signalled to the client."""

    def apply(self, request: P.IrqSet, fds: Sequence[int]) -> None:
        """Serve SET_IRQS for MSI-X; raises Refused (and takes no descriptor)."""
        if request.start > self.count or request.count > self.count - request.start:
            raise P.Refused(errno.EINVAL, f"interrupts {request.start}+{request.count} of {self.count}")
        if request.data == P.DATA_EVENTFD:
            self._assign(request, fds)
            return
        if fds:
            raise P.Refused(errno.EINVAL, "descriptors without DATA_EVENTFD")
        if request.action == P.ACTION_TRIGGER and request.data == P.DATA_NONE and request.count == 0:
            self.close()
            return
        for n in range(request.count):
            if request.data == P.DATA_NONE or request.bools[n]:
                self._act(request.start + n, request.action)

    def _assign(self, request: P.IrqSet, fds: Sequence[int]) -> None:
        if request.action != P.ACTION_TRIGGER:
            raise P.Refused(errno.ENOTSUP, "an event for a mask")
        if fds and len(fds) != request.count:
            raise P.Refused(errno.EINVAL, f"{len(fds)} descriptors for {request.count} interrupts")
        for n in range(request.count):
            self._replace(request.start + n, fds[n] if fds else -1)

    def _replace(self, vector: int, fd: int) -> None:
        if self._eventfds[vector] >= 0:
            os.close(self._eventfds[vector])
        self._eventfds[vector] = fd
        if fd >= 0:
            os.set_blocking(fd, False)
            if self._pending[vector]:
                self.signal(vector)

    def _act(self, vector: int, action: int) -> None:
        if action == P.ACTION_MASK:
            self._masked[vector] = True
        elif action == P.ACTION_UNMASK:
            self._masked[vector] = False
            if self._pending[vector]:
                self.signal(vector)
        else:
            self.signal(vector)

    def signal(self, vector: int) -> None:
        """Interrupt the client; a vector that is masked, or has no eventfd, becomes pending."""
        fd = self._eventfds[vector]
        self._pending[vector] = self._masked[vector] or fd < 0
        if self._pending[vector]:
            return
        try:
            os.write(fd, (1).to_bytes(8, "little"))
        except OSError:
            return  # no eventfd, or one that is full: the client's own fault, and its loss
        self.sent += 1

    def pending(self) -> bytes:
        """The array of pending bits, in words of 64."""
        bits = sum(1 << n for n, pending in enumerate(self._pending) if pending)
        return bits.to_bytes((self.count + 63) // 64 * 8, "little")

    def close(self) -> None:
        """Switch all of them off, as a reset does.  Idempotent."""
        for n in range(self.count):
            self._replace(n, -1)
            self._masked[n] = self._pending[n] = False
