"""``python -m vnetcard.hdl.vivado``: write the generated files again; with ``--check`` exit 1 if one differs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vnetcard.hdl.vivado.generated import HDL, stale, write


def main(argv: list[str] | None = None) -> int:
    """Write or compare the wrapper, the component and its customization; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m vnetcard.hdl.vivado", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not up to date")
    parser.add_argument("--root", type=Path, default=HDL, help="the folder of rtl/ and vivado/ (default: this package)")
    args = parser.parse_args(argv)
    try:
        if not args.check:
            write(args.root)
        elif names := stale(args.root):
            print(f"{', '.join(names)}: not those of vnc_dma_top: run `python -m vnetcard.hdl.vivado`", file=sys.stderr)
            return 1
    except OSError as error:
        print(f"cannot write {error.filename} ({error.strerror}): name another --root", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
