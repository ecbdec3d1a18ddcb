"""Whose answers a client believes: those of its own user, of root, and of the user who was given the folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.programs import NOBODY, VNETCARD, X86, as_nobody, assert_refused, run, started
from vnetcard.agent.control import ask, socket_path
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

FAKE = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listening", flush=True)
while True:
    client, _ = listener.accept()
    client.recv(65536)
    client.sendall(b'{"fake": true}\\n')
    client.close()
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run directory in /tmp, as for an ordinary user without XDG_RUNTIME_DIR."""
    path = Path(f"/tmp/vnc-control-{os.getpid()}")
    path.mkdir(mode=0o700)
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(path))
    yield path
    for left in path.iterdir():
        left.unlink()
    path.rmdir()


def refused() -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        ask("shm:x", L.HOST, "status")
    return caught.value


@pytest.mark.parametrize(
    ("owner", "mode", "words"),
    [(NOBODY, 0o700, "belongs to user nobody"), (0, 0o777, "every user may replace")],
)
def test_folder_that_another_user_may_have_made_is_not_believed(
    folder: Path, owner: int, mode: int, words: str
) -> None:
    os.chown(folder, owner, owner)
    folder.chmod(mode)
    error = refused()
    assert error.code == ErrorCode.WINDOW_UNTRUSTED and words in str(error)
    shown = run([*VNETCARD, "status", "--window", "shm:x"])
    assert (shown.status, shown.stderr.count("\n")) == (2, 1), shown


def test_socket_of_another_user_is_not_believed(folder: Path) -> None:
    folder.chmod(0o1777)  # sticky: the fake can only add a socket
    with started(as_nobody([sys.executable, "-c", FAKE, str(socket_path("shm:x", L.HOST))])) as fake:
        assert fake.stdout is not None
        assert fake.stdout.readline() == "listening\n"
        error = refused()
        assert error.code == ErrorCode.WINDOW_UNTRUSTED and f"process {fake.pid} of user nobody" in str(error)


def test_folder_that_root_gave_to_a_service_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As /run/vnetcard, which systemd makes for the user of the service."""
    path = Path(f"/run/vnc-control-{os.getpid()}")
    path.mkdir(mode=0o700)
    os.chown(path, NOBODY, NOBODY)
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(path))
    try:
        with started(as_nobody([sys.executable, "-c", FAKE, str(socket_path("shm:x", L.HOST))])) as agent:
            assert agent.stdout is not None
            assert agent.stdout.readline() == "listening\n"
            assert ask("shm:x", L.HOST, "status") == {"fake": True}
    finally:
        for left in path.iterdir():
            left.unlink()
        path.rmdir()


@pytest.mark.parametrize("trap", ["link", "mode"])
def test_agent_puts_no_socket_where_its_clients_would_believe_none(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    """A folder of the agent's own user, reached by another user's symbolic link in /tmp, or open to every user."""
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    (own / "kept").touch()
    if trap == "link":
        folder.chmod(0o1777)
        (folder / "run").symlink_to(own)
        os.chown(folder / "run", NOBODY, NOBODY, follow_symlinks=False)
        monkeypatch.setenv("VNETCARD_RUN_DIR", str(folder / "run"))
    else:
        own.chmod(0o777)
        monkeypatch.setenv("VNETCARD_RUN_DIR", str(own))
    window = f"shm:vnc-control-{os.getpid()}"
    done = run([*X86, "--window", window, "--name", "vnccontrol0", "--address", "none"])
    assert_refused(done, "vnetcard-x86", "control socket", "set VNETCARD_RUN_DIR")
    assert [entry.name for entry in own.iterdir()] == ["kept"]
    assert not Path("/dev/shm", window.removeprefix("shm:")).exists()
