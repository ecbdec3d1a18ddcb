"""A vhost-user front-end with a virtio driver, message by message and word by word, for tests of the back-end.

Its memory is one file with two regions: the first has both queues and what the driver sends, the second its room for
what it receives.  Neither region is at the same place for the driver, for the front-end's process, and in the file.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from typing import Final

from tests.harness.restarts import until
from vnetcard.port import open_port
from vnetcard.port.vhost_backend import RECEIVE, TRANSMIT
from vnetcard.port.vhost_protocol import (
    EVENT_IDX,
    FEATURES,
    HEADER,
    IS_REPLY,
    NEED_REPLY,
    NO_FD,
    REPLY_ACK,
    U64,
    VERSION,
    RegionInfo,
    Request,
    VringAddr,
    VringState,
)
from vnetcard.port.vhost_user import VhostUserPort

LIMIT: Final = 30.0
SIZE, BUFFER = 8, 256
"""Chains of a queue, and bytes of a buffer, unless a test wants others."""
AVAIL, USED, QUEUE = 0x400, 0x500, 0x800
"""Where in a queue's part of the memory the driver's and the device's rings are; bytes of that part."""
BUFFERS: Final = 0x2000
TABLES: Final = 0x1000
"""Where the tables of indirect descriptors are."""
GUEST, USER = (0x10_0000, 0x4_0000_0000), (0x7F11_0000_0000, 0x7F22_0000_0000)
"""Of both regions: the address for the driver, and for the front-end's process."""
NEXT, WRITE, INDIRECT = 1, 2, 4
HEADER_BYTES: Final = 12
PLAIN: Final = FEATURES & ~(1 << EVENT_IDX)
"""What a driver takes unless a test wants something else."""
VNET: Final = bytes(10)
"""The part of a header that the port passes on."""


