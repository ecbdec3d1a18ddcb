"""Man pages and shell completion, generated from the parsers of our programs.

Both come from the parsers alone, so they agree with ``--help``.  The libraries are those of the extra ``tools``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from vnetcard.agent import config
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.ring.sideblock import SOFTWARE

SIMULATOR: Final = "vnetcard.sim.options"
"""Imported by name, as the library does not depend on sim/."""


def programs(vnetcard: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each of our programs, by its name; ``vnetcard`` is that of the ``vnetcard`` command."""
    agents = {config.PROGRAMS[side]: config.parser(side) for side in (L.HOST, L.CARD)}
    return {"vnetcard": vnetcard, **agents, "vnetcard-sim": import_module(SIMULATOR).parser()}


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of its commands, by name; empty for a program without commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def summaries(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The summary of each command in the ``--help`` of ``parser``."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {one.dest: one.help or "" for one in action._choices_actions}
    return {}


# --- completion --------------------------------------------------------------------------------------

SHELLS: Final = {"bash": "{}", "zsh": "_{}"}
"""The file name of a program's completion, by shell."""


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script of ``parser``'s program for ``shell``."""
    shtab = _library("shtab")
    for one in (parser, *commands(parser).values()):
        for action in one._actions:
            if action.metavar in ("FILE", "DIR"):
                action.complete = shtab.FILE if action.metavar == "FILE" else shtab.DIRECTORY  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell=shell))


# --- man pages ---------------------------------------------------------------------------------------


def pages(vnetcard: argparse.ArgumentParser) -> dict[str, str]:
    """One man page per program and per command, by file name; ``vnetcard`` as in ``programs``."""
    found = {}
    for name, parser in programs(vnetcard).items():
        found[f"{name}.1"] = page(name, parser, parser.description or "")
        summary = summaries(parser)
        for command, one in commands(parser).items():
            found[f"{name}-{command}.1"] = page(f"{name}-{command}", one, summary.get(command, ""))
    return found


def page(name: str, parser: argparse.ArgumentParser, summary: str) -> str:
    """The man page of ``parser``: its help, with the paragraphs of its epilog as sections."""
    library = _library("argparse_manpage.manpage")
    usage = re.sub(r"\s+", " ", parser.format_usage().partition(":")[2]).strip()
    sections = [
        {"heading": "synopsis", "content": f".B {_escape(parser.prog)}\n{_escape(usage[len(parser.prog) :].strip())}"}
    ]
    sections += [{"heading": head, "content": body} for head, body in _sections(parser.epilog or "")]
    others = [f"vnetcard-{command}" for command in commands(parser)]
    if others:
        sections.append({"heading": "see also", "content": ", ".join(f"\\fB{_escape(one)}\\fR(1)" for one in others)})
    epilog, parser.epilog = parser.epilog, None
    parser._manpage = sections  # type: ignore[attr-defined]
    try:
        text = {"project_name": "vnetcard", "version": SOFTWARE.split()[-1], "description": summary.rstrip(".")}
        made = library.Manpage(parser, {**text, "manual_title": "vnetcard"})
        made.prog = name
        return re.sub(r"(?m)^\.\.", r"\\&..", str(made))  # a help text that begins with dots is not a macro
    finally:
        parser.epilog = epilog


def _sections(epilog: str) -> Iterator[tuple[str, str]]:
    """The paragraphs of an epilog as (heading, body): notes, ``examples:`` and the like, ``exit status: ...``."""
    prose: list[str] = []
    heads: list[tuple[str, str]] = []
    ending: list[tuple[str, str]] = []
    for paragraph in re.split(r"\n\s*\n", epilog.strip()):
        block, *status = re.split(r"(?i)\s*\bexit status: ", paragraph, maxsplit=1)
        ending += [("exit status", _escape(words)) for words in status]
        first, _, rest = block.partition("\n")
        if first.endswith(":") and rest:
            heads.append((first.removesuffix(":"), f".nf\n{_escape(rest)}\n.fi"))
        elif found := re.match(r"(\w+): (.*)", block, re.DOTALL):
            heads.append((found[1], _escape(found[2])))
        elif block:
            prose.append(_escape(block))
    if prose:
        yield "notes", "\n.PP\n".join(prose)
    yield from heads
    yield from ending


def _escape(text: str) -> str:
    """``text`` escaped for roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^(['.])", r"\\&\1", text)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0].replace("_", "-")
        raise ConfigError(
            f"this needs the package {package}: pip install 'vnetcard[tools]'", code=ErrorCode.TOOL_MISSING
        ) from error
