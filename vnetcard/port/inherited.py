"""``fd:N[?frames=ethernet]``: a message socket that the parent process has opened; each message is one packet."""

from __future__ import annotations

import errno
import os
import socket
import stat

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port.plain import PlainPort, need_one_queue, split_frames


class InheritedPort(PlainPort):
    """A copy of descriptor ``number``; see ``vnetcard.port.Port`` for the contract."""

    def __init__(self, number: int, frames: int) -> None:
        self.frames = frames
        self.name = str(number)
        self._fd = os.dup(number)
        os.set_blocking(self._fd, False)

    @property
    def fds(self) -> tuple[int, ...]:
        return (self._fd,)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> InheritedPort:
    """Take descriptor ``name``, a number; ``netns`` and ``persist`` have no effect.  ConfigError, PortUnavailable."""
    del netns, persist
    need_one_queue(f"fd:{name}", queues)
    text, frames = split_frames(name)
    if not text.isdecimal() or not text.isascii() or len(text) > 7 or int(text) < 3:
        raise ConfigError(f"port fd:{name}: expected the number of an inherited descriptor, 3 or more")
    number = int(text)
    try:
        mode = os.fstat(number).st_mode
        kind = socket.socket(fileno=os.dup(number)) if stat.S_ISSOCK(mode) else None
    except OSError as error:
        words = "the parent process passed no such descriptor" if error.errno == errno.EBADF else error.strerror
        raise PortUnavailable(f"port fd:{name}: {words}", code=ErrorCode.PORT_UNAVAILABLE) from error
    if kind is None:
        raise PortUnavailable(f"port fd:{name}: not a socket", code=ErrorCode.PORT_UNAVAILABLE)
    with kind:
        if kind.type not in (socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
            raise PortUnavailable(
                f"port fd:{name}: a stream has no message boundaries; pass a SOCK_SEQPACKET or SOCK_DGRAM socket",
                code=ErrorCode.PORT_UNAVAILABLE,
            )
    return InheritedPort(number, frames)
