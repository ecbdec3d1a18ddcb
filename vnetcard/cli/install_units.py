"""``vnetcard install-units``: installs the agent as a system service, with access to its devices."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from vnetcard.agent.units import HIDDEN, SIDES, install, programs, uninstall, units
from vnetcard.terminal.arguments import Subparsers, add_command

EPILOG = """\
examples:
  vnetcard install-units --dry-run                print what would be written, and where
  vnetcard install-units --side x86               write the service below /etc/systemd/system, and what it needs
  vnetcard install-units --prefix /tmp/image      write below /tmp/image/etc, for an image that is being built
  vnetcard install-units --uninstall

It writes files and starts nothing; it prints the commands that start the service.
exit status: 0 done, 2 bad input, no permission, or a foreign file has the same name
"""
AFTER_INSTALL = """\
next, as root:
  systemd-sysusers
  udevadm control --reload && udevadm trigger --action=add
  systemctl daemon-reload && systemctl enable --now vnetcard-{side}"""
AFTER_UNINSTALL = """\
next, as root:
  systemctl daemon-reload; udevadm control --reload"""


def add_parser(subparsers: Subparsers) -> None:
    """Add ``install-units`` to the commands."""
    parser = add_command(
        subparsers,
        "install-units",
        help="install an agent's service, udev rule, link file and user",
        description="Install the files that make an agent a system service and give its devices to a group.",
        epilog=EPILOG,
        run=run,
    )
    parser.add_argument("--side", choices=sorted(SIDES), help="the agent's side (fpga on ARM64, else x86)")
    parser.add_argument("--prefix", type=Path, default=Path("/"), metavar="DIR", help="install below DIR instead of /")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and the service")
    parser.add_argument(
        "--uninstall", action="store_true", help="remove the installed files that were not changed since"
    )


def run(args: argparse.Namespace) -> int:
    """Install or remove the files; prints a line per file."""
    side = args.side or ("fpga" if platform.machine() == "aarch64" else "x86")
    folder = programs(side)
    wanted = units(side, args.prefix, folder)
    steps = (uninstall if args.uninstall else install)(wanted, dry_run=args.dry_run)
    for line in steps:
        print(line)
    if args.uninstall:
        print(AFTER_UNINSTALL)
        return 0
    if f"{folder}/".startswith(HIDDEN):
        print(f"note: the service cannot see {folder}: install vnetcard elsewhere, such as in a venv below /opt")
    if args.dry_run:
        print(f"\n{wanted[0].contents}", end="")
    else:
        print(AFTER_INSTALL.format(side=side))
    return 0