class FrontEnd:
    """A front-end that keeps the rules unless a test makes it break one."""

    def __init__(self, peer: socket.socket, *, size: int = SIZE, buffer: int = BUFFER) -> None:
        self.socket = peer
        peer.settimeout(LIMIT)
        self.size, self.buffer = size, buffer
        self.half = BUFFERS + size * buffer
        self.bytes = self.half + size * buffer
        self.fd = os.memfd_create("front-end", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, self.bytes)
        self.memory = mmap.mmap(self.fd, self.bytes)
        self._words = memoryview(self.memory).cast("H")
        self.kicks = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.calls = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.features = PLAIN
        self.begin_queues()

    @classmethod
    def connected_to(cls, path: str, *, size: int = SIZE, buffer: int = BUFFER) -> FrontEnd:
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(path)
        return cls(peer, size=size, buffer=buffer)

    def close(self) -> None:
        self.socket.close()
        self._words.release()
        self.memory.close()
        for fd in (self.fd, *self.kicks, *self.calls):
            os.close(fd)

    # --- messages ------------------------------------------------------------------------------------

    def send(self, request: int, body: bytes = b"", *fds: int, flags: int = 0) -> None:
        socket.send_fds(self.socket, [HEADER.pack(request, VERSION | flags, len(body)) + body], fds)

    def answer(self, request: int) -> bytes:
        head = self._exactly(HEADER.size)
        number, flags, size = HEADER.unpack(head)
        assert (number, flags) == (request, VERSION | IS_REPLY)
        return self._exactly(size)

    def ask(self, request: int, body: bytes = b"", *fds: int) -> bytes:
        self.send(request, body, *fds)
        return self.answer(request)

    def acknowledged(self, request: int, body: bytes = b"", *fds: int) -> int:
        """0, or what the back-end answers where it is asked for an acknowledgement."""
        self.send(request, body, *fds, flags=NEED_REPLY)
        return int(U64.unpack(self.answer(request))[0])

    def is_closed(self) -> bool:
        """Once the back-end has closed the connection; what it sent before is lost."""
        with contextlib.suppress(ConnectionResetError):
            while self.socket.recv(4096):
                pass
        return True

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            assert part, "the back-end has closed the connection"
            data += part
        return data

    def agree(self, features: int = PLAIN) -> None:
        """Features, and protocol features."""
        self.features = features
        assert U64.unpack(self.ask(Request.GET_FEATURES))[0] == FEATURES
        assert U64.unpack(self.ask(Request.GET_PROTOCOL_FEATURES))[0] == 1 << REPLY_ACK
        self.send(Request.SET_PROTOCOL_FEATURES, U64.pack(1 << REPLY_ACK))
        self.send(Request.SET_OWNER)
        self.send(Request.SET_FEATURES, U64.pack(features))

    def table(self) -> bytes:
        first, second = self.half, self.bytes - self.half
        return (
            struct.pack("<II", 2, 0)
            + RegionInfo.FORMAT.pack(GUEST[0], first, USER[0], 0)
            + RegionInfo.FORMAT.pack(GUEST[1], second, USER[1], first)
        )

    def share(self) -> None:
        """The memory."""
        assert self.acknowledged(Request.SET_MEM_TABLE, self.table(), self.fd, self.fd) == 0

    def addr(self, queue: int) -> bytes:
        at = USER[0] + queue * QUEUE
        return VringAddr.FORMAT.pack(queue, 0, at, at + USED, at + AVAIL, 0)

    def start(self, queue: int) -> None:
        """All that is known of one queue; enabled last."""
        self.send(Request.SET_VRING_CALL, U64.pack(queue), self.calls[queue])
        self.send(Request.SET_VRING_NUM, VringState.FORMAT.pack(queue, self.size))
        self.send(Request.SET_VRING_BASE, VringState.FORMAT.pack(queue, 0))
        self.send(Request.SET_VRING_ADDR, self.addr(queue))
        self.send(Request.SET_VRING_KICK, U64.pack(queue), self.kicks[queue])
        assert self.acknowledged(Request.SET_VRING_ENABLE, VringState.FORMAT.pack(queue, 1)) == 0

    def connect(self, features: int = PLAIN) -> None:
        """All of it, as QEMU and DPDK do."""
        self.agree(features)
        self.share()
        for queue in (RECEIVE, TRANSMIT):
            self.start(queue)

    def stop(self, queue: int) -> int:
        """Stop a queue; its position."""
        index, base = VringState.FORMAT.unpack(self.ask(Request.GET_VRING_BASE, VringState.FORMAT.pack(queue, 0)))
        assert index == queue
        return int(base)

    def no_fd(self, request: int, queue: int) -> None:
        assert self.acknowledged(request, U64.pack(queue | NO_FD)) == 0

    # --- words ---------------------------------------------------------------------------------------

    def load(self, at: int) -> int:
        return self._words[at // 2]

    def store(self, at: int, value: int) -> None:
        """One store of 16 bits."""
        self._words[at // 2] = value & 0xFFFF

    def describe(self, queue: int, number: int, addr: int, length: int, *, flags: int, following: int = 0) -> None:
        struct.pack_into("<QIHH", self.memory, queue * QUEUE + 16 * number, addr, length, flags, following)

    def offer(self, queue: int, head: int) -> None:
        """Make the chain of ``head`` available."""
        ring = queue * QUEUE + AVAIL
        self.store(ring + 4 + 2 * (self.offered[queue] % self.size), head)
        self.offered[queue] += 1
        self.store(ring + 2, self.offered[queue])

    def used(self, queue: int) -> int:
        """How many chains the device has used that the driver has not taken yet."""
        return (self.load(queue * QUEUE + USED + 2) - self.taken[queue]) & 0xFFFF

    def take(self, queue: int) -> tuple[int, int]:
        """The head of the next used chain, and the bytes in it."""
        at = queue * QUEUE + USED + 4 + 8 * (self.taken[queue] % self.size)
        self.taken[queue] += 1
        head, length = struct.unpack_from("<II", self.memory, at)
        return head, length

    # --- the driver ----------------------------------------------------------------------------------

    def begin_queues(self) -> None:
        """Both queues as after a reset; all room is available to the device."""
        self.offered, self.taken = [0, 0], [0, 0]
        self._next, self._in_flight = 0, list[int]()
        self.memory[:BUFFERS] = bytes(BUFFERS)
        for number in range(self.size):
            self.describe(RECEIVE, number, GUEST[1] + number * self.buffer, self.buffer, flags=WRITE)
            self.offer(RECEIVE, number)

    def write(self, frame: bytes, *, header: bytes = bytes(HEADER_BYTES), indirect: bool = False) -> None:
        """Send a frame, in as many buffers as it takes; BlockingIOError while too few are free."""
        data = header + frame
        parts = [data[at : at + self.buffer] for at in range(0, len(data), self.buffer)]
        assert len(parts) <= self.size
        self._reap()
        if sum(self._in_flight) + len(parts) > self.size:
            raise BlockingIOError
        slots = [(self._next + n) % self.size for n in range(len(parts))]
        self._next = (self._next + len(parts)) % self.size
        self._in_flight.append(len(parts))
        table = TABLES + 16 * self.size * slots[0] if indirect else TRANSMIT * QUEUE
        for number, part in enumerate(parts):
            at = BUFFERS + slots[number] * self.buffer
            self.memory[at : at + len(part)] = part
            more = number + 1 < len(parts)
            own = number if indirect else slots[number]
            following = (number + 1 if indirect else slots[number + 1]) if more else 0
            words = (GUEST[0] + at, len(part), NEXT * more, following)
            struct.pack_into("<QIHH", self.memory, table + 16 * own, *words)
        if indirect:
            self.describe(TRANSMIT, slots[0], GUEST[0] + table, 16 * len(parts), flags=INDIRECT)
        self.offer(TRANSMIT, slots[0])
        self.kick()

    def _reap(self) -> None:
        """Free what the device has used."""
        while self.used(TRANSMIT):
            assert self.take(TRANSMIT)[1] == 0
            del self._in_flight[0]

    def is_sent(self) -> bool:
        """Whether the device has used all that was sent."""
        self._reap()
        return not self._in_flight

    def kick(self) -> None:
        """Notify the device, unless it polls."""
        used = TRANSMIT * QUEUE + USED
        last = (self.offered[TRANSMIT] - 1) & 0xFFFF
        if self.load(used + 4 + 8 * self.size) == last if self.has_event_idx else not self.load(used) & 1:
            os.eventfd_write(self.kicks[TRANSMIT], 1)

    @property
    def has_event_idx(self) -> bool:
        return bool(self.features & 1 << EVENT_IDX)

    def want_interrupt(self, queue: int, *, wanted: bool) -> None:
        """Of the next chain that is used; or of none."""
        ring = queue * QUEUE + AVAIL
        if self.has_event_idx:
            self.store(ring + 4 + 2 * self.size, self.taken[queue] + (0 if wanted else 0x8000))
        else:
            self.store(ring, not wanted)

    def read(self) -> bytes:
        """The next frame, without its header; BlockingIOError where there is none.  Its room is offered again."""
        if not self.used(RECEIVE):
            raise BlockingIOError
        data = self._room_used()
        header = data[:HEADER_BYTES]
        count = int.from_bytes(header[10:12], "little")
        for _ in range(1, count):
            data += self._room_used()
        assert header == bytes(10) + bytes([count, 0])
        return data[HEADER_BYTES:]

    def _room_used(self) -> bytes:
        head, length = self.take(RECEIVE)
        at = self.half + head * self.buffer
        data = self.memory[at : at + length]
        self.offer(RECEIVE, head)
        return data

    def is_interrupted(self, queue: int) -> bool:
        """Whether the driver was interrupted since the last call."""
        if not select.select([self.calls[queue]], [], [], 0)[0]:
            return False
        os.eventfd_read(self.calls[queue])
        return True


# --- a port, and front-ends behind it ----------------------------------------------------------------


@contextlib.contextmanager
def vhost_port() -> Iterator[VhostUserPort]:
    """One that listens."""
    with tempfile.TemporaryDirectory(prefix="vnc-") as folder:
        opened = open_port(f"vhost-user:{folder}/port")
        assert isinstance(opened, VhostUserPort)
        with contextlib.closing(opened):
            yield opened


@contextlib.contextmanager
def front_end_of(port: VhostUserPort) -> Iterator[FrontEnd]:
    with contextlib.closing(FrontEnd.connected_to(port.name)) as front_end:
        yield front_end


def assert_served(port: VhostUserPort) -> None:
    """A front-end that keeps the rules gets its turn, and frames cross."""
    until(lambda: not port.present, "the last one has gone")
    with front_end_of(port) as driver:
        driver.connect()
        assert port.present
        driver.write(bytes(range(256)))
        assert port.rings.read() == VNET + bytes(range(256))
        assert port.rings.write(VNET + b"x" * 300) == 310
        assert driver.read() == b"x" * 300
    port.take_news()


def then(*steps: Callable[[FrontEnd], object]) -> Callable[[FrontEnd], None]:
    """One after the other."""

    def act(driver: FrontEnd) -> None:
        for step in steps:
            step(driver)

    return act
