"""``vnetcard install-extcap``: adds the tap points of this machine's links to Wireshark's interfaces."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from vnetcard.errors import ConfigError
from vnetcard.terminal.arguments import Subparsers, add_command

EPILOG = """\
examples:
  vnetcard install-extcap                  for this user; Wireshark then lists the links as interfaces
  vnetcard install-extcap --dry-run        print what would be written, and where
  vnetcard install-extcap --prefix /usr    for all users of this machine
  vnetcard install-extcap --uninstall      remove it

exit status: 0 done, 2 bad input
"""
NAME: Final = "vnetcard-extcap"
MARK: Final = "# Written by vnetcard install-extcap; --uninstall removes it."


def add_parser(subparsers: Subparsers) -> None:
    """Add ``install-extcap`` to the commands."""
    parser = add_command(
        subparsers,
        "install-extcap",
        help="add the links of this machine to Wireshark's interfaces",
        description="Install a script by which Wireshark and tshark capture directly at the tap points.",
        epilog=EPILOG,
        run=run,
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--prefix", type=Path, metavar="DIR", help="install below DIR, such as /usr")
    where.add_argument("--dir", type=Path, metavar="DIR", help="install into DIR (default: this user's extcap folder)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.add_argument("--uninstall", action="store_true", help="remove the script")


def run(args: argparse.Namespace) -> int:
    """Write the script, or remove it."""
    target = (args.dir or (system_folder(args.prefix) if args.prefix else user_folder())) / NAME
    if target.exists() and MARK not in target.read_text(errors="replace"):
        raise ConfigError(f"{target} exists and was not written by vnetcard: move it away first")
    try:
        if args.uninstall:
            return uninstall(target, dry=args.dry_run)
        if args.dry_run:
            print(f"{target} would be:\n{script()}", end="")
            return 0
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(script())
        target.chmod(0o755)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}; name a folder with --dir") from error
    print(f"{target}: installed; Wireshark shows the links when it refreshes its interfaces (F5)")
    return 0


def uninstall(target: Path, *, dry: bool) -> int:
    """Remove what was installed."""
    if not target.exists():
        raise ConfigError(f"{target} does not exist: nothing to remove")
    if not dry:
        target.unlink()
    print(f"{target}: {'would be ' if dry else ''}removed")
    return 0


def script() -> str:
    """The script that Wireshark runs: it starts this Python by its path."""
    return f'#!/bin/sh\n{MARK}\nexec {shlex.quote(sys.executable)} -m vnetcard.cli.extcap "$@"\n'


def user_folder() -> Path:
    """The extcap folder of this user: as tshark reports it, or that of Wireshark before 4.2, which does not."""
    for line in tshark_folders().splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "personal extcap path" and value.strip():
            return Path(value.strip())
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "wireshark" / "extcap"


def system_folder(prefix: Path) -> Path:
    """The extcap folder of a Wireshark below ``prefix``."""
    for line in tshark_folders().splitlines():
        name, _, value = line.partition(":")
        path = Path(value.strip())
        if name.strip().lower() in ("extcap path", "global extcap path") and path.is_relative_to(prefix.absolute()):
            return path
    return prefix / "lib" / "wireshark" / "extcap"


def tshark_folders() -> str:
    """The output of ``tshark -G folders``; empty without tshark."""
    try:
        done = subprocess.run(["tshark", "-G", "folders"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
