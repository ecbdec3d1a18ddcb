"""The three shared memory objects of a simulation: created, taken over from a killed simulator, and removed.

``vnetcard/window/sim_bus.py`` defines their layout and what either process may rely on.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
from pathlib import Path
from typing import Final

import posix_ipc

from vnetcard._core import Memory
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.sim.library import BASES
from vnetcard.terminal.sizes import human
from vnetcard.window import locks, sim_bus

FOLDER: Final = Path("/dev/shm")
"""Where Linux keeps POSIX shared memory (shm_overview(7))."""
_NAME_MAX: Final = 200


def new_instance() -> int:
    """A random instance, never 0."""
    return secrets.randbelow((1 << 32) - 1) + 1


def check_name(name: str) -> str:
    """``name``, if objects can have this name; raises ConfigError otherwise."""
    if (
        not name
        or not name.isprintable()
        or set(name) & set("/+ ")
        or name[0] in ".-"
        or len(os.fsencode(name)) > _NAME_MAX
    ):
        raise ConfigError(
            f"invalid name of a simulation {name!r}: expected 1 to {_NAME_MAX} characters without '/', '+' and spaces, "
            "and neither '.' nor '-' first"
        )
    return name


class Objects:
    """The mapped bus and memories of simulation ``name``, locked for this process until ``close``."""

    def __init__(self, name: str, memory_bytes: int, width: int, *, host: bool = True) -> None:
        """Create them, or take over those of a killed simulator; raises WindowUnavailable while a simulator runs.

        Without ``host`` the host has its memory elsewhere: there is no object of it, ``base_host`` is 0, and the first
        of ``memories`` is a page that nothing uses.
        """
        self.name = check_name(name)
        self.memory_bytes = memory_bytes
        self._names = (sim_bus.bus_name(name), sim_bus.memory_name(name, L.HOST), sim_bus.memory_name(name, L.CARD))
        self._stack = contextlib.ExitStack()
        try:
            self.bus = self._lock_bus()
            self._stack.callback(self.bus.close)
            self._words = Memory(self.bus)
            self._stack.callback(self._words.close)
            self._words.store64(sim_bus.HEADER["magic"], 0)  # agents must not open it while it is being created
            self.memories = (self._memory(L.HOST) if host else self._no_memory(), self._memory(L.CARD))
            self._write_header(width, BASES[L.HOST] if host else 0)
        except posix_ipc.PermissionsError as error:
            self._stack.close()
            raise WindowUnavailable(
                f"simulation {name} belongs to another user: choose another name", code=ErrorCode.WINDOW_PERMISSION
            ) from error
        except OSError as error:
            self._stack.close()
            raise WindowUnavailable(
                f"simulation {name}: no room for 2 x {human(memory_bytes)} in {FOLDER} ({error.strerror}): "
                "free some, or use a smaller --memory",
                code=ErrorCode.WINDOW_SIZE,
            ) from error
        except BaseException:
            self._stack.close()
            raise

    def _open(self, name: str) -> int:
        fd: int = posix_ipc.SharedMemory(f"/{name}", posix_ipc.O_CREAT, mode=0o600).fd
        return fd

    def _lock_bus(self) -> mmap.mmap:
        while True:
            fd = self._open(self._names[0])
            if not locks.try_lock(fd, sim_bus.LOCK_BYTE):
                owner = os.pread(fd, 4, sim_bus.HEADER["pid"])
                os.close(fd)
                raise WindowUnavailable(
                    f"simulation {self.name} is run by process {int.from_bytes(owner, 'little')}: "
                    "end that process, or choose another name",
                    code=ErrorCode.WINDOW_TAKEN,
                )
            if os.fstat(fd).st_nlink:
                break
            os.close(fd)  # its owner ended and removed it between open and lock
        self._stack.callback(os.close, fd)  # releases the lock
        self._stack.callback(self._remove)
        if os.fstat(fd).st_size < sim_bus.BUS_BYTES:
            os.posix_fallocate(fd, 0, sim_bus.BUS_BYTES)
        os.pwrite(fd, os.getpid().to_bytes(4, "little"), sim_bus.HEADER["pid"])
        return mmap.mmap(fd, sim_bus.BUS_BYTES)

    def _memory(self, side: int) -> mmap.mmap:
        name = self._names[1 + side]
        fd = self._open(name)
        if os.fstat(fd).st_size not in (0, self.memory_bytes):  # of another size: agents notice that theirs is deleted
            os.close(fd)
            posix_ipc.unlink_shared_memory(f"/{name}")
            fd = self._open(name)
        try:
            os.posix_fallocate(fd, 0, self.memory_bytes)  # all of it: a hole could cause a SIGBUS later
            memory = mmap.mmap(fd, self.memory_bytes)
        finally:
            os.close(fd)
        self._stack.callback(memory.close)
        return memory

    def _no_memory(self) -> mmap.mmap:
        page = mmap.mmap(-1, mmap.PAGESIZE)
        self._stack.callback(page.close)
        return page

    def _write_header(self, width: int, base_host: int) -> None:
        """Write all fields but the magic, which ``open_to_agents`` stores."""
        narrow = {
            "version": sim_bus.VERSION,
            "data_width": width,
            "instance": new_instance(),
            "asleep": 0,
            "removed": 0,
        }
        for name, value in narrow.items():
            self._words.store32(sim_bus.HEADER[name], value)
        wide = {"memory_bytes": self.memory_bytes, "base_host": base_host, "base_card": BASES[L.CARD]}
        for name, value in wide.items():
            self._words.store64(sim_bus.HEADER[name], value)

    def open_to_agents(self) -> None:
        """Let agents open the objects; the simulator must poll the bus from now on."""
        self._words.store64(sim_bus.HEADER["magic"], sim_bus.MAGIC)

    def close(self) -> None:
        """Remove and unlock the objects; ``instance`` 0 shows agents that still map them that they are gone."""
        self._words.store32(sim_bus.HEADER["instance"], 0)
        self._stack.close()

    def _remove(self) -> None:
        for name in self._names:
            with contextlib.suppress(posix_ipc.ExistentialError):
                posix_ipc.unlink_shared_memory(f"/{name}")
