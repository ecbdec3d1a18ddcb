"""``memif:PATH[?role=server&id=N&ring=LOG2&buffer=BYTES]``: Ethernet frames of a program, in rings of shared memory.

The program speaks memif 2.0, as VPP, DPDK and libmemif do.  A client makes the memory and connects to PATH again and
again; a server listens there.  The frames are moved by the pumps (_c/vnc_memif.h).
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Final

from vnetcard import _core
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.port import listener
from vnetcard.port.memif_handshake import Options, Shared, as_client, as_server, greet
from vnetcard.port.memif_protocol import Channel
from vnetcard.port.plain import need_one_queue
from vnetcard.port.ring_peer import Left, Refused, Stopped, close_all
from vnetcard.port.ring_port import RingPort

ROLES: Final = ("client", "server")
RANGES: Final = {"id": (0, 0xFFFF_FFFF), "ring": (1, 14), "buffer": (64, 65536)}
"""Least and largest value of the options that are numbers."""


class MemifPort(RingPort):
    """Connects or listens at ``path``; see ``vnetcard.port.ring_port.RingPort``."""

    rings: _core.Memif

    FAULTS = (
        "",
        "an index beyond its ring",
        "a descriptor of an unknown region",
        "a descriptor beyond its region or buffer",
        "a frame without its last descriptor",
        "memory that was cut short",
    )

    def __init__(self, path: Path, role: str, options: Options) -> None:
        """Listen, or begin to connect.  OSError; RuntimeError: no thread can be started."""
        self._options = options
        self._peer = ""
        super().__init__("memif", path, role == "server", _core.Memif, socket.SOCK_SEQPACKET)

    def view(self) -> dict[str, Any]:
        """For ``show port``: role, the peer's name and the slots of both rings, 0 without a peer; ended connections."""
        return {"role": "server" if self.server else "client", "peer": self._peer, **self.ring_view()}

    def serve_peer(self, peer: socket.socket) -> bool:
        channel = Channel(peer, self.stop)
        try:
            shared = (as_server if self.server else as_client)(channel, self._options)
            try:
                self._attach(shared)
                if self.server:
                    greet(channel)
                self.forget_news()
                while not (self.wait(peer) and self._has_left(channel)):
                    pass
                return True
            finally:
                self._detach(shared)
        except Refused as error:
            self.report(str(error))
            channel.disconnect(str(error))
        except OSError as error:
            self.report(f"cannot set up the connection ({error.strerror})")
        except Stopped:
            channel.disconnect("the port is closed")
            raise
        return False

    def _attach(self, shared: Shared) -> None:
        assert shared.receive is not None and shared.send is not None
        self.forget_fault()
        try:
            self.rings.attach(
                tuple(shared.regions),
                receive=shared.receive,
                send=shared.send,
                notify_fd=shared.send_fd,
                buffers=shared.buffers,
            )
        except ValueError as error:
            raise Refused(str(error)) from error
        self._peer = shared.peer
        self.attached(shared.receive_fd, 1 << shared.receive[2], 1 << shared.send[2])

    def _detach(self, shared: Shared) -> None:
        self.detach(shared.receive_fd)
        self._peer = ""
        shared.close()

    def _has_left(self, channel: Channel) -> bool:
        """Whether the peer has closed the connection, once what it sent was taken; Refused: it said something else."""
        try:
            kind, _, fds = channel.receive()
        except Left:
            self.wait_until_drained()
            return True
        close_all(fds)
        raise Refused(f"the peer sent {kind.name} while it was connected")


def split_options(name: str) -> tuple[str, str, Options]:
    """Path, role and other options of PATH[?OPTION=VALUE&...].  ConfigError."""
    path, question, rest = name.partition("?")
    values: dict[str, str] = {}
    for option in rest.split("&") if question else []:
        key, _, value = option.partition("=")
        if key not in ("role", *RANGES) or key in values:
            raise ConfigError(
                f"port option {option!r} is unknown or repeated: expected role=, id=, ring= or buffer=",
                code=ErrorCode.BAD_URL,
            )
        values[key] = value
    role = values.pop("role", "client")
    if role not in ROLES:
        raise ConfigError(f"port option 'role={role}' is unknown: expected role=client or role=server")
    numbers = {key: _number(key, value) for key, value in values.items()}
    buffer = numbers.get("buffer", 2048)
    if buffer % 64:
        raise ConfigError(f"port option 'buffer={buffer}' is no multiple of 64", code=ErrorCode.OUT_OF_RANGE)
    return path, role, Options(numbers.get("id", 0), numbers.get("ring", 10), buffer)


def _number(key: str, value: str) -> int:
    least, most = RANGES[key]
    if not value.isdecimal() or not value.isascii() or len(value) > 10 or not least <= int(value) <= most:
        raise ConfigError(
            f"port option '{key}={value}' is out of range ({least} to {most})", code=ErrorCode.OUT_OF_RANGE
        )
    return int(value)


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> MemifPort:
    """Connect or listen at the path in ``name``; ``netns``, ``persist``: no effect.  ConfigError, PortUnavailable."""
    del netns, persist
    need_one_queue(f"memif:{name}", queues)
    path, role, options = split_options(name)
    try:
        return MemifPort(listener.checked_path(path, f"memif:{name}"), role, options)
    except (OSError, RuntimeError) as error:
        raise listener.unavailable(f"memif:{name}", error) from error
