"""``Stack``: lwIP on one side of a window, in this process; the C part is in ``hosted/``."""

from __future__ import annotations

import ctypes
import enum
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.window import Window, open_window

TABLE_BYTES: Final = 64 << 10
OPEN_ERRORS: Final = {
    1: "the window is not laid out",
    2: "the window has another wire format",
    3: "the window's superblock is damaged",
    4: "the window's geometry is impossible",
    5: "the MTU is out of range, or too large for the window's rings",
}
"""``enum vnc_side_error``."""
LWIP_ERRORS: Final = {
    -1: "out of memory",
    -3: "timeout",
    -4: "no route",
    -6: "invalid value",
    -8: "address in use",
    -13: "connection aborted",
    -14: "connection reset",
    -15: "connection closed",
}
"""``err_t`` of lwIP."""


class SideState(enum.IntEnum):
    """``enum vnc_side_state``."""

    DOWN = 0
    WAITING = 1
    HANDSHAKE = 2
    UP = 3
    PEER_DEAD = 4
    REFUSED = 5
    PAUSED = 6
    GONE = 7


class PingFigures(ctypes.Structure):
    """``struct vnc_stack_ping``: of a series of echo requests; times in microseconds."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("sent", "received", "damaged", "running")),
        *((name, ctypes.c_uint32) for name in ("last_us", "min_us", "max_us", "last_seq")),
        ("sum_us", ctypes.c_uint64),
    )


class LoadFigures(ctypes.Structure):
    """``struct vnc_stack_load``: of a TCP stream that the stack sends; ``bytes`` are acknowledged ones."""

    _fields_ = (
        ("bytes", ctypes.c_uint64),
        ("ms", ctypes.c_uint32),
        ("running", ctypes.c_uint32),
        ("error", ctypes.c_int32),
    )


class ServiceFigures(ctypes.Structure):
    """``struct vnc_stack_service``: of a port that echoes or discards."""

    _fields_ = (
        ("port", ctypes.c_uint16),
        ("kind", ctypes.c_uint8),
        ("listening", ctypes.c_uint8),
        ("connections", ctypes.c_uint32),
        ("open", ctypes.c_uint32),
        ("tcp_bytes", ctypes.c_uint64),
        ("udp_bytes", ctypes.c_uint64),
    )


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """The link as the stack sees it; ``up``: packets move and something is behind the peer's port."""

    state: SideState
    up: bool
    mtu: int
    epoch: int
    no_pbuf: int
    ring_full: int


class Stack:
    """lwIP on ``side`` of the window at ``url``, a context manager; one per process.

    Nothing moves but in ``poll``, which must be called at least every 0.25 s.
    """

    def __init__(
        self, library: Path, url: str, side: int, *, mtu: int, frames: int = L.FRAMES["IP"], mac: bytes = bytes(6)
    ) -> None:
        """Open the window and start the link; ``mtu`` in bytes, ``frames`` of layout.FRAMES, ``mac`` for Ethernet.

        Raises as ``open_window``, and ConfigError where the window is not plain memory of this machine.
        """
        self._c: Any = ctypes.CDLL(str(library))
        self._c.vnc_stack_table.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint32)
        self._open = False
        self._memory: ctypes.Array[ctypes.c_uint8] | None = None
        self.window: Window = open_window(url, side=side)
        try:
            spans = getattr(self.window, "spans", None)
            if spans is None:
                raise ConfigError(
                    f"window {url}: a stack needs one that is memory of this machine: shm:, file: or memfd:",
                    code=ErrorCode.BAD_URL,
                )
            self._span: memoryview = spans()
            size = self.window.geometry.window_bytes
            self._memory = (ctypes.c_uint8 * size).from_buffer(self._span)
            seed = 1 + secrets.randbits(31)
            error = self._c.vnc_stack_open(self._memory, ctypes.c_uint64(size), side, mtu, frames, seed, mac)
            if error:
                words = OPEN_ERRORS.get(error, f"error {error}")
                raise ConfigError(f"window {url}: {words} (--mtu {mtu})", code=ErrorCode.OUT_OF_RANGE)
            self._open = True
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the link and close the window.  Idempotent."""
        if self._open:
            self._open = False
            self._c.vnc_stack_close()
        self._memory = None
        if hasattr(self, "_span"):
            self._span.release()
        self.window.close()

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self.close()

    def set_address(self, address: IPv4Interface, gateway: IPv4Address | None = None) -> None:
        """The interface's address, with its network, and the gateway of other networks."""
        words = (address.ip, address.netmask, gateway or IPv4Address(0))
        check(self._c.vnc_stack_address(*(str(word).encode() for word in words)), f"address {address}")

    def poll(self, seconds: float, fd: int = -1) -> bool:
        """Run the stack for ``seconds``, less once ``fd`` is readable; whether it is.  WindowUnavailable."""
        ready = bool(self._c.vnc_stack_poll(int(1000 * seconds), fd))
        if why := self.window.vanished():
            raise WindowUnavailable(f"{why}: start the stack again", code=ErrorCode.WINDOW_LOST)
        return ready

    def link(self) -> LinkFigures:
        """The state of the link."""
        words = (ctypes.c_uint32 * 6)()
        self._c.vnc_stack_link(words)
        return LinkFigures(SideState(words[0]), bool(words[1]), *words[2:])

    def table(self, which: str) -> list[list[str]]:
        """The rows of ``netstat`` (protocol, local, remote, state), ``route`` or ``arp``."""
        room = ctypes.create_string_buffer(TABLE_BYTES)
        self._c.vnc_stack_table(which.encode(), room, TABLE_BYTES)
        return [line.split("\t") for line in room.value.decode().splitlines()]

    def start_ping(self, address: IPv4Address, *, size: int, count: int, interval: float, wait: float) -> None:
        """Send ``count`` echo requests of ``size`` bytes every ``interval`` s; the last may take ``wait`` s."""
        numbers = (size, count, int(1000 * interval), int(1000 * wait))
        check(self._c.vnc_stack_start_ping(str(address).encode(), *numbers), f"ping {address}")

    def ping(self) -> PingFigures:
        """The figures of the series that runs or ran last."""
        figures = PingFigures()
        self._c.vnc_stack_ping_result(ctypes.byref(figures))
        return figures

    def serve(self, kind: str, port: int) -> None:
        """Echo or discard (``kind``) what comes to TCP and UDP port ``port``.  ConfigError: the port is in use."""
        check(self._c.vnc_stack_serve(("echo", "discard").index(kind), port), f"{kind} {port}")

    def services(self) -> Iterator[ServiceFigures]:
        """The figures of each port that is served."""
        index, figures = 0, ServiceFigures()
        while self._c.vnc_stack_read_service(index, ctypes.byref(figures)) == 0:
            yield figures
            index, figures = index + 1, ServiceFigures()

    def start_load(self, address: IPv4Address, port: int, seconds: float) -> None:
        """Send a TCP stream of zeros for ``seconds``."""
        check(self._c.vnc_stack_start_load(str(address).encode(), port, int(1000 * seconds)), f"iperf {address}")

    def load(self) -> LoadFigures:
        """The figures of the stream that runs or ran last."""
        figures = LoadFigures()
        self._c.vnc_stack_load_result(ctypes.byref(figures))
        return figures


def check(error: int, what: str) -> None:
    """Raise ConfigError for an error of lwIP."""
    if error:
        raise ConfigError(f"{what}: {LWIP_ERRORS.get(error, f'lwIP error {error}')}", code=ErrorCode.BAD_CONFIG)
