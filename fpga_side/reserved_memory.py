"""The device-tree node that reserves the card's window: ``python -m vnetcard.fpga_side.reserved_memory ADDRESS SIZE``.

The kernel must neither use nor map that memory, else its cached mapping aliases the agent's uncached one.
``vnetcard-fpga --window mem:NAME`` finds the node (``vnetcard.hw.devicetree``).
"""

from __future__ import annotations

import argparse
import sys

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.terminal.sizes import human, parse_size


def node(start: int, size: int, *, name: str = "vnetcard", cells: tuple[int, int] = (2, 2)) -> str:
    """The source of ``/reserved-memory`` with one node of ``size`` bytes at ``start``; ``cells`` as in its parent.

    Raises ConfigError: not a window's size, not aligned to a page, or too large for the cells.
    """
    if size & (size - 1) or not L.WINDOW_MIN <= size <= L.WINDOW_MAX:
        raise ConfigError(
            f"a window has a power of two of bytes, {human(L.WINDOW_MIN)} to {human(L.WINDOW_MAX)}, not {human(size)}",
            code=ErrorCode.WINDOW_SIZE,
        )
    if start % L.RING_ALIGN:
        raise ConfigError(f"{start:#x} is not the start of a page, a multiple of {human(L.RING_ALIGN)}")
    address_cells, size_cells = cells
    reg = " ".join(_cells(start, address_cells) + _cells(size, size_cells))
    return (
        "reserved-memory {\n"
        f"    #address-cells = <{address_cells}>;\n"
        f"    #size-cells = <{size_cells}>;\n"
        "    ranges;\n"
        f"    {name}@{start:x} {{ reg = <{reg}>; no-map; }};\n"
        "};\n"
    )


def _cells(value: int, count: int) -> list[str]:
    """``value`` as ``count`` cells of 32 bits, the most significant first."""
    if value >> (32 * count):
        raise ConfigError(f"{value:#x} does not fit {count} cells of 32 bits: the tree needs more")
    return [f"{value >> (32 * n) & 0xFFFF_FFFF:#x}" for n in reversed(range(count))]


def main(argv: list[str] | None = None) -> int:
    """Print the node: 0, or 2 and a line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m vnetcard.fpga_side.reserved_memory", description=__doc__)
    parser.add_argument("address", type=lambda text: int(text, 0), help="physical address, such as 0x70000000")
    parser.add_argument("size", help="size, such as 8M")
    parser.add_argument("--cells", type=int, nargs=2, default=(2, 2), metavar=("ADDRESS", "SIZE"), help="default: 2 2")
    args = parser.parse_args(argv)
    try:
        print(node(args.address, parse_size(args.size), cells=(args.cells[0], args.cells[1])), end="")
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
