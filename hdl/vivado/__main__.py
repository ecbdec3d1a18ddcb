"""``python -m vnetcard.hdl.vivado``: write ``vnc_dma.v`` again; with ``--check`` exit 1 if it differs."""

from __future__ import annotations

import argparse
import sys

from vnetcard.hdl.vivado.wrapper import FILE, text


def main(argv: list[str] | None = None) -> int:
    """Write or compare the wrapper; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m vnetcard.hdl.vivado", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is not up to date")
    if not parser.parse_args(argv).check:
        FILE.write_text(text())
    elif not FILE.exists() or FILE.read_text() != text():
        print(f"{FILE.name} does not match vnc_dma_top: run `python -m vnetcard.hdl.vivado`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
