"""The folder of the sockets: the last agent in it removes it, at any moment for others."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from vnetcard import open_window
from vnetcard.agent.control import ControlServer, ask, socket_path
from vnetcard.errors import PeerGone, WindowUnavailable
from vnetcard.ring.layout import HOST
from vnetcard.window import run_folder, trust
from vnetcard.window.trust import Sharing

WINDOW = "shm:run-folder"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Removed, once, before its first check."""
    removed: list[Path] = []

    def walk(folder: Path, url: str, sharing: Sharing) -> bool:
        if not removed:
            removed.append(folder)
            folder.rmdir()
        return trust_walk(folder, url, sharing)

    trust_walk = trust.walk
    monkeypatch.setattr(trust, "walk", walk)
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(tmp_path / "run"))
    return tmp_path / "run"


def test_client_finds_no_agent(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(PeerGone, match="no host agent answers"):
        ask(WINDOW, HOST, "status")


def test_agent_makes_it_again(folder: Path) -> None:
    server = ControlServer(socket_path(WINDOW, HOST), lambda question: question)
    try:
        assert ask(WINDOW, HOST, "status") == {"ask": "status"}
    finally:
        server.close()
    assert not folder.exists()


def test_window_makes_it_again(folder: Path) -> None:
    open_window("memfd:removed", side=HOST).close()
    assert not folder.exists()


def test_window_in_a_folder_that_it_did_not_make_is_unavailable(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(WindowUnavailable, match="cannot open the folder"):
        open_window(f"memfd:{folder}/window", side=HOST)


def test_attempts_end() -> None:
    tries = 0

    def attempt() -> None:
        nonlocal tries
        tries += 1
        raise FileNotFoundError(errno.ENOENT, "")

    with pytest.raises(FileNotFoundError):
        run_folder.retry(attempt)
    assert tries == run_folder.TRIES
