"""Blocks of shared memory as tables of fields; ``layout.py`` and ``tap_layout.py`` consist of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a block: offset from the block's start, and size, in bytes."""

    name: str
    offset: int
    size: int
    meaning: str


@dataclass(frozen=True, slots=True)
class Block:
    """A run of fields with one writer.

    ``writer`` and ``reader`` name the roles; ``ordering`` states which store must be visible before which.
    """

    name: str
    size: int
    writer: str
    reader: str
    ordering: str
    fields: tuple[Field, ...]

    def offset(self, field: str) -> int:
        """Return the offset of ``field`` in bytes from the block's start; raises KeyError when there is none."""
        for candidate in self.fields:
            if candidate.name == field:
                return candidate.offset
        raise KeyError(f"{self.name} has no field {field}")


def lay_out(*rows: tuple[str, int, str]) -> tuple[Field, ...]:
    """Place ``(name, size, meaning)`` rows one after the other; raises ValueError for a misaligned one."""
    out: list[Field] = []
    at = 0
    for name, size, meaning in rows:
        natural = min(size, 8)
        if at % natural:
            raise ValueError(f"{name} at {at:#x} is not aligned to {natural}")
        out.append(Field(name, at, size, meaning))
        at += size
    return tuple(out)
