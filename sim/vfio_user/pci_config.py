"""The configuration space of the function: what PCI software finds, and which of its bits can be written.

Type 0 header, power management, PCI Express with a function level reset, MSI-X (PCI Express Base Specification 5.0,
section 7.5).  BAR 0 is the engine's register page, BAR 2 holds the table of MSI-X and its pending bits.
"""

from __future__ import annotations

from typing import Final

VENDOR: Final = 0x10EE
DEVICE: Final = 0x9038
"""The default of AMD's PCIe core for UltraScale+, generation 3, 8 lanes: `vfio:auto` takes it by itself."""
CLASS: Final = 0x02_80_00
"""Network controller, other."""
SIZE: Final = 4096
"""Bytes, with the extended configuration, in which there is nothing."""
BAR_BYTES: Final[dict[int, int]] = {0: 0x1000, 2: 0x1000}
MSIX_BAR: Final = 2
MSIX_PBA: Final = 0x800
"""Where the pending bits lie in MSIX_BAR; the table is at its start."""
MEMORY_ENABLE: Final = 1 << 1
BUS_MASTER: Final = 1 << 2

_COMMAND: Final = 0x04
_STATUS: Final = 0x06
_BAR_0: Final = 0x10
_POWER: Final = 0x40
_EXPRESS: Final = 0x50
_MSIX: Final = 0x90
_DEVICE_CONTROL: Final = _EXPRESS + 8
_FUNCTION_RESET: Final = 1 << 15
"""Initiate Function Level Reset, in the device control register; it reads as 0."""
_MSIX_CONTROL: Final = _MSIX + 2
_WRITABLE: Final[dict[int, int]] = {
    **{_COMMAND: 0x06, _COMMAND + 1: 0x05},  # memory, master; SERR, INTx off
    0x0C: 0xFF,  # cache line size
    0x3C: 0xFF,  # interrupt line
    **{_BAR_0 + 4 * bar + 1: 0xF0 for bar in BAR_BYTES},  # BARs of 4 KiB
    **{_BAR_0 + 4 * bar + byte: 0xFF for bar in BAR_BYTES for byte in (2, 3)},
    _POWER + 4: 0x03,  # power state
    **{_DEVICE_CONTROL: 0xFF, _DEVICE_CONTROL + 1: 0x7F},
    _MSIX_CONTROL + 1: 0xC0,  # enable, mask of the function
}
"""Bits that a write changes, by byte."""


class ConfigSpace:
    """The configuration of one function with ``vectors`` MSI-X."""

    def __init__(self, vectors: int) -> None:
        self._initial = _initial(vectors)
        self._bytes = bytearray(self._initial)

    @property
    def command(self) -> int:
        """The command register, with MEMORY_ENABLE and BUS_MASTER."""
        return int.from_bytes(self._bytes[_COMMAND : _COMMAND + 2], "little")

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes; the caller keeps them within SIZE."""
        return bytes(self._bytes[offset : offset + count])

    def write(self, offset: int, data: bytes) -> bool:
        """Change what can be changed; True: the write demands a function level reset."""
        reset = False
        for at, byte in enumerate(data, start=offset):
            mask = _WRITABLE.get(at, 0)
            self._bytes[at] = self._bytes[at] & ~mask | byte & mask
            reset |= at == _DEVICE_CONTROL + 1 and bool(byte << 8 & _FUNCTION_RESET)
        return reset

    def reset(self) -> None:
        """As after power-up."""
        self._bytes[:] = self._initial


def _initial(vectors: int) -> bytes:
    space = bytearray(SIZE)

    def put(offset: int, size: int, value: int) -> None:
        space[offset : offset + size] = value.to_bytes(size, "little")

    put(0x00, 2, VENDOR)
    put(0x02, 2, DEVICE)
    put(_STATUS, 2, 1 << 4)  # there is a list of capabilities
    put(0x08, 4, CLASS << 8)
    put(0x2C, 2, VENDOR)
    put(0x2E, 2, 0x0007)
    put(0x34, 1, _POWER)
    put(_POWER, 4, 0x0003 << 16 | _EXPRESS << 8 | 0x01)  # version 3, no PME
    put(_POWER + 4, 4, 1 << 3)  # no soft reset: D3hot keeps the configuration
    put(_EXPRESS, 4, 0x0002 << 16 | _MSIX << 8 | 0x10)  # version 2, endpoint
    put(_EXPRESS + 4, 4, 1 << 28 | 1 << 15 | 1)  # function level reset, role-based errors, payload of 256 bytes
    put(_EXPRESS + 12, 4, 8 << 4 | 3)  # 8 lanes, 8 GT/s
    put(_EXPRESS + 18, 2, 8 << 4 | 3)
    put(_MSIX, 4, (vectors - 1) << 16 | 0x11)
    put(_MSIX + 4, 4, MSIX_BAR)
    put(_MSIX + 8, 4, MSIX_PBA | MSIX_BAR)
    return bytes(space)
