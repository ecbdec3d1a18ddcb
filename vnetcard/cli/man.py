"""``vnetcard completion`` and ``vnetcard man``: shell completion and man pages from the parsers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vnetcard.cli import manuals
from vnetcard.errors import ConfigError
from vnetcard.terminal.arguments import Subparsers, add_command

COMPLETION = """\
examples:
  eval "$(vnetcard completion bash)"                     for this shell only
  vnetcard completion bash -o ~/.local/share/bash-completion/completions
  vnetcard completion zsh -o ~/.zfunc                    with fpath+=~/.zfunc before compinit

Without -o it is printed, for vnetcard only; with -o a file is written for each of our programs.
exit status: 0 written, 2 bad input, or shtab is missing (pip install 'vnetcard[tools]')
"""
MAN = """\
examples:
  vnetcard man show | man -l -
  vnetcard man -o /usr/local/share/man/man1              a page for each program and each command

exit status: 0 written, 2 bad input, or argparse-manpage is missing (pip install 'vnetcard[tools]')
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add both to the commands."""
    completion = add_command(
        subparsers,
        "completion",
        help="write shell completion for bash or zsh",
        description="Write the completion of our programs' commands and options for bash or zsh.",
        epilog=COMPLETION,
        run=run_completion,
    )
    completion.add_argument("shell", choices=tuple(manuals.SHELLS), metavar="SHELL", help=", ".join(manuals.SHELLS))
    completion.add_argument("-o", "--output", type=Path, metavar="DIR", help="write files into DIR")
    man = add_command(
        subparsers,
        "man",
        help="print a man page, or write all",
        description="Print a man page, or write the man pages of all programs and commands.",
        epilog=MAN,
        run=run_man,
    )
    man.add_argument("page", nargs="?", metavar="PAGE", help="a command, or a program (default: vnetcard)")
    man.add_argument("-o", "--output", type=Path, metavar="DIR", help="write all pages into DIR")


def run_completion(args: argparse.Namespace) -> int:
    """Print the completion of vnetcard, or write the files of all programs."""
    if args.output is None:
        print(manuals.completion(args.parser, args.shell))
        return 0
    name = manuals.SHELLS[args.shell]
    _write(
        args.output,
        {name.format(one): manuals.completion(p, args.shell) for one, p in manuals.programs(args.parser).items()},
    )
    return 0


def run_man(args: argparse.Namespace) -> int:
    """Print a page, or write all pages."""
    if args.output is not None and args.page:
        raise ConfigError(f"--output writes all pages: omit {args.page}")
    pages = manuals.pages(args.parser)
    if args.output is not None:
        _write(args.output, pages)
        return 0
    wanted = args.page or "vnetcard"
    text = pages.get(f"{wanted}.1") or pages.get(f"vnetcard-{wanted}.1")
    if text is None:
        raise ConfigError(f"no page {wanted!r} (pages: {', '.join(name[:-2] for name in pages)})")
    sys.stdout.write(text)
    return 0


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--output {folder}: cannot write {name} ({error.strerror})") from error
    print(f"{len(files)} files in {folder}")
