"""memfd: windows: sealed memory that two agents hand each other; the contract, and what is special about them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.creation_race import assert_racers_make_one_window
from tests.harness.programs import NOBODY, as_nobody, run, started
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, LayoutMismatch, WindowNotReady, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.geometry import Geometry
from vnetcard.testing import WINDOW_CHECKS, OpenWindow
from vnetcard.window import open_window, read_window
from vnetcard.window.memfd_socket import get_memory
from vnetcard.window.trust import ALONE

HOLD = """
import signal, sys
from vnetcard.window import open_window
window = open_window(sys.argv[1], side=int(sys.argv[2]))
print(window.geometry.instance, flush=True)
signal.pause()
"""


@pytest.fixture(params=["name", "path"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both forms of a URL; afterwards the agents have left nothing in the folder."""
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(tmp_path / "run"))
    yield "memfd:lab0" if request.param == "name" else f"memfd:{tmp_path}/lab0"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def path(tmp_path: Path) -> str:
    return f"memfd:{tmp_path}/lab0"


@contextlib.contextmanager
def holder(url: str, side: int) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that has ``side``, and the window's instance."""
    with started([sys.executable, "-c", HOLD, url, str(side)]) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())


@contextlib.contextmanager
def open_memory(url: str, side: int) -> Iterator[int]:
    """The memory, as the agent of ``side`` gives it."""
    fd = get_memory(Path(f"{url.removeprefix('memfd:')}.{L.SIDES[side]}"), url, ALONE)
    assert fd is not None
    yield fd
    os.close(fd)


