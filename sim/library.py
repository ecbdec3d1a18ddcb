"""The built simulator as an object: ctypes over ``cpp/simulator.cpp``, whose structures these are.

``run`` holds a thread without the interpreter's lock; the rest may be called from any other thread.
"""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vnetcard.sim.inject import Injection

CLOCK_HZ: Final = 250_000_000
"""The clock that is simulated: 4 ns a cycle."""
NS_A_CYCLE: Final = 1e9 / CLOCK_HZ
BASES: Final = (0x1_0000_0000, 0x2_0000_0000)
"""Bus addresses of the host's and the card's memory."""
_FOREVER: Final = (1 << 64) - 1
_READ_LIMIT_NS: Final = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """What to write as a waveform: cycles ``first`` to ``end`` (None: the last), or ``around`` the first error."""

    path: Path
    first: int = 0
    end: int | None = None
    around: int = 0

    @property
    def before(self) -> Path:
        """Where the cycles before those in ``path`` are kept, of a trace around an error."""
        return self.path.with_name(f"{self.path.stem}-before{self.path.suffix}")


@dataclass(frozen=True, slots=True)
class Bus:
    """How the bus on the host's side behaves: read latency in ns, bandwidth of each way in Gbit/s (None: no limit)."""

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


class _TraceWish(ctypes.Structure):
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
        ("ns_a_cycle", ctypes.c_double),
        ("seed", ctypes.c_uint64),
        ("trace", _TraceWish),
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
    ) -> None:
        """``objects`` are bus, host's memory and card's memory; they stay mapped until ``close``."""
        self._library = ctypes.CDLL(str(library))
        self._objects = [ctypes.c_char.from_buffer(found) for found in objects]
        _declare(self._library)
        beat = 0.0 if bus.gbps is None else width * CLOCK_HZ / (bus.gbps * 1e9)
        config = _Config(
            *(ctypes.addressof(found) for found in self._objects),
            len(objects[1]),
            *BASES,
            round(bus.latency_ns / NS_A_CYCLE),
            beat,
            NS_A_CYCLE,
            seed,
            _wish(trace),
        )
        self._handle = ctypes.c_void_p(self._library.vncsim_new(ctypes.byref(config)))
        self._config = config  # the simulator keeps pointers to its strings

    def inject(self, injection: Injection) -> None:
        """Add a rule for bus errors; before ``run``."""
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
        """Have ``run`` return."""
        self._library.vncsim_stop(self._handle)

    def pull_out(self) -> None:
        """The card is gone when this returns: registers read all ones, memories are not touched."""
        self._library.vncsim_remove(self._handle, 0)

    def put_back(self, instance: int) -> None:
        """The card is there again, as after power-up, under a new ``instance``."""
        self._library.vncsim_remove(self._handle, instance)

    def stats(self) -> Stats:
        """A copy of the counters as they stand."""
        return Stats.from_buffer_copy(self._library.vncsim_stats(self._handle).contents)

    def read(self, side: int, offset: int) -> int | None:
        """Register ``offset`` of ``side``; None when the simulator does not run."""
        value = ctypes.c_uint32()
        done = self._library.vncsim_read(self._handle, side, offset, _READ_LIMIT_NS, ctypes.byref(value))
        return value.value if done else None

    def close(self) -> None:
        """Write what is left of a trace, and let go of the objects."""
        self._library.vncsim_free(self._handle)
        self._objects.clear()


def _wish(trace: Trace | None) -> _TraceWish:
    if trace is None:
        return _TraceWish()
    end = _FOREVER if trace.end is None else trace.end
    return _TraceWish(str(trace.path).encode(), str(trace.before).encode(), trace.first, end, trace.around)


def _declare(library: ctypes.CDLL) -> None:
    handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    library.vncsim_new.argtypes = [ctypes.POINTER(_Config)]
    library.vncsim_new.restype = handle
    library.vncsim_stats.argtypes = [handle]
    library.vncsim_stats.restype = ctypes.POINTER(Stats)
    library.vncsim_fault.argtypes = [handle, u32, ctypes.c_int, u64, ctypes.c_double, u32]
    library.vncsim_remove.argtypes = [handle, u32]
    library.vncsim_read.argtypes = [handle, u32, u32, u64, ctypes.POINTER(u32)]
    for name in ("vncsim_run", "vncsim_stop", "vncsim_free"):
        getattr(library, name).argtypes = [handle]
    for name in ("vncsim_fault", "vncsim_remove", "vncsim_run", "vncsim_stop", "vncsim_free"):
        getattr(library, name).restype = None
