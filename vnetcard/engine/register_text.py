"""Decodes register values of the DMA engine for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vnetcard.engine import registers as R
from vnetcard.terminal.escape import printable

_BITS: Final[dict[str, Mapping[str, int]]] = {
    "control": R.CONTROL_BITS,
    "status": R.STATUS_BITS,
    "irq_status": R.IRQ_BITS,
    "irq_enable": R.IRQ_BITS,
}


_COUNTERS: Final = tuple(
    register.name
    for register in R.REGISTERS
    if register.name.endswith(
        ("bytes_lo", "bursts", "publications", "errors", "_read", "_write", "_ack", "suppressed", "cycles_lo")
    )
)
"""Registers that count up; of those in two halves the lower one."""


def since(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """By how much each counter has grown; a counter that restarted, as after a reset, is left out."""
    grown = {name: _whole(now, name) - _whole(before, name) for name in _COUNTERS if name in now and name in before}
    return {name: growth for name, growth in grown.items() if growth >= 0}


def _whole(values: Mapping[str, int], name: str) -> int:
    half = name.removesuffix("_lo")
    return values[name] if half == name else values[f"{half}_hi"] << 32 | values[name]


def decode(values: Mapping[str, int]) -> list[dict[str, Any]]:
    """A row per register: ``name``, ``offset``, ``value``, ``words`` (bits and causes by name) and ``meaning``."""
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
        return printable(value.to_bytes(4, "little").decode("ascii", "backslashreplace"))
    if name == "caps":
        return (
            f"{value & 0xFFFF} bit, bursts of {(value >> 16 & 0xFF) + 1} beats, {'card' if value >> 24 & 1 else 'host'}"
        )
    return str(value)
