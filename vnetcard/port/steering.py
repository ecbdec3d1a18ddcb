"""Flows that send little get the first queue of a TUN or a TAP to themselves, so they do not wait behind those that
send much.

The kernel asks a program (BPF) for the queue of each packet that it sends.  Ours keeps a leaky bucket of bytes for each
flow: addresses, protocol, ports, hashed into one of ``FLOWS`` buckets.  A flow whose bucket overflows goes to the other
queues, among which its hash chooses, until it has been silent for ``SILENCE`` seconds: by then its packets have left
that queue, so none overtakes another.  A TCP connection goes there at once: what it had sent into the first queue was
paced by acknowledgements.  A flow of another protocol changes its queue only after such a silence, so that its packets
stay in order.  A TCP segment that only acknowledges belongs to a stream of the other direction, and goes to the other
queues as well.

Source: Linux include/uapi/linux/bpf.h (instructions, helpers, BPF_F_MMAPABLE, since 5.5), drivers/net/tun.c
(TUNSETSTEERINGEBPF, since 4.16).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import struct
from typing import Final

from vnetcard.port.steering_program import COUNT_AT, ENTRIES, ENTRY_BYTES, program

TUNSETSTEERINGEBPF: Final = 0x8004_54E0
NO_PROGRAM: Final = -1
_SYS_BPF: Final = {"x86_64": 321, "aarch64": 280}
_MAP_CREATE, _PROG_LOAD = 0, 5
_MAP_TYPE_ARRAY: Final = 2
_PROG_TYPE_SOCKET_FILTER: Final = 1
_F_MMAPABLE: Final = 1 << 10
_ATTRIBUTES: Final = 128
"""Bytes of union bpf_attr that are passed; zeros beyond what this kernel knows are accepted."""
_libc = ctypes.CDLL(None, use_errno=True)


class Steering:
    """The program of one interface, of which the interface keeps a reference of its own."""

    def __init__(self, fd: int, *, header: int) -> None:
        """Attach it to the interface of ``fd``, whose packets have ``header`` bytes before the IP header.

        OSError where the kernel or the permissions (CAP_BPF, or CAP_SYS_ADMIN) do not allow it.
        """
        self._memory, loaded = _prepare(header)
        try:
            fcntl.ioctl(fd, TUNSETSTEERINGEBPF, struct.pack("=i", loaded))
        finally:
            os.close(loaded)

    def use(self, queues: int) -> None:
        """Steer to the first ``queues`` queues; 1 or more."""
        struct.pack_into("=Q", self._memory, COUNT_AT, queues - 1)

    def close(self) -> None:
        """The program stays at the interface as long as this exists.  Idempotent."""
        self._memory.close()


def is_permitted() -> bool:
    """Whether the kernel takes the program from this process."""
    try:
        memory, loaded = _prepare(0)
    except OSError:
        return False
    memory.close()
    os.close(loaded)
    return True


def detach(fd: int) -> None:
    """Remove the program that an earlier process has left at a persistent interface.  OSError on old kernels."""
    fcntl.ioctl(fd, TUNSETSTEERINGEBPF, struct.pack("=i", NO_PROGRAM))


def _prepare(header: int) -> tuple[mmap.mmap, int]:
    """The memory that the program and we share, and the program's descriptor; OSError."""
    flows = _bpf(_MAP_CREATE, struct.pack("=5I", _MAP_TYPE_ARRAY, 4, ENTRY_BYTES, ENTRIES, _F_MMAPABLE))
    try:
        memory = mmap.mmap(flows, -(-ENTRIES * ENTRY_BYTES // mmap.PAGESIZE) * mmap.PAGESIZE)
        try:
            return memory, _load(program(flows, header))
        except BaseException:
            memory.close()
            raise
    finally:
        os.close(flows)


def _load(code: bytes) -> int:
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"Dual MIT/GPL")  # the clock is a helper for these only, before Linux 5.8
    addresses = ctypes.addressof(instructions), ctypes.addressof(licence)
    return _bpf(_PROG_LOAD, struct.pack("=IIQQ", _PROG_TYPE_SOCKET_FILTER, len(code) // 8, *addresses))


def _bpf(command: int, attributes: bytes) -> int:
    number = _SYS_BPF.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    result = int(_libc.syscall(number, command, attributes.ljust(_ATTRIBUTES, b"\0"), _ATTRIBUTES))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.set_inheritable(result, False)
    return result
