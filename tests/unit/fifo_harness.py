"""A window with one FIFO that ends at a page which must not be touched; its fixtures are in ``conftest.py``."""

from __future__ import annotations

import ctypes
import mmap

from tests.unit.memories import new_memory
from vnetcard._core import Memory
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import locate
from vnetcard.ring.geometry import Geometry, Ring

WINDOW, RING = 16 << 10, 4 << 10
# The c2h ring ends where the window ends, followed by a page that must not be touched.
GEOMETRY = Geometry(WINDOW, ((Ring(0x2000, RING), Ring(0x3000, RING)),), instance=1, removable=False)
FIFO = "c2h"
PROD, CONS = (locate(GEOMETRY, FIFO, role).own for role in ("producer", "consumer"))
FRAME_MAX = RING - L.RECORD_HEADER
LAST_LINE = 2**32 - L.LINE


def guarded_memory(kind: str = "coherent") -> Memory:
    pages = mmap.mmap(-1, WINDOW + mmap.PAGESIZE)
    window = (ctypes.c_char * WINDOW).from_buffer(pages)
    mprotect = ctypes.CDLL(None, use_errno=True).mprotect
    assert mprotect(ctypes.c_void_p(ctypes.addressof(window) + WINDOW), mmap.PAGESIZE, 0) == 0
    return new_memory(kind, memoryview(pages)[:WINDOW])


def pattern(size: int, tag: int = 0) -> bytes:
    """``size`` bytes that depend on ``tag``."""
    return bytes((tag + n * 7) & 0xFF for n in range(size))
