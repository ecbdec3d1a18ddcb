"""The simulator library as a Python object: ctypes over ``cpp/simulator.cpp``, with the structures of that file.

``run`` blocks its thread without the interpreter's lock; the other methods may be called from any other thread.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.sim.inject import Injection

CLOCK_HZ: Final = 250_000_000
"""The simulated clock: 4 ns per cycle."""
NS_PER_CYCLE: Final = 1e9 / CLOCK_HZ
BASES: Final = (0x1_0000_0000, 0x2_0000_0000)
"""Bus addresses of the host's and the card's memory."""
_FOREVER: Final = (1 << 64) - 1
_READ_LIMIT_NS: Final = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """The cycles of a waveform: ``first`` to ``end`` (None: the last), or ``around`` cycles around the first error."""

    path: Path
    first: int = 0
    end: int | None = None
    around: int = 0

    @property
    def before(self) -> Path:
        """The file of the cycles before those in ``path``, for a trace around an error."""
        return self.path.with_name(f"{self.path.stem}-before{self.path.suffix}")


@dataclass(frozen=True, slots=True)
class Bus:
    """The bus on the host's side: read latency in ns, bandwidth per direction in Gbit/s (None: no limit)."""

    latency_ns: float = 0.0
    gbps: float | None = None


class SideStats(ctypes.Structure):
    """``struct SideStats`` of cpp/stats.h."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "read_bursts",
            "read_bytes",
            "write_bursts",
            "write_bytes",
            "index_words",
            "errors",
            "outside",
            "doorbells",
            "mailbox",
            "interrupts",
        )
    )


class Stats(ctypes.Structure):
    """``struct Stats`` of cpp/stats.h; the simulator's thread writes it."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("cycles", "sleeps", "woken", "asleep_ns", "removals")),
        ("side", SideStats * 2),
    )


class _TraceRequest(ctypes.Structure):
    _fields_ = (
        ("path", ctypes.c_char_p),
        ("path_before", ctypes.c_char_p),
        ("first", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("around", ctypes.c_uint64),
    )


class _Config(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("bus", "host", "card")),
        *((name, ctypes.c_uint64) for name in ("memory_bytes", "base_host", "base_card", "pcie_latency")),
        ("pcie_beat", ctypes.c_double),
        ("ns_per_cycle", ctypes.c_double),
        ("seed", ctypes.c_uint64),
        ("trace", _TraceRequest),
        ("host_eventfd", ctypes.c_int),
    )


