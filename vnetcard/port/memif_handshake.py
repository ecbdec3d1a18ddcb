"""How the two programs of a memif agree on memory and rings: ``as_client`` makes them, ``as_server`` takes them."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from dataclasses import astuple, dataclass, field
from typing import Final

from vnetcard.port.memif_protocol import (
    LOG2_MAX,
    MODE_ETHERNET,
    REGIONS_MAX,
    RING_S2M,
    VERSION,
    AddRegion,
    AddRing,
    Channel,
    Hello,
    Init,
    Kind,
)
from vnetcard.port.ring_peer import Refused, close_all, one_of, own_eventfd, text_of

NAME: Final = b"vnetcard"
COOKIE: Final = 0x3E31F20
RING_BYTES, SLOT_BYTES = 128, 16
"""The head of a ring, and each of its slots."""
ALIGN: Final = 64
REGION_MAX: Final = 4 << 30
"""Bytes of a region: offsets in it have 32 bits."""
SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

Ring = tuple[int, int, int]
"""Region, offset in bytes, and the binary logarithm of the number of slots."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the URL of a port asks for; ``log2`` and ``buffer`` (bytes) are the client's."""

    number: int = 0
    log2: int = 10
    buffer: int = 2048


@dataclass(slots=True)
class Shared:
    """What a connection consists of: mapped regions, the two rings, their eventfds; ``close`` gives it up."""

    regions: list[mmap.mmap] = field(default_factory=list)
    receive: Ring | None = None
    send: Ring | None = None
    receive_fd: int = -1
    send_fd: int = -1
    buffers: tuple[int, int, int] | None = None
    """Of the client: where the buffers of ``receive`` and ``send`` start, and the bytes of one."""
    peer: str = ""
    """What the other program calls itself."""

    def close(self) -> None:
        """Unmap and close everything.  Idempotent."""
        for region in self.regions:
            region.close()
        self.regions.clear()
        close_all([fd for fd in (self.receive_fd, self.send_fd) if fd >= 0])
        self.receive_fd = self.send_fd = -1


# --- the client --------------------------------------------------------------------------------------


def as_client(channel: Channel, options: Options) -> Shared:
    """Make memory and rings, and give them to the server.  Refused, Stopped, OSError."""
    hello = Hello(*Hello.FORMAT.unpack_from(channel.expect(Kind.HELLO)))
    if not hello.min_version <= VERSION <= hello.max_version:
        raise Refused(
            f"the server speaks memif {_version(hello.min_version)} to {_version(hello.max_version)}, "
            f"this port {_version(VERSION)}"
        )
    with contextlib.ExitStack() as made:
        shared = Shared(peer=text_of(hello.name))
        made.callback(shared.close)
        log2 = min(options.log2, hello.max_log2)
        memory = _make_memory(shared, log2, options.buffer)
        made.callback(os.close, memory)
        size = len(shared.regions[0])
        assert shared.send is not None and shared.receive is not None
        channel.ask(Kind.INIT, Init.FORMAT.pack(VERSION, options.number, MODE_ETHERNET, b"", NAME))
        channel.ask(Kind.ADD_REGION, AddRegion.FORMAT.pack(*astuple(AddRegion(0, size))), memory)
        for flags, ring, fd in ((RING_S2M, shared.send, shared.send_fd), (0, shared.receive, shared.receive_fd)):
            channel.ask(Kind.ADD_RING, AddRing.FORMAT.pack(flags, 0, ring[0], ring[1], ring[2], 0), fd)
        channel.send(Kind.CONNECT, NAME.ljust(32, b"\0"))
        channel.expect(Kind.CONNECTED)
        made.pop_all().pop_all()
        os.close(memory)
        return shared


