"""Progress is a bar in a terminal, which disappears at the end, and one line per step elsewhere."""

from __future__ import annotations

import io

import pytest

from vnetcard.terminal.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_each_step_is_a_line() -> None:
    stream = io.StringIO()
    with Progress(2, stream=stream) as progress:
        progress.begin("one")
        progress.end()
        progress.begin("two\033[2J")
        progress.end()
    assert stream.getvalue() == "1/2 one\n2/2 two\\x1b[2J\n"


def test_in_a_terminal_progress_is_a_bar_in_one_line_that_disappears_at_the_end() -> None:
    stream = Terminal()
    with Progress(4, stream=stream) as progress:
        for what in ("one", "two", "x" * 200):
            progress.step(what)
    frames = stream.getvalue().split("\r")
    assert "\n" not in stream.getvalue()
    assert max(map(len, frames)) == 79
    assert frames[1].startswith("[" + " " * 24 + "] 0/4 one")
    assert frames[2].startswith("[" + "#" * 6 + " " * 18 + "] 1/4 two")
    assert frames[-2].strip() == frames[-1] == ""


@pytest.mark.parametrize(("stream", "shown"), [(io.StringIO(), False), (Terminal(), True)])
def test_progress_for_terminals_only_prints_nothing_elsewhere(stream: io.StringIO, shown: bool) -> None:
    with Progress(1, stream=stream, only_terminal=True) as progress:
        progress.step("measuring")
    assert bool(stream.getvalue()) == shown
