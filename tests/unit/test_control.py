"""The control socket: one line of JSON per request and per answer, whatever other clients do."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vnetcard.agent import client_wait, control
from vnetcard.agent.client_wait import STOPPED_LIMIT
from vnetcard.agent.control import ControlServer, ask, ask_all, socket_path
from vnetcard.errors import ConfigError, PeerGone
from vnetcard.ring.layout import CARD, HOST

WINDOW = "shm:control-test"
Answer = Callable[[dict[str, Any]], dict[str, Any]]
Serve = Callable[[Answer], ControlServer]


def echo(question: dict[str, Any]) -> dict[str, Any]:
    return {"asked": question["ask"]}


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start the host's server of WINDOW; it is closed after the test."""
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(tmp_path / "run"))
    made: list[ControlServer] = []

    def start(answer: Answer) -> ControlServer:
        made.append(ControlServer(socket_path(WINDOW, HOST), answer))
        return made[-1]

    yield start
    for server in made:
        server.close()


def connect() -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(socket_path(WINDOW, HOST)))
    return client


def exchange(line: bytes) -> dict[str, Any]:
    with connect() as client:
        client.sendall(line)
        client.shutdown(socket.SHUT_WR)
        reply = json.loads(client.makefile("rb").readline())
    assert isinstance(reply, dict)
    return reply


def test_request_is_answered(serve: Serve) -> None:
    serve(echo)
    assert ask(WINDOW, HOST, "status") == {"asked": "status"}


def test_only_the_owner_may_open_the_socket(serve: Serve) -> None:
    serve(echo)
    path = socket_path(WINDOW, HOST)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"\n", b"", b"\xff\xfe\n", b'["ask"]\n', b"7\n", b"[" * 100_000 + b"\n", b"no end of line"]
)
def test_invalid_request_is_answered_by_an_error_and_the_next_one_is_served(serve: Serve, line: bytes) -> None:
    serve(echo)
    assert "invalid request" in exchange(line)["error"]
    assert ask(WINDOW, HOST, "status") == {"asked": "status"}


def test_error_of_the_agent_is_peer_gone_with_its_message(serve: Serve) -> None:
    serve(lambda question: {"error": "no window today"})
    with pytest.raises(PeerGone, match="no window today"):
        ask(WINDOW, HOST, "status")