def _make_memory(shared: Shared, log2: int, buffer: int) -> int:
    """Fill in ``shared``; the descriptor of the memory, which nobody can cut short."""
    slots = 1 << log2
    ring = _rounded(RING_BYTES + slots * SLOT_BYTES)
    shared.send, shared.receive = (0, 0, log2), (0, ring, log2)
    shared.buffers = (2 * ring, 2 * ring + slots * buffer, buffer)
    size = 2 * ring + 2 * slots * buffer
    fd = os.memfd_create("vnetcard-memif", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        shared.regions.append(mmap.mmap(fd, size))
        for at in (0, ring):
            struct.pack_into("=I", shared.regions[0], at, COOKIE)
        shared.receive_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        shared.send_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _rounded(size: int) -> int:
    return size + -size % ALIGN


def _version(number: int) -> str:
    return f"{number >> 8}.{number & 0xFF}"


# --- the server --------------------------------------------------------------------------------------


def as_server(channel: Channel, options: Options) -> Shared:
    """Take memory and rings of the client.  Refused, Stopped, OSError."""
    channel.send(Kind.HELLO, Hello.FORMAT.pack(NAME, VERSION, VERSION, REGIONS_MAX - 1, 0, 0, LOG2_MAX))
    init = Init(*Init.FORMAT.unpack_from(channel.expect(Kind.INIT)))
    _check_init(init, options)
    channel.send(Kind.ACK)
    shared = Shared(peer=text_of(init.name))
    try:
        while True:
            kind, body, fds = channel.receive()
            if kind is Kind.CONNECT:
                close_all(fds)
                break
            with one_of(fds, "one") as fd:
                if kind is Kind.ADD_REGION:
                    _add_region(shared, AddRegion(*AddRegion.FORMAT.unpack_from(body)), fd)
                elif kind is Kind.ADD_RING:
                    _add_ring(shared, AddRing(*AddRing.FORMAT.unpack_from(body)), fd)
                else:
                    raise Refused(f"the client sent {kind.name} before CONNECT")
            channel.send(Kind.ACK)
        if shared.receive is None or shared.send is None:
            raise Refused("the client has no ring in each direction")
        return shared
    except BaseException:
        shared.close()
        raise


def greet(channel: Channel) -> None:
    """The server's last word, once its pumps have the rings.  Refused."""
    channel.send(Kind.CONNECTED, NAME.ljust(32, b"\0"))


def _check_init(init: Init, options: Options) -> None:
    if init.version != VERSION:
        raise Refused(f"the client speaks memif {_version(init.version)}, this port {_version(VERSION)}")
    if init.number != options.number:
        raise Refused(f"the client asks for the interface id {init.number}; this port has id={options.number}")
    if init.mode != MODE_ETHERNET:
        raise Refused(f"the client asks for mode {init.mode}; this port has Ethernet frames (mode {MODE_ETHERNET})")


def _add_region(shared: Shared, region: AddRegion, fd: int) -> None:
    if region.index != len(shared.regions) or region.index >= REGIONS_MAX:
        raise Refused(f"the client adds region {region.index} after {len(shared.regions)} of at most {REGIONS_MAX}")
    if not 0 < region.size <= REGION_MAX:
        raise Refused(f"the client's region {region.index} has {region.size} bytes: 1 to {REGION_MAX} are possible")
    try:
        fcntl.fcntl(fd, fcntl.F_GET_SEALS)  # memory: a file of another kind may let a pump wait for ever
        shared.regions.append(mmap.mmap(fd, region.size))
    except (OSError, ValueError) as error:
        raise Refused(f"the client's region {region.index} of {region.size} bytes cannot be mapped: {error}") from error


def _add_ring(shared: Shared, ring: AddRing, fd: int) -> None:
    to_server = bool(ring.flags & RING_S2M)
    if ring.index or (shared.receive if to_server else shared.send) is not None:
        raise Refused("the client adds a second ring in one direction; this port has one queue")
    if ring.log2 > LOG2_MAX:
        raise Refused(f"the client adds a ring of 2**{ring.log2} slots: at most 2**{LOG2_MAX} are possible")
    own = own_eventfd(fd, "the client's interrupt")
    place = (ring.region, ring.offset, ring.log2)
    if to_server:
        shared.receive, shared.receive_fd = place, own
    else:
        shared.send, shared.send_fd = place, own
