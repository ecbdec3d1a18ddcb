"""The PCI ids of FPGA cards: which ``pci:auto`` takes by itself, and which the doctor only lists.

The device id is a choice of the design, so an id names a core or a vendor's default, never a certain board.  An entry
is *automatic* if its id is the default of a core or platform whose purpose is a user's own design.  A vendor's
remaining ids may be anything (a NIC, an accelerator with a driver to come), so they are listed and must be named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

XILINX: Final = 0x10EE


@dataclass(frozen=True, slots=True)
class KnownCard:
    """A rule for ids: ``match`` decides on a device id; ``bar`` is the window's BAR where that is fixed."""

    vendor: int
    name: str
    match: Callable[[int], bool]
    automatic: bool = True
    bar: int | None = None


def _pcie_core(device: int) -> bool:
    """AMD's (Xilinx's) PCIe, XDMA and QDMA cores by default: family, function 0, generation, lanes (f: 16).

    7: 7 series; 8: UltraScale; 9: UltraScale+; b: Versal (PG195, PG213, PG302, PG347).  LitePCIe and LiteX boards use
    the same defaults (7021, 7022, 7024, 8034, 9034 and their like).
    """
    family, function, generation, lanes = (device >> shift & 0xF for shift in (12, 8, 4, 0))
    return family in (7, 8, 9, 0xB) and function == 0 and generation in (1, 2, 3, 4, 5) and lanes in (1, 2, 4, 8, 0xF)


def _one_of(*devices: int) -> Callable[[int], bool]:
    return lambda device: device in devices


def _any(device: int) -> bool:
    return device >= 0


KNOWN: Final = (
    KnownCard(0x1AF4, "QEMU's ivshmem", _one_of(0x1110), bar=2),
    KnownCard(XILINX, "Xilinx PCIe core", _pcie_core),
    KnownCard(XILINX, "Xilinx PS-PCIe (Zynq UltraScale+)", _one_of(0xD021, 0xD024)),
    # the remaining ids of the stock XDMA driver's table: defaults of older integrated blocks
    KnownCard(XILINX, "Xilinx XDMA", _one_of(0x2808, 0x4808, 0x4828, 0x4908, 0x4A28, 0x4B28)),
    KnownCard(XILINX, "Xilinx XDMA", _one_of(0x6828, 0x6830, 0x6928, 0x6930, 0x6A28, 0x6A30, 0x6D30)),
    KnownCard(XILINX, "Xilinx", _any, automatic=False),
    # AWS keeps f000 to ffff for customers' FPGA images; f000 and f001 are those of its own examples
    KnownCard(0x1D0F, "AWS FPGA image", _one_of(0xF000, 0xF001)),
    KnownCard(0x1D0F, "AWS FPGA image", lambda device: 0xF002 <= device <= 0xFFFF, automatic=False),
    KnownCard(0x1204, "Lattice", _any, automatic=False),
    KnownCard(0x1172, "Altera/Intel FPGA", _any, automatic=False),
    KnownCard(0x11AA, "Microchip/Microsemi", _any, automatic=False),
)
"""The first rule that matches counts."""


def known(vendor: int, device: int) -> KnownCard | None:
    """The rule for a function's ids; None: not a card that this software knows."""
    return next((card for card in KNOWN if card.vendor == vendor and card.match(device)), None)
