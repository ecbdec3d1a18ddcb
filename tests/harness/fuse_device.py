"""Character devices that misbehave, as files that a process really opens, reads and writes: a FUSE server in a thread.

Real system calls get what a test's ``Device`` gives: fewer bytes than they asked for, an error, an answer that comes
late.  Its files cannot be mapped.  Needs root.

They demand what Xilinx's driver demands of a system call (xdma_rules.py): a test that breaks a rule fails.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
import threading
from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Final, Protocol

from tests.harness.needs import need_root, skip_or_fail
from tests.harness.xdma_rules import XdmaRules


class Opcode(IntEnum):
    """Requests of the kernel (include/uapi/linux/fuse.h, as the structures below)."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    OPEN = 14
    READ = 15
    WRITE = 16
    RELEASE = 18
    FLUSH = 25
    INIT = 26
    INTERRUPT = 36
    BATCH_FORGET = 42


NO_ANSWER: Final = {Opcode.FORGET, Opcode.INTERRUPT, Opcode.BATCH_FORGET}
DIRECT_IO: Final = 1
"""Each read and write of the program is one request to the server."""
IN: Final = struct.Struct("=IIQQIIIHH")
OUT: Final = struct.Struct("=IiQ")
MOVE: Final = struct.Struct("=QQIIQII")
"""fuse_read_in and fuse_write_in: handle, offset, size, and what is not needed here."""
ATTR: Final = struct.Struct("=6Q10I")
ROOT: Final = 1
MOST: Final = 1 << 17
SIZE: Final = 1 << 40
THREADS: Final = 4
"""A transfer that hangs holds one; a file is closed all the same."""


class Device(Protocol):
    """The device behind a file; either call may raise OSError, transfer fewer bytes, or take long."""

    def read(self, offset: int, size: int, /) -> bytes:
        """At most ``size`` bytes."""

    def write(self, offset: int, data: bytes, /) -> int:
        """How many bytes were taken."""


class _Server:
    def __init__(self, fd: int, devices: Mapping[str, Device | int]) -> None:
        self._fd = fd
        self._names = list(devices)
        self._devices = list(devices.values())
        self.rules = XdmaRules()

    def serve(self) -> None:
        """Serve until it is unmounted."""
        while True:
            try:
                request = os.read(self._fd, MOST + 4096)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):  # the request was cancelled
                    continue
                return
            _, opcode, unique, node, _, _, thread, *_ = IN.unpack_from(request)
            if opcode in NO_ANSWER:
                continue
            status, body = 0, b""
            try:
                if opcode in (Opcode.READ, Opcode.WRITE):
                    self.rules.check(self._names[node - ROOT - 1], thread)
                body = self._answer(opcode, node, request[IN.size :])
            except OSError as error:
                status = -(error.errno or errno.EIO)
            with contextlib.suppress(OSError):
                os.write(self._fd, OUT.pack(OUT.size + len(body), status, unique) + body)

    def _answer(self, opcode: int, node: int, body: bytes) -> bytes:
        match opcode:
            case Opcode.INIT:
                return struct.pack("=IIIIHHIIHHI7I", 7, 31, 0, 0, 8, 8, MOST, 1, 0, 0, 0, *(0,) * 7)
            case Opcode.LOOKUP:
                name = body.rstrip(b"\0").decode()
                if name not in self._names:
                    raise FileNotFoundError(errno.ENOENT, name)
                node = self._names.index(name) + ROOT + 1
                return struct.pack("=QQQQII", node, 0, 60, 60, 0, 0) + self._attributes(node)
            case Opcode.GETATTR:
                return struct.pack("=QII", 60, 0, 0) + self._attributes(node)
            case Opcode.OPEN:
                self._device(node)
                return struct.pack("=QII", 0, DIRECT_IO, 0)
            case Opcode.READ:
                _, offset, size, *_ = MOVE.unpack_from(body)
                return self._device(node).read(offset, size)
            case Opcode.WRITE:
                _, offset, size, *_ = MOVE.unpack_from(body)
                data = body[MOVE.size : MOVE.size + size]
                return struct.pack("=II", self._device(node).write(offset, data), 0)
            case Opcode.RELEASE | Opcode.FLUSH:
                return b""
        raise OSError(errno.ENOSYS, "")

    def _device(self, node: int) -> Device:
        device = self._devices[node - ROOT - 1]
        if isinstance(device, int):
            raise OSError(device, "")
        return device

    @staticmethod
    def _attributes(node: int) -> bytes:
        mode = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o666
        size = 0 if node == ROOT else SIZE
        return ATTR.pack(node, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0)


@contextlib.contextmanager
def fuse_devices(folder: Path, devices: Mapping[str, Device | int]) -> Iterator[Path]:
    """``folder`` holds a file for each device until the end of the block; one that is an errno cannot be opened."""
    need_root()
    try:
        fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        skip_or_fail(f"this kernel has no FUSE (/dev/fuse: {error.strerror})")
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
    if libc.mount(b"test", bytes(folder), b"fuse", 0, options.encode()):
        os.close(fd)
        raise OSError(ctypes.get_errno(), "mount")
    server = _Server(fd, devices)
    threads = [threading.Thread(target=server.serve, name="fuse", daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield folder
    finally:
        libc.umount2(bytes(folder), 2)  # MNT_DETACH: also with a file open
        for thread in threads:
            thread.join(10)
        os.close(fd)
    assert not server.rules.broken, f"a host with the stock driver would have crashed: {server.rules.broken}"
