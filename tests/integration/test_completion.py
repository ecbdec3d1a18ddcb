"""Completion in a terminal: Tab completes a word in bash and zsh."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.programs import VNETCARD, run
from tests.harness.terminal import Terminal

SHELLS = {
    "bash": ("bash --noprofile --norc -i", "source {folder}/vnetcard"),
    "zsh": ("zsh -f -i", "fpath=({folder} $fpath); autoload -U compinit; compinit -u -d {folder}/dump"),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vnc-tab-") as name:
        yield Path(name)


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_commands_and_options(folder: Path, shell: str) -> None:
    program, setup = SHELLS[shell]
    need(shell)
    done = run([*VNETCARD, "completion", shell, "-o", str(folder)])
    assert (done.status, done.stdout) == (0, f"4 files in {folder}\n"), done
    terminal = Terminal(folder, program.split())
    try:
        terminal.command("send-keys", f"PS1='ready> '; {setup.format(folder=folder)}", "Enter")
        terminal.command("send-keys", "clear", "Enter")
        terminal.wait(lambda lines: lines[:1] == ["ready>"])
        terminal.command("send-keys", "vnetcard stat", "Tab")
        terminal.wait_for(r"ready> vnetcard status")
        terminal.command("send-keys", "--", "--wat", "Tab")
        terminal.wait_for(r"ready> vnetcard status --watch")
    finally:
        terminal.command("kill-server")
