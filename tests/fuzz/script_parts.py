"""What the written inputs of the C harnesses are made of."""

from __future__ import annotations

from typing import Final

NOW: Final = 0
GOOD, ZERO, ONES, LINE_AHEAD, RING_AHEAD, NEXT = 14, 0, 1, 2, 4, 7
"""Choices of a value: see evil() in fuzz.c."""


def u16(value: int) -> bytes:
    """Two bytes, the low one first."""
    return value.to_bytes(2, "little")


def poke(operation: int, where: int, choice: int, after: int = NOW, raw: int = 0) -> bytes:
    """A hostile value, before load number ``after`` from now; ``operation``: the harness's number of pokes."""
    return bytes([operation, after, where, choice]) + (u16(raw) if choice % 16 >= 9 and choice % 16 != GOOD else b"")
