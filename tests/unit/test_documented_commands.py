"""Every command that README, docs and --help show is one that our programs accept.

A command is a line of an indented block, or inline code, that begins with one of our programs.  In a block with
prompts (``$ ``) only the lines behind one are commands, the others are output.  What they do is tested elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from vnetcard.agent import config
from vnetcard.cli import main
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.sim import options as sim_options
from vnetcard.window import WindowUrl

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "hdl/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
AGENTS = {"vnetcard-x86": L.HOST, "vnetcard-fpga": L.CARD}
PROGRAMS = ("vnetcard", *AGENTS, "vnetcard-sim", "make")
BEGINS = re.compile(rf"(?:sudo |\S*/bin/|[A-Z_]+=\S+ )*({'|'.join(PROGRAMS)})(?: +(?P<rest>[^ ].*))?")
PLACEHOLDER = re.compile(r"\b(URL|NAME|DIR|FILE|COMMAND|TARGET|IP|BITS|SIZE)\b")


@dataclass(frozen=True, slots=True)
class Command:
    """A command line and where it stands."""

    place: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place}: {' '.join(self.words)}"


def commands_of(page: Path) -> Iterator[Command]:
    """Every command of ours in a Markdown page."""
    text = page.read_text(encoding="utf-8")
    name = str(page.relative_to(ROOT))
    for block in re.split(r"\n(?! {4}|\n)", text):
        lines = [line[4:] for line in block.splitlines() if line.startswith("    ")]
        prompts = any(line.startswith("$ ") for line in lines)
        for line in lines:
            if not prompts or line.startswith("$ "):
                yield from parsed(name, line.removeprefix("$ "))
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    for inline in re.findall(r"`([^`\n]+)`", prose):
        if not PLACEHOLDER.search(inline) and not re.search(r"[\[\]|]|\.\.\.", inline):
            yield from parsed(name, inline)


def parsed(place: str, line: str) -> Iterator[Command]:
    """The command of ours that ``line`` is, without its comment, pipe or ampersand."""
    found = BEGINS.fullmatch(line.strip())
    if found is None or line.rstrip().endswith(":") or (found["rest"] or "").startswith("=="):
        return
    words = shlex.split(line, comments=True)
    while words[0] not in PROGRAMS:
        words[0] = words[0].rpartition("/")[2]
        if words[0] not in PROGRAMS:
            words.pop(0)
    stop = next((n for n, word in enumerate(words) if word in ("|", "&", ">", "&&", ";")), len(words))
    if not set(words[1:stop]) & set(PROGRAMS):  # else it is a drawing
        yield Command(place, tuple(words[:stop]))


def examples_of(program: str, *command: str) -> Iterator[Command]:
    """Every command among the examples of a --help."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit):
        understand((program, *command, "--help"))
    for line in shown.getvalue().splitlines():
        if line.startswith("  vnetcard"):
            yield from parsed(f"{' '.join((program, *command))} --help", re.split(r"   +", line.strip())[0])


def understand(words: tuple[str, ...]) -> None:
    """Parse it with the program's own parser; SystemExit if that refuses it."""
    program, *arguments = words
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        unknown = [word for word in arguments if "=" not in word and word not in targets]
        assert not unknown, f"no such target: {unknown}"
    elif program in AGENTS:
        parser = config.parser(AGENTS[program])
        if url := parser.parse_args(arguments).window:
            WindowUrl.parse(url)
    elif program == "vnetcard-sim":
        sim_options.parser().parse_args(arguments)
    elif len(arguments) == 1 and not arguments[0].startswith("-"):
        assert arguments[0] in subcommands()  # the name alone is a mention
    elif arguments:
        args = vars(main.build_parser().parse_args(arguments))
        urls = args.get("window") or []
        for url in [urls] if isinstance(urls, str) else urls:
            WindowUrl.parse(url)


def subcommands() -> list[str]:
    """What may follow ``vnetcard``."""
    subparsers = main.build_parser()._subparsers
    assert subparsers is not None
    return [str(name) for name in subparsers._group_actions[0].choices or ()]


COMMANDS = [command for page in PAGES for command in commands_of(page)]


def test_commands_are_found() -> None:
    """The lower limit is what was found when the test was written, less a few."""
    by_place = {command.place for command in COMMANDS}
    assert {"README.md", "docs/bring-up.md", "docs/windows.md", "docs/simulation.md", "hdl/README.md"} <= by_place
    assert len(COMMANDS) > 50
    assert {command.words[0] for command in COMMANDS} == set(PROGRAMS)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_documented_command_is_understood(command: Command) -> None:
    try:
        understand(command.words)
    except SystemExit as done:
        assert not done.code, command  # --help and --version end a program


@pytest.mark.parametrize("program", [*AGENTS, "vnetcard-sim", *(f"vnetcard {name}" for name in subcommands())])
def test_examples_in_the_help_are_understood(program: str) -> None:
    examples = list(examples_of(*program.split()))
    assert examples
    for example in examples:
        understand(example.words)


@pytest.mark.parametrize(
    "line",
    [
        "vnetcard doctor --widnow pci:auto",
        "vnetcard diagnose",
        "vnetcard-fpga --window nvme:0 &",
        "vnetcard-x86 --mtu jumbo   # a comment",
        "make demmo",
        "vnetcard-sim lab0 --data-widht 64",
    ],
)
def test_command_that_is_wrong_is_noticed(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = parsed("here", line)
    with pytest.raises((SystemExit, AssertionError, ConfigError)):
        understand(command.words)
    capsys.readouterr()


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
