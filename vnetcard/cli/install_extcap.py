"""``vnetcard install-extcap``: the tap points of this machine's links among Wireshark's interfaces."""

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
  vnetcard install-extcap                  for this user; then look among Wireshark's interfaces
  vnetcard install-extcap --dry-run        only say what would be written, and where
  vnetcard install-extcap --prefix /usr    for all users of this machine
  vnetcard install-extcap --uninstall      remove it again

exit status: 0 done, 2 bad input
"""
NAME: Final = "vnetcard-extcap"
MARK: Final = "# Written by vnetcard install-extcap; --uninstall removes it."


def add_parser(subparsers: Subparsers) -> None:
    """Add ``install-extcap`` to the commands."""
    parser = add_command(
        subparsers,
        "install-extcap",
        help="the links of this machine among Wireshark's interfaces",
        description="Install a script by which Wireshark and tshark capture at the tap points themselves.",
        epilog=EPILOG,
        run=run,
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--prefix", type=Path, metavar="DIR", help="into the extcap folder below DIR, such as /usr")
    where.add_argument("--dir", type=Path, metavar="DIR", help="into DIR itself (default: this user's extcap folder)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--uninstall", action="store_true", help="remove the script")


def run(args: argparse.Namespace) -> int:
    """Write the script, or remove it."""
    target = (args.dir or (system_folder(args.prefix) if args.prefix else user_folder())) / NAME
    if target.exists() and MARK not in target.read_text(errors="replace"):
        raise ConfigError(f"{target} is there already, and is not ours")
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
    print(f"{target}: installed; Wireshark shows the links when it looks for interfaces anew (F5)")
    return 0


def uninstall(target: Path, *, dry: bool) -> int:
    """Remove what was installed."""
    if not target.exists():
        raise ConfigError(f"{target} is not there: nothing to remove")
    if not dry:
        target.unlink()
    print(f"{target}: {'would be ' if dry else ''}removed")
    return 0


def script() -> str:
    """What Wireshark runs: this very Python, wherever it is."""
    return f'#!/bin/sh\n{MARK}\nexec {shlex.quote(sys.executable)} -m vnetcard.cli.extcap "$@"\n'


def user_folder() -> Path:
    """Where this user's Wireshark looks: as tshark says, or where those before 4.2 do, which do not say."""
    for line in tshark_folders().splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "personal extcap path" and value.strip():
            return Path(value.strip())
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "wireshark" / "extcap"


def system_folder(prefix: Path) -> Path:
    """Where Wireshark below ``prefix`` looks."""
    for line in tshark_folders().splitlines():
        name, _, value = line.partition(":")
        path = Path(value.strip())
        if name.strip().lower() in ("extcap path", "global extcap path") and path.is_relative_to(prefix.absolute()):
            return path
    return prefix / "lib" / "wireshark" / "extcap"


def tshark_folders() -> str:
    """What ``tshark -G folders`` prints; nothing where there is no tshark."""
    try:
        done = subprocess.run(["tshark", "-G", "folders"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
