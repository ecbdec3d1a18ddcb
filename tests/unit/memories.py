"""The kinds of memory that the tests of ring, pumps and link run on."""

from __future__ import annotations

import mmap

from tests.unit.c_build import seed
from vnetcard._core import Memory

KINDS = ("coherent", "device", "checked")
"""RAM; RAM with the barriers and accesses of device memory; memory that enforces those rules (_c/vnc_checked.h)."""


def new_memory(kind: str, buffer: mmap.mmap | memoryview) -> Memory:
    """Wrap ``buffer`` as memory of ``kind``, for one side."""
    return Memory(buffer, device=kind == "device", check=seed() if kind == "checked" else None)
