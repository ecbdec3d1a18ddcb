"""A client of vfio-user for the tests: it speaks the protocol as QEMU does, and as QEMU never would."""

from __future__ import annotations

import array
import fcntl
import mmap
import os
import socket
import struct
import time
from pathlib import Path

from vnetcard.sim.vfio_user import protocol as P
from vnetcard.sim.vfio_user.device import CONFIG_REGION

LIMIT = 20.0
"""Seconds for a reply."""


class Failed(Exception):
    """Raised for a reply with an error; ``number`` is its errno."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Client:
    """A connection; ``memory`` is what it may show to the device by ``map``, 4 MiB of a sealed memfd."""

    MEMORY = 4 << 20

    def __init__(self, path: Path, *, agree: bool = True) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(path))
        self.socket.settimeout(LIMIT)
        self._id = 0
        self.memory_fd = sealed_memory(self.MEMORY)
        self.memory = mmap.mmap(self.memory_fd, self.MEMORY)
        if agree:
            self.version = self.agree()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def agree(self, major: int = 0, minor: int = 1) -> P.Version:
        """Send VERSION; returns the server's."""
        proposal = P.Version(major, minor, {"max_msg_fds": 8, "twin_socket": {"supported": False}})
        return P.Version.parse(self.call(P.Command.VERSION, proposal.pack()))

    def send(self, data: bytes, fds: tuple[int, ...] = ()) -> None:
        """Send bytes, with descriptors."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], ancillary)

    def request(self, command: int, payload: bytes = b"", fds: tuple[int, ...] = (), flags: int = 0) -> int:
        """Send a request; returns its id."""
        self._id = (self._id + 1) & 0xFFFF
        self.send(P.HEADER.pack(self._id, command, P.HEADER.size + len(payload), flags, 0) + payload, fds)
        return self._id

    def reply(self) -> tuple[int, int, bytes]:
        """Id, command and payload of the next reply; raises Failed, EOFError."""
        number, command, size, flags, error = P.HEADER.unpack(self._exactly(P.HEADER.size))
        payload = self._exactly(size - P.HEADER.size)
        assert flags & P.TYPE_MASK == P.REPLY, flags
        if flags & P.ERROR:
            assert payload == b"", "a refusal has no payload"
            raise Failed(error)
        return number, command, payload

    def call(self, command: int, asked: bytes = b"", fds: tuple[int, ...] = ()) -> bytes:
        """Send a request and return the payload of its reply."""
        number = self.request(command, asked, fds)
        replied_to, replied_command, payload = self.reply()
        assert (replied_to, replied_command) == (number, command)
        return payload

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    # --- as the kernel of a guest would use it ------------------------------------------------------

    def read(self, region: int, offset: int, count: int) -> bytes:
        """REGION_READ."""
        asked = P.RegionAccess(offset, region, count)
        return P.RegionAccess.parse(self.call(P.Command.REGION_READ, asked.pack()), data=True).data

    def write(self, region: int, offset: int, data: bytes) -> None:
        """REGION_WRITE."""
        self.call(P.Command.REGION_WRITE, P.RegionAccess(offset, region, len(data), data).pack())

    def read32(self, offset: int) -> int:
        """A register of BAR 0."""
        value: int = struct.unpack("=I", self.read(0, offset, 4))[0]
        return value

    def write32(self, offset: int, value: int) -> None:
        """Set a register of BAR 0."""
        self.write(0, offset, struct.pack("=I", value))

    def config(self, offset: int, count: int) -> int:
        """A field of the configuration."""
        return int.from_bytes(self.read(CONFIG_REGION, offset, count), "little")

    def master(self, on: bool = True) -> None:
        """Let the function be bus master."""
        self.write(CONFIG_REGION, 4, (0x0006 if on else 0).to_bytes(2, "little"))

    def map(self, address: int, size: int, *, offset: int = 0, fd: int | None = None, flags: int = 3) -> None:
        """DMA_MAP of ``memory``, or of ``fd``."""
        request = P.DmaMap(flags, offset, address, size)
        self.call(P.Command.DMA_MAP, request.pack(), (self.memory_fd if fd is None else fd,))

    def unmap(self, address: int, size: int) -> None:
        """DMA_UNMAP."""
        request = P.DmaUnmap(0, address, size)
        assert self.call(P.Command.DMA_UNMAP, request.pack()) == request.pack()

    def listen(self) -> int:
        """Let the first MSI-X signal a new eventfd, which is returned."""
        eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        request = P.IrqSet(P.DATA_EVENTFD, P.ACTION_TRIGGER, 2, 0, 1)
        self.call(P.Command.DEVICE_SET_IRQS, request.pack(), (eventfd,))
        return eventfd

    def ends(self) -> bool:
        """Does the server end the connection?  Replies that come before are read."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            try:
                if not self.socket.recv(4096):
                    return True
            except ConnectionError:
                return True
        return False

    def close(self) -> None:
        """Close the connection and the memory."""
        self.socket.close()
        self.memory.close()
        os.close(self.memory_fd)


def sealed_memory(size: int) -> int:
    """A memfd that cannot shrink, as QEMU's memory-backend-memfd makes one."""
    fd = os.memfd_create("guest", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd
