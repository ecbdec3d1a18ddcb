"""Readers that do not read (stderr, stdout, sd_notify, control socket, taps) neither stop nor delay a link."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.blocked import FullPipe, FullSocket
from tests.harness.restarts import ping, until
from tests.integration.test_exit import seconds_to_end
from vnetcard.agent.control import borrow, socket_path
from vnetcard.lab.lab import Lab
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.tap_shm import TapRequest

pytestmark = [pytest.mark.root, pytest.mark.slow]

END_LIMIT = 5.0
"""Seconds until an agent has ended, on a busy machine; it waits for the readers of its output for 0.1 s each."""
CLIENTS = 20


class Blocked:
    """A link whose host agent has no reader of its stdout, its stderr and its notifications."""

    def __init__(self, lab: Lab, folder: Path, *options: str) -> None:
        self.lab, self.stdout, self.stderr = lab, FullPipe(), FullPipe()
        self.notify = FullSocket(folder / "notify")
        script = f'exec "$@" >{self.stdout.path} 2>{self.stderr.path}'
        before = ["sh", "-c", script, "sh", "env", f"NOTIFY_SOCKET={self.notify.path}"]
        lab.commands[L.HOST] = [*before, *lab.commands[L.HOST]]
        lab.launch(L.HOST, *options)
        lab.start(L.CARD)
        lab.wait_up()

    def end(self) -> None:
        """SIGTERM ends the agent all the same."""
        took = seconds_to_end(self.lab.agent(L.HOST), signal.SIGTERM)
        print(f"ended after {took:.3f} s")
        assert took < END_LIMIT
        assert self.lab.stop(L.HOST) == 0

    def close(self) -> None:
        for one in (self.stdout, self.stderr, self.notify):
            one.close()


@pytest.fixture
def blocked(tmp_path: Path) -> Iterator[Blocked]:
    with Lab("blocked") as lab, contextlib.closing(Blocked(lab, tmp_path)) as blocked:
        yield blocked


def test_link_lives_and_ends_without_readers_of_its_output(blocked: Blocked) -> None:
    lab = blocked.lab
    lab.stop(L.CARD)
    lab.start(L.CARD)
    lab.wait_up()
    ping(lab, L.HOST)
    blocked.end()


def test_what_could_not_be_written_follows_once_it_is_read(blocked: Blocked) -> None:
    assert "link handshake: starting" in blocked.stderr.read_until(lambda text: "link run" in text)
    assert " ready: " in blocked.stdout.read_until(lambda text: text.endswith("\n"))
    blocked.notify.receive(b"READY=1")
    blocked.end()


def test_clients_and_tap_readers_that_do_not_read_hold_up_nothing(blocked: Blocked) -> None:
    lab = blocked.lab
    request = TapRequest(stages=(1 << len(T.STAGES)) - 1, ring_bytes=T.RING_MIN)
    with contextlib.ExitStack() as stack:
        stack.enter_context(borrow(lab.url, L.HOST, request.as_question()))  # a ring that is full at once
        for _ in range(CLIENTS):
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.connect(str(socket_path(lab.url, L.HOST)))
            client.sendall(json.dumps({"ask": "show"}).encode() + b"\n")
        other = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        other.connect(str(socket_path(lab.url, L.HOST)))
        threads = Path(f"/proc/{lab.agent(L.HOST).pid}/task")
        until(lambda: len(list(threads.iterdir())) > 1, "the clients are served")
        ping(lab, L.HOST)
        assert lab.status(L.HOST)["link"]["up"]
        blocked.end()
