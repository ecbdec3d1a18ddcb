"""``vhost-user:PATH[?role=client]``: Ethernet frames of a virtio driver, in its queues in shared memory.

The port is the back-end, the device: QEMU gives it the virtio network card of a guest, DPDK's virtio_user is a driver
without a guest.  By default it listens at PATH and the front-end connects; a client connects to a front-end that
listens there, again and again.  The frames are moved by the pumps (_c/vnc_vhost.h).
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any, Final

from vnetcard import _core
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.port import listener
from vnetcard.port.plain import need_one_queue
from vnetcard.port.ring_peer import Brake, Left, Refused
from vnetcard.port.ring_port import RingPort
from vnetcard.port.vhost_backend import Backend
from vnetcard.port.vhost_protocol import NEED_REPLY, REPLY_ACK, U64, Channel, Message

ROLES: Final = ("server", "client")
MESSAGES_PER_SECOND: Final = 100
"""Of a front-end; a connection begins with about thirty."""


class VhostUserPort(RingPort):
    """Listens or connects at ``path``; see ``vnetcard.port.ring_port.RingPort``."""

    rings: _core.Vhost

    vnet = True
    FAULTS = (
        "",
        "an index beyond its queue",
        "a descriptor outside its memory",
        "a descriptor beyond the end of its memory",
        "a chain of descriptors that is impossible",
        "memory that was cut short",
    )

    def __init__(self, path: Path, role: str) -> None:
        """Listen, or begin to connect.  OSError; RuntimeError: no thread can be started."""
        self._features: list[str] = []
        super().__init__("vhost-user", path, role == "server", _core.Vhost, socket.SOCK_STREAM)

    def view(self) -> dict[str, Any]:
        """For ``show port``: role, features agreed on, chains of both queues, 0 without a driver; ended connections."""
        return {
            "role": "server" if self.server else "client",
            "features": self._features if self.present else [],
            **self.ring_view(),
        }

    def serve_peer(self, peer: socket.socket) -> bool:
        channel, brake = Channel(peer, self.stop), Brake(MESSAGES_PER_SECOND, self.stop)
        with contextlib.closing(Backend(self)) as backend:
            try:
                while True:
                    if self.wait(peer):
                        brake.step()
                        self._carry_out(channel, backend, channel.receive())
            except Left:
                self.wait_until_drained()
                return True
            except Refused as error:
                self.report(str(error))
            except OSError as error:
                self.report(f"cannot carry out what the front-end asks for ({error.strerror})")
        return False

    def _carry_out(self, channel: Channel, backend: Backend, message: Message) -> None:
        try:
            answer = backend.handle(message)
        except (Refused, OSError):
            if message.flags & NEED_REPLY and backend.protocol_features & 1 << REPLY_ACK:
                with contextlib.suppress(Refused):
                    channel.answer(message, U64.pack(1))
            raise
        if answer is not None:
            channel.answer(message, answer)
        self._features = backend.feature_names()
        if self.present:
            self.forget_news()


def split_options(name: str) -> tuple[str, str]:
    """Path and role of PATH[?role=ROLE].  ConfigError."""
    path, question, rest = name.partition("?")
    if not question:
        return path, ROLES[0]
    option, _, role = rest.partition("=")
    if option != "role":
        raise ConfigError(f"port option {rest!r} is unknown: expected role=", code=ErrorCode.BAD_URL)
    if role not in ROLES:
        raise ConfigError(f"port option 'role={role}' is unknown: expected role=server or role=client")
    return path, role


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> VhostUserPort:
    """Listen or connect at the path in ``name``; ``netns``, ``persist``: no effect.  ConfigError, PortUnavailable."""
    del netns, persist
    need_one_queue(f"vhost-user:{name}", queues)
    path, role = split_options(name)
    try:
        return VhostUserPort(listener.checked_path(path, f"vhost-user:{name}"), role)
    except (OSError, RuntimeError) as error:
        raise listener.unavailable(f"vhost-user:{name}", error) from error
