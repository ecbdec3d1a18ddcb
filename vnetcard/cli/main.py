"""The ``vnetcard`` command: what people and scripts ask of a card, and the demo."""

from __future__ import annotations

import argparse
import sys

from vnetcard.cli import (
    bench,
    capture,
    demo,
    doctor,
    info,
    install_extcap,
    install_units,
    ivshmem_server,
    man,
    metrics,
    ping,
    replay,
    report,
    show,
    top,
    trace,
)
from vnetcard.cli import status as status_cmd
from vnetcard.errors import VnetcardError
from vnetcard.ring.sideblock import SOFTWARE
from vnetcard.terminal.arguments import Parser, complain

COMMANDS = (
    demo,
    ping,
    status_cmd,
    show,
    top,
    trace,
    capture,
    replay,
    install_extcap,
    metrics,
    report,
    info,
    doctor,
    bench,
    install_units,
    ivshmem_server,
    man,
)
"""In the order of the help."""

EPILOG = """\
The agents are commands of their own: vnetcard-x86 on the host, vnetcard-fpga on the card.
Each command has examples: vnetcard COMMAND --help.  Exit status: 0 good, 1 not good, 2 bad input.
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands; each sets ``run``."""
    parser = Parser(
        prog="vnetcard",
        description="A network card made of shared memory.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=SOFTWARE)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 good, 1 not good, 2 bad input, 130 interrupted."""
    try:
        args = build_parser().parse_args(argv)
        status: int = args.run(args)
    except VnetcardError as error:
        complain("vnetcard", error)
        return 2
    except KeyboardInterrupt:
        print("vnetcard: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has seen enough
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
