"""Every command has an example in its help; man pages and completion agree with the parsers."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.needs import need
from vnetcard.cli import main, manuals
from vnetcard.cli.main import build_parser
from vnetcard.errors import ConfigError
from vnetcard.ring.sideblock import SOFTWARE

PROGRAMS = manuals.programs(build_parser())
ALL = PROGRAMS | {f"vnetcard {name}": one for name, one in manuals.commands(PROGRAMS["vnetcard"]).items()}
PARSERS = pytest.mark.parametrize("name", ALL)


def options(parser: argparse.ArgumentParser) -> list[str]:
    """The long options of ``parser`` that its help shows."""
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    return [word for action in shown for word in action.option_strings if word.startswith("--") and word != "--help"]


@PARSERS
def test_help_has_an_example_and_explains_the_exit_status(name: str) -> None:
    parser = ALL[name]
    epilog = parser.epilog or ""
    if name == "vnetcard":
        assert "COMMAND --help" in epilog
    else:
        assert re.search(rf"examples?:\n(.*\n)*? +\S*(?:{re.escape(name)}|{name.split(maxsplit=1)[0]})", epilog), epilog
    assert "xit status" in epilog


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_prints_its_version(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        PROGRAMS[name].parse_args(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{SOFTWARE}\n"


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return manuals.pages(build_parser())


@PARSERS
def test_man_page_names_every_option_and_keeps_the_examples(pages: dict[str, str], name: str) -> None:
    page, parser = pages[f"{name.replace(' ', '-')}.1"], ALL[name]
    plain = page.replace("\\-", "-").replace("\\e", "\\")
    for option in options(parser):
        assert option in plain, option
    for line in re.findall(rf"^ +({name} .*)$", parser.epilog or "", re.MULTILINE):
        assert line in plain
    assert ".SH EXIT STATUS" in page
    assert page.startswith(f".TH {name.replace(' ', '-').upper()} ".replace("-", "\\-"))


def test_roff_accepts_all_man_pages_without_a_warning(pages: dict[str, str], tmp_path: Path) -> None:
    for name, text in pages.items():
        (tmp_path / name).write_text(text)
    command = [need("groff"), "-man", "-ww", "-z", "-Tutf8", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [[], ["show"], ["report"]], ids=str)
def test_completion_in_bash_offers_commands_and_choices(tmp_path: Path, words: list[str]) -> None:
    parser = main.build_parser()
    script = tmp_path / "vnetcard"
    script.write_text(manuals.completion(parser, "bash"))
    ask = f'source {script}; COMP_WORDS=(vnetcard {" ".join(words)} ""); COMP_CWORD={len(words) + 1}; COMP_LINE="x"'
    name = re.findall(r"^complete .*-F (\S+) vnetcard$", script.read_text(), re.MULTILINE)[0]
    done = subprocess.run(
        [need("bash"), "-c", f'{ask}; {name}; printf "%s\\n" "${{COMPREPLY[@]}}"'],
        capture_output=True,
        text=True,
        check=True,
    )
    offered = set(done.stdout.split())
    if not words:
        assert set(manuals.commands(parser)) <= offered
    elif words == ["show"]:
        assert {"runtime", "ring", "errors", "registers", "link"} <= offered


def test_a_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "shtab", None)
    with pytest.raises(ConfigError, match=r"needs the package shtab: pip install 'vnetcard\[tools\]'"):
        manuals.completion(main.build_parser(), "bash")
