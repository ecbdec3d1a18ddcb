"""The registers of the DMA engine as they were read, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vnetcard import registers as R

_BITS: Final[dict[str, Mapping[str, int]]] = {
    "control": R.CONTROL_BITS,
    "status": R.STATUS_BITS,
    "irq_status": R.IRQ_BITS,
    "irq_enable": R.IRQ_BITS,
}


def decode(values: Mapping[str, int]) -> list[dict[str, Any]]:
    """A row a register: ``name``, ``offset``, ``value``, ``words`` (bits and causes by name) and ``meaning``."""
    return [
        {
            "name": register.name,
            "offset": register.offset,
            "value": values[register.name],
            "words": _words(register.name, values[register.name]),
            "meaning": register.meaning,
        }
        for register in R.REGISTERS
        if register.name in values
    ]


def _words(name: str, value: int) -> str:
    if bits := _BITS.get(name):
        return " ".join(word for word, bit in bits.items() if value & bit) or "-"
    if name.endswith("_cause"):
        return next((word for word, number in R.CAUSES.items() if number == value), f"cause {value}")
    if name == "id":
        return value.to_bytes(4, "little").decode("ascii", "backslashreplace")
    if name == "caps":
        return (
            f"{value & 0xFFFF} bit, bursts of {(value >> 16 & 0xFF) + 1} beats, {'card' if value >> 24 & 1 else 'host'}"
        )
    return str(value)
