"""A peer that names itself in escape sequences: no printing command lets them through to the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.evil_text import EVIL, EVIL_BYTES, harmful
from tests.harness.hostile_words import HostileWords
from tests.unit.c_build import seed
from vnetcard.agent import status
from vnetcard.agent.control import ask
from vnetcard.cli.main import main
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