def test_lost_window_is_reported_and_the_server_goes_on(serve: Serve) -> None:
    def lost(question: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("the window is closed")

    serve(lost)
    for _ in range(2):
        with pytest.raises(PeerGone, match="window is lost"):
            ask(WINDOW, HOST, "status")


def test_twenty_idle_clients_do_not_delay_another_one(serve: Serve) -> None:
    serve(echo)
    idle = [connect() for _ in range(20)]
    started = time.monotonic()
    assert ask(WINDOW, HOST, "status") == {"asked": "status"}
    assert time.monotonic() - started < 1
    for client in idle:
        client.close()


def test_client_that_sends_too_slowly_is_disconnected(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ANSWER_LIMIT", 0.3)
    serve(echo)
    started = time.monotonic()
    with connect() as client, pytest.raises(OSError):
        while time.monotonic() - started < 5:
            client.sendall(b" ")
            time.sleep(0.02)
    assert time.monotonic() - started < 3


STOPPED = """
import os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print(flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def stopped_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The pid of a program that has the card's socket, and is stopped."""
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(tmp_path / "run"))
    path = socket_path(WINDOW, CARD)
    path.parent.mkdir(mode=0o700)
    with subprocess.Popen([sys.executable, "-c", STOPPED, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        yield process.pid
        process.kill()


def test_stopped_agent_is_named_within_a_second(stopped_agent: int) -> None:
    began = time.monotonic()
    with pytest.raises(PeerGone, match=rf"card agent .* \(pid {stopped_agent}\) is stopped: kill -CONT") as caught:
        ask(WINDOW, CARD, "status")
    assert caught.value.unresponsive
    assert STOPPED_LIMIT <= time.monotonic() - began < 4.5, "an agent that runs is given 5 s"


def test_agent_with_a_full_backlog_is_unresponsive(stopped_agent: int) -> None:
    """As after some minutes of a monitoring system's requests."""
    del stopped_agent
    with (
        contextlib.ExitStack() as stack,
        pytest.raises(PeerGone, match="accepts no more requests") as caught,
    ):
        with pytest.raises(BlockingIOError):
            for _ in range(10_000):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(socket_path(WINDOW, CARD)))
        ask(WINDOW, CARD, "status")
    assert caught.value.unresponsive


def test_unresponsive_agent_does_not_hide_the_other(serve: Serve, stopped_agent: int) -> None:
    serve(echo)
    answers = ask_all(WINDOW, "status")
    assert answers.said == [{"asked": "status"}]
    assert list(answers.unresponsive) == ["card"]
    assert f"(pid {stopped_agent}) is stopped" in answers.unresponsive["card"]


def test_agent_that_hangs_is_reported_after_the_limit(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_wait, "ANSWER_LIMIT", 0.2)
    go_on = threading.Event()
    serve(lambda question: {"late": go_on.wait(10)})
    with pytest.raises(PeerGone, match="does not answer within") as caught:
        ask(WINDOW, HOST, "status")
    go_on.set()
    assert caught.value.unresponsive


def test_no_request_is_served_after_close(serve: Serve) -> None:
    entered, go_on, answers = threading.Event(), threading.Event(), []

    def slow(question: dict[str, Any]) -> dict[str, Any]:
        entered.set()
        assert go_on.wait(10)
        answers.append(question)
        return {}

    server = serve(slow)
    with connect() as first, connect() as second:
        first.sendall(b'{"ask": "status"}\n')
        assert entered.wait(10)
        second.sendall(b'{"ask": "status"}\n')
        closing = threading.Thread(target=server.close)
        closing.start()
        closing.join(0.2)
        assert closing.is_alive(), "close returned while an answer was being made"
        go_on.set()
        closing.join(10)
        assert not closing.is_alive()
        count = len(answers)
        time.sleep(0.1)
        assert len(answers) == count


def test_folder_that_another_agent_removes_is_created_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another agent ends, and removes the folder, between this agent's check of the folder and its bind."""
    real, leaving = os.umask, [1, 2, 3]

    def umask(mask: int) -> int:
        if mask == 0o177 and leaving:
            leaving.pop()
            socket_path(WINDOW, HOST).parent.rmdir()
        return real(mask)

    monkeypatch.setattr(os, "umask", umask)
    serve(echo)
    assert not leaving
    assert ask(WINDOW, HOST, "status") == {"asked": "status"}


def test_close_removes_socket_and_empty_folder_and_is_idempotent(serve: Serve) -> None:
    server = serve(echo)
    server.close()
    server.close()
    assert not socket_path(WINDOW, HOST).parent.exists()
    with pytest.raises(PeerGone, match="no host agent answers"):
        ask(WINDOW, HOST, "status")


def test_other_side_has_a_socket_of_its_own(serve: Serve) -> None:
    serve(echo)
    with pytest.raises(PeerGone, match="no card agent"):
        ask(WINDOW, CARD, "status")


def test_socket_left_by_a_killed_agent_is_replaced(serve: Serve) -> None:
    path = socket_path(WINDOW, HOST)
    path.parent.mkdir(mode=0o700)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    serve(echo)
    assert ask(WINDOW, HOST, "status") == {"asked": "status"}


def test_path_too_long_for_a_socket_is_a_configuration_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(tmp_path / ("x" * 120)))
    with pytest.raises(ConfigError, match=r"too long.*VNETCARD_RUN_DIR"):
        ControlServer(socket_path(WINDOW, HOST), echo)


def test_similar_urls_have_different_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(tmp_path))
    long = "file:/" + "very-long/" * 10
    urls = ["shm:a b", "shm:a-b", "shm:a--b", f"{long}one/window", f"{long}two/window", "file:/a/b", "file:/a-b"]
    assert len({socket_path(url, HOST) for url in urls}) == len(urls)


def test_options_of_a_device_do_not_change_the_socket() -> None:
    """``status --window xdma:0@0x1000`` finds an agent that was started with options."""
    assert socket_path("xdma:0@0x1000?events=3&format", HOST) == socket_path("xdma:0@0x1000", HOST)
    assert socket_path("udmabuf:own?engine=xdma:0", HOST) == socket_path("udmabuf:own", HOST)
    assert socket_path("file:/tmp/a?b", HOST) != socket_path("file:/tmp/a", HOST), "a file's name may have a ?"
