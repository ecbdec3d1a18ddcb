"""A peer that names itself in escape sequences: no printing command lets them through to the terminal."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.evil_text import EVIL, EVIL_BYTES, harmful
from tests.harness.hostile_words import HostileWords
from tests.harness.traffic import pinging
from tests.unit.c_build import seed
from vnetcard.agent import status
from vnetcard.agent.control import ask
from vnetcard.cli.main import build_parser, main
from vnetcard.lab.lab import Lab
from vnetcard.observe import tables, views
from vnetcard.observe.screen import Screen
from vnetcard.observe.views import SECTIONS, Snapshot
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.slow]

COMMANDS = [
    ["status"],
    ["status", "--json"],
    *(["show", section] for section in SECTIONS),
    *(["show", section, "--json"] for section in SECTIONS),
    ["metrics", "--once"],
    ["doctor"],
]
PLACES = {"url", "window", "direction", "state", "side", "reason_code", "what", "name"}
"""Keys of views whose values programs compare: they are ours."""


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, HostileWords, Path]]:
    """A host's agent whose peer has an evil identity, and the agent's log."""
    log = tmp_path_factory.mktemp("text") / "log"
    with log.open("w") as stream, Lab("text", log=stream) as lab:
        lab.start(L.HOST)
        hostile = HostileWords(lab.url, seed())
        identity = bytes(16) + EVIL_BYTES.ljust(24, b"!") + EVIL_BYTES[::-1].ljust(24, b"!")
        hostile.window.memory.write(L.side_offset(L.CARD) + L.LINE, identity)
        hostile.greet()
        hostile.say(version=int.from_bytes(b"\x1b[2J", "little"))
        lab.wait_for(L.HOST, "refused")
        yield lab, hostile, log
        hostile.close()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_is_harmless(
    peer: tuple[Lab, HostileWords, Path], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--window", peer[0].url]) in (0, 1)
    out, err = capsys.readouterr()
    assert out and not harmful(out) and not harmful(err)


def test_info_and_log_are_harmless(peer: tuple[Lab, HostileWords, Path], capsys: pytest.CaptureFixture[str]) -> None:
    lab, _, log = peer
    main(["info", lab.url])
    out, _ = capsys.readouterr()
    assert r"\x1b[2J" in out and not harmful(out)
    assert not harmful(log.read_text(errors="surrogateescape"))


def spoiled(view: Any) -> Any:
    """``view`` with evil in every text for people: what an agent of another version might let through."""
    if isinstance(view, dict):
        return {key: value if key in PLACES else spoiled(value) for key, value in view.items()}
    if isinstance(view, list):
        return [spoiled(value) for value in view]
    return view + EVIL if isinstance(view, str) else view


def test_texts_are_escaped_again_where_they_are_shown(peer: tuple[Lab, HostileWords, Path]) -> None:
    lab, _, _ = peer
    assert not harmful(status.text(spoiled(ask(lab.url, L.HOST, "status"))))
    snapshot = Snapshot([spoiled(view) for view in views.gather(lab.url).views])
    for section in ("errors", "link"):
        assert not harmful("\n".join(tables.SECTIONS[section](snapshot)))
    screen = Screen(lab.url + EVIL, 1.0, snapshots=[snapshot], problem=EVIL)
    assert all(line.isprintable() for line in screen.draw())


# --- every command, on a link that runs ----------------------------------------------------------------

FED: dict[str, list[list[str]]] = {
    "ping": [["--sizes", "56", "--count", "2"], ["--sizes", "56", "--count", "2", "--json"]],
    "status": [[], ["--json"]],
    "show": [[section, *json] for section in SECTIONS for json in ([], ["--json"])],
    "trace": [["--count", "2"], ["--count", "2", "--json"], ["--seconds", "0.3", "--summary"]],
    "capture": [["--count", "2"], ["--count", "2", "--tap", "fifo-out", "-w", "FILE"]],
    "replay": [["--fast", "--interface", "host-port", "CAPTURE"]],
    "metrics": [["--once"]],
    "report": [["--quick", "--sizes", "56", "-o", "FILE", "--junit", "FILE2", "--json", "FILE3"]],
    "doctor": [["--no-measure"], ["--no-measure", "--json"]],
}
"""Command: the options with which it is run."""
WITHOUT_A_PEER = {
    "demo": "makes its own link of two honest agents",
    "bench": "makes its own links of honest agents",
    "top": "needs a terminal: the last test above draws its screen; tests/integration/test_top.py runs it in tmux",
    "info": "takes a URL: the second test above",
    "install-extcap": "prints the paths of files that it writes",
    "install-units": "prints the files that it writes",
    "ivshmem-server": "prints the path of its own socket",
    "stack": "prints its own state, addresses and counts: of the peer's words it prints none",
    "completion": "prints a script made from the parser",
    "man": "prints a page made from the parser",
}
"""Command: why it does not print text of a link's peer, or which test has it."""


def test_every_command_of_the_command_line_is_fed_or_has_a_reason() -> None:
    """A new command fails here until it is in one of the two tables."""
    parser = build_parser()
    (commands,) = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    assert not set(FED) & set(WITHOUT_A_PEER)
    assert set(commands) == set(FED) | set(WITHOUT_A_PEER)


@pytest.fixture(scope="module")
def live() -> Iterator[Lab]:
    """A link that runs with pings on it, whose card has written evil into everything that names it."""
    with Lab("evil") as lab:
        lab.start(L.HOST)
        lab.start(L.CARD)
        lab.wait_up()
        stop = threading.Event()
        with Path("/dev/shm", lab.url.removeprefix("shm:")).open("r+b") as memory, pinging(lab):
            writer = threading.Thread(target=keep_evil, args=(memory.fileno(), stop))
            writer.start()
            try:
                yield lab
            finally:
                stop.set()
                writer.join()


def keep_evil(memory: int, stop: threading.Event) -> None:
    """Write evil into the identity of the card, whose honest agent restores it each second."""
    at = L.side_offset(L.CARD) + L.LINE
    while not stop.wait(0.001):
        os.pwrite(memory, EVIL_BYTES.ljust(24, b"!") + EVIL_BYTES[::-1].ljust(24, b"!"), at + 16)


def names_of(files: list[Path], words: list[str]) -> list[str]:
    places = dict(zip(("FILE", "FILE2", "FILE3", "CAPTURE"), map(str, files), strict=True))
    return [places.get(word, word) for word in words]


@pytest.mark.parametrize("command", FED)
def test_command_on_a_running_link_is_harmless(
    live: Lab, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("a", "b", "c", "packets")]
    if command == "replay":
        assert main(["capture", "--window", live.url, "--side", "host", "--count", "2", "-w", str(files[3])]) == 0
        capsys.readouterr()
    for options in FED[command]:
        assert main([command, "--window", live.url, *names_of(files, options)]) in (0, 1)
        out, err = capsys.readouterr()
        assert out + err and not harmful(out) and not harmful(err)
    for file in files[:3]:
        if file.exists():
            assert not any(evil in file.read_bytes() for evil in (b"\x1b[2J", b"\x1b]0;", EVIL_BYTES))


def test_evil_text_reaches_the_commands(live: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """The control: what the commands above were fed with is what they print, escaped."""
    main(["status", "--window", live.url])
    assert r"\x1b[2J" in capsys.readouterr().out