class Simulator:
    """A Verilated engine between mapped objects; ``close`` only after ``run`` has returned."""

    def __init__(
        self,
        library: Path,
        width: int,
        objects: tuple[mmap.mmap, mmap.mmap, mmap.mmap],
        *,
        bus: Bus,
        trace: Trace | None,
        seed: int,
        host_eventfd: int = -1,
    ) -> None:
        """``objects`` are the bus, the host's memory and the card's memory; they must stay mapped until ``close``.

        With ``host_eventfd``, which the host's interrupt signals, the host's memory is not used: ``map_dma`` says what
        the engine reaches.
        """
        self._library = ctypes.CDLL(str(library))
        self._objects = [ctypes.c_char.from_buffer(found) for found in objects]
        _declare(self._library)
        beat = 0.0 if bus.gbps is None else width * CLOCK_HZ / (bus.gbps * 1e9)
        addresses: list[int | None] = [ctypes.addressof(found) for found in self._objects]
        if host_eventfd >= 0:
            addresses[1] = None
        config = _Config(
            *addresses,
            len(objects[2]),
            *BASES,
            round(bus.latency_ns / NS_PER_CYCLE),
            beat,
            NS_PER_CYCLE,
            seed,
            _trace_request(trace),
            host_eventfd,
        )
        self._handle = ctypes.c_void_p(self._library.vncsim_new(ctypes.byref(config)))
        self._config = config  # the simulator keeps pointers to its strings

    def inject(self, injection: Injection) -> None:
        """Add a rule for bus errors; to be called before ``run``."""
        self._library.vncsim_fault(
            self._handle,
            injection.side,
            injection.write,
            injection.number or 0,
            injection.share or 0.0,
            injection.answer,
        )

    def run(self) -> None:
        """Simulate until ``stop``."""
        self._library.vncsim_run(self._handle)

    def stop(self) -> None:
        """Make ``run`` return."""
        self._library.vncsim_stop(self._handle)

    def remove_card(self) -> None:
        """Remove the card: when this returns, registers read all ones, and memories are no longer accessed."""
        self._library.vncsim_remove(self._handle, 0)

    def put_card_back(self, instance: int) -> None:
        """Put the card back, as after power-up, with a new ``instance``."""
        self._library.vncsim_remove(self._handle, instance)

    def map_dma(self, address: int, size: int, fd: int | None, offset: int, flags: int) -> None:
        """Show ``size`` bytes from ``offset`` of ``fd`` to the engine at bus address ``address``.

        ``flags``: 1 readable, 2 writable.  None as ``fd``: memory that cannot be mapped.  Raises OSError.
        """
        number = self._library.vncsim_map(self._handle, address, size, -1 if fd is None else fd, offset, flags)
        if number:
            raise OSError(number, os.strerror(number))

    def unmap_dma(self, address: int, size: int) -> None:
        """Take back all maps in the range, which ``run`` must serve; raises OSError (EINVAL) where it cuts one."""
        number = self._library.vncsim_unmap(self._handle, address, size)
        if number:
            raise OSError(number, os.strerror(number))

    def enable_dma(self, on: bool) -> None:
        """Let the engine use the maps, or refuse every access to the host's memory."""
        self._library.vncsim_enable_dma(self._handle, on)

    def maps(self) -> int:
        """The number of maps."""
        count: int = self._library.vncsim_maps(self._handle)
        return count

    def stats(self) -> Stats:
        """A copy of the current counters."""
        return Stats.from_buffer_copy(self._library.vncsim_stats(self._handle).contents)

    def read(self, side: int, offset: int) -> int | None:
        """The value of register ``offset`` of ``side``; None when the simulator does not run."""
        value = ctypes.c_uint32()
        done = self._library.vncsim_read(self._handle, side, offset, _READ_LIMIT_NS, ctypes.byref(value))
        return value.value if done else None

    def close(self) -> None:
        """Write the rest of a trace and release the objects."""
        self._library.vncsim_free(self._handle)
        self._objects.clear()


def _trace_request(trace: Trace | None) -> _TraceRequest:
    if trace is None:
        return _TraceRequest()
    end = _FOREVER if trace.end is None else trace.end
    return _TraceRequest(str(trace.path).encode(), str(trace.before).encode(), trace.first, end, trace.around)


def _declare(library: ctypes.CDLL) -> None:
    handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    library.vncsim_new.argtypes = [ctypes.POINTER(_Config)]
    library.vncsim_new.restype = handle
    library.vncsim_stats.argtypes = [handle]
    library.vncsim_stats.restype = ctypes.POINTER(Stats)
    library.vncsim_fault.argtypes = [handle, u32, ctypes.c_int, u64, ctypes.c_double, u32]
    library.vncsim_remove.argtypes = [handle, u32]
    library.vncsim_read.argtypes = [handle, u32, u32, u64, ctypes.POINTER(u32)]
    library.vncsim_map.argtypes = [handle, u64, u64, ctypes.c_int, u64, u32]
    library.vncsim_unmap.argtypes = [handle, u64, u64]
    library.vncsim_enable_dma.argtypes = [handle, ctypes.c_int]
    library.vncsim_maps.argtypes = [handle]
    library.vncsim_maps.restype = u64
    for name in ("vncsim_run", "vncsim_stop", "vncsim_free"):
        getattr(library, name).argtypes = [handle]
    for name in ("vncsim_enable_dma", "vncsim_fault", "vncsim_remove", "vncsim_run", "vncsim_stop", "vncsim_free"):
        getattr(library, name).restype = None