@pytest.mark.parametrize("check", WINDOW_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("size", ["16K", "8M"])
def test_window_keeps_its_promise(url: str, check: Callable[[OpenWindow], None], size: str) -> None:
    check(lambda side: open_window(f"{url}+{size}", side=side))


def test_memory_cannot_be_cut_short(path: str) -> None:
    with contextlib.closing(open_window(f"{path}+64K", side=L.HOST)) as window, open_memory(path, L.HOST) as fd:
        for size in (0, 128 << 10):
            with pytest.raises(PermissionError):
                os.ftruncate(fd, size)
        with pytest.raises(PermissionError):
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        state = os.fstat(fd)
        assert state.st_blocks * 512 >= state.st_size == 64 << 10, "a page is missing"
        assert window.vanished() is None


@pytest.mark.parametrize("victim", [L.HOST, L.CARD])
def test_window_lasts_while_one_agent_has_it(path: str, victim: int) -> None:
    with contextlib.closing(open_window(path, side=1 - victim)) as window:
        for _ in range(2):
            with holder(path, victim) as (process, instance):
                assert instance == window.geometry.instance
                process.kill()
                process.wait()
        with contextlib.closing(open_window(path, side=victim)) as again:
            assert again.geometry == window.geometry
        assert window.vanished() is None
        assert Geometry.decode(read_window(path, 4096), 1 << 30) == window.geometry
    with pytest.raises(WindowUnavailable) as caught:
        read_window(path)
    assert caught.value.code == ErrorCode.WINDOW_MISSING


def test_memory_of_killed_agents_is_gone_and_their_sockets_are_no_obstacle(path: str) -> None:
    with holder(path, L.HOST) as (host, instance), holder(path, L.CARD) as (card, _):
        for process in (host, card):
            process.kill()
            process.wait()
        with contextlib.closing(open_window(path, side=L.CARD)) as window:
            assert window.geometry.instance != instance
            with contextlib.closing(open_window(path, side=L.HOST)) as other:
                assert other.geometry == window.geometry


def test_taken_side_names_the_process_even_if_it_is_stopped(path: str) -> None:
    with holder(path, L.HOST) as (process, _):
        for number in (signal.SIGSTOP, signal.SIGCONT):
            process.send_signal(number)
            with pytest.raises(WindowUnavailable, match=f"taken by process {process.pid} of user ") as caught:
                open_window(path, side=L.HOST)
            assert caught.value.code == ErrorCode.WINDOW_TAKEN


def test_stopped_peer_is_waited_for(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second memory must not come into being beside that of a peer that will continue."""
    monkeypatch.setattr("vnetcard.window.memfd_socket.ANSWER_LIMIT", 0.05)
    with holder(path, L.HOST) as (process, instance):
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # until all its threads have stopped
        with pytest.raises(WindowNotReady, match=f"process {process.pid} of .* does not answer"):
            open_window(path, side=L.CARD)
        process.send_signal(signal.SIGCONT)
        monkeypatch.undo()
        with contextlib.closing(open_window(path, side=L.CARD)) as window:
            assert window.geometry.instance == instance


def test_wait_for_a_stopped_peer_ends_with_the_pulse(path: str) -> None:
    def pulse() -> None:
        raise WindowUnavailable("the agent was told to stop")

    with holder(path, L.HOST) as (process, _):
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        with pytest.raises(WindowUnavailable, match="told to stop"):
            open_window(path, side=L.CARD, pulse=pulse)
        process.send_signal(signal.SIGCONT)


def test_other_size_than_a_live_peers_is_refused(path: str) -> None:
    with contextlib.closing(open_window(f"{path}+64K", side=L.HOST)) as window:
        with pytest.raises(LayoutMismatch, match=r"128 KiB.*64 KiB.*stop it"):
            open_window(f"{path}+128K", side=L.CARD)
        open_window(f"{path}+64K", side=L.CARD).close()
        assert window.vanished() is None


def test_removed_socket_is_noticed_and_the_next_opening_heals_it(path: str) -> None:
    with contextlib.closing(open_window(path, side=L.HOST)) as host:
        card = open_window(path, side=L.CARD)
        Path(f"{path.removeprefix('memfd:')}.card").unlink()
        assert "was removed" in (card.vanished() or "") and host.vanished() is None
        card.close()
        with contextlib.closing(open_window(path, side=L.CARD)) as again:
            assert again.vanished() is None and again.geometry == host.geometry


@pytest.mark.parametrize("place", ["a" * 200, "/tmp/" + "a" * 100, "/tmp/..", "/tmp/", "x?onwer=0"])
def test_impossible_name_is_bad_input(place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_window(f"memfd:{place}", side=L.HOST)
    assert caught.value.code == ErrorCode.BAD_URL


@pytest.mark.parametrize("mode", [0o777, 0o775])
@pytest.mark.root
def test_folder_in_which_others_could_put_a_socket_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    os.chown(folder, -1, NOBODY)
    with pytest.raises(WindowUnavailable) as caught:
        open_window(f"memfd:{folder}/lab0", side=L.HOST)
    assert caught.value.code == ErrorCode.WINDOW_UNTRUSTED


@contextlib.contextmanager
def stranger(path: Path, memory: int) -> Iterator[None]:
    """A server at ``path`` that gives ``memory`` to the first client."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                socket.send_fds(client, [b"+"], [memory])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(10)
    path.unlink()


def test_memory_that_is_not_sealed_is_refused(path: str) -> None:
    fd = os.memfd_create("plain", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 64 << 10)
    with stranger(Path(f"{path.removeprefix('memfd:')}.host"), fd), pytest.raises(WindowUnavailable) as caught:
        open_window(path, side=L.CARD)
    os.close(fd)
    assert caught.value.code == ErrorCode.WINDOW_UNTRUSTED and "not sealed" in str(caught.value)


OTHER_USER = """
import sys
from vnetcard.errors import VnetcardError
from vnetcard.ring import layout as L
from vnetcard.window import open_window
try:
    window = open_window(sys.argv[1], side=L.CARD)
    print("instance", window.geometry.instance)
    window.close()
except VnetcardError as error:
    print(error.code.value, error)
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A place in a sticky folder that the group of user nobody may write, and nobody may reach."""
    folder = Path(f"/tmp/vnc-memfd-{os.getpid()}")
    folder.mkdir()
    os.chown(folder, -1, NOBODY)
    folder.chmod(0o1775)
    yield folder / "lab0"
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()


@pytest.mark.root
@pytest.mark.parametrize(
    ("options", "mode", "answer"),
    [
        (f"?group={NOBODY}", None, "instance"),
        ("", None, "Permission denied"),
        ("", 0o666, "does not trust user nobody: start it with ?owner=65534"),
    ],
)
def test_only_trusted_users_get_the_memory(shared: Path, options: str, mode: int | None, answer: str) -> None:
    with contextlib.closing(open_window(f"memfd:{shared}{options}", side=L.HOST)) as window:
        given = Path(f"{shared}.host")
        assert stat.S_IMODE(given.stat().st_mode) == (0o660 if options else 0o600)
        if mode:
            given.chmod(mode)
        done = run(as_nobody([sys.executable, "-c", OTHER_USER, f"memfd:{shared}?group={NOBODY}"]))
        assert answer in done.stdout, done
        if options:
            assert done.stdout.split() == ["instance", str(window.geometry.instance)]


@pytest.mark.root
def test_memory_of_a_stranger_is_not_taken(shared: Path) -> None:
    with started(as_nobody([sys.executable, "-c", HOLD, f"memfd:{shared}?group={NOBODY}", "0"])) as process:
        assert process.stdout is not None
        instance = int(process.stdout.readline())
        with pytest.raises(WindowUnavailable, match=rf"process {process.pid} of user nobody.*\?owner=65534") as caught:
            open_window(f"memfd:{shared}", side=L.CARD)
        assert caught.value.code == ErrorCode.WINDOW_UNTRUSTED
        with contextlib.closing(open_window(f"memfd:{shared}?owner=nobody", side=L.CARD)) as window:
            assert window.geometry.instance == instance


def test_six_agents_at_once_make_one_window(path: str) -> None:
    assert_racers_make_one_window(path, rounds=10, racers=6)
