"""``LinkSession``: what it opens, moves, refuses and closes; the example of docs/library.md runs."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vnetcard import CARD, HOST, ConfigError, FrameTooLarge, LinkSession, LinkState, PeerGone, open_window
from vnetcard.codes.link import LinkReason
from vnetcard.link.types import Agreement, Offer
from vnetcard.port.memory_pair import PairPort

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url() -> str:
    return f"shm:session-{secrets.token_hex(4)}+64K"


@contextlib.contextmanager
def ticked(session: LinkSession) -> Iterator[LinkSession]:
    """``session``, entered and ticked by a thread: the other side of a test."""
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            session.wait(min(session.tick(), 0.01))

    with session:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield session
        finally:
            stop.set()
            thread.join()


def test_example_of_the_documentation_prints_what_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/library.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    body = [line for line in example.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(body) <= 10
    program = tmp_path / "example.py"
    program.write_text(example.replace("shm:example", f"shm:example-{secrets.token_hex(4)}"))
    both = [
        subprocess.Popen([sys.executable, program, side], stdout=subprocess.PIPE, text=True)
        for side in ("card", "host")
    ]
    (card, _), (host, _) = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert (card, host) == ("", "b'hello'\n")
    assert "`b'hello'`" in page


def test_packets_move_between_pumps_and_a_session_without_port(url: str) -> None:
    port = PairPort("a")
    with (
        contextlib.closing(port),
        ticked(LinkSession(url, CARD, port=port)) as card,
        LinkSession(url, HOST) as host,
    ):
        assert host.wait_up(10) == host.agreement
        assert host.agreement.packet_max == min(host.window.geometry.mtu_max, card.window.geometry.mtu_max)
        assert host.send(b"to the card")
        port.far.settimeout(10)
        assert port.far.recv(2000) == b"to the card"
        port.far.send(b"to the host")
        assert host.receive(timeout=10) == b"to the host"
        assert port.carrier
    assert card.link.state is host.link.state is LinkState.DOWN


def test_packet_larger_than_agreed_is_refused(url: str) -> None:
    with ticked(LinkSession(url, CARD, offer=Offer(0, 1000))), LinkSession(url, HOST) as host:
        assert host.wait_up(10).packet_max == 1000
        assert host.send(bytes(1000))
        with pytest.raises(FrameTooLarge):
            host.send(bytes(1001))


def test_session_without_a_peer_says_its_state(url: str) -> None:
    with LinkSession(url, HOST) as host:
        assert host.receive(timeout=0.01) is None
        assert list(host) == []
        with pytest.raises(PeerGone):
            host.send(b"x")
        with pytest.raises(PeerGone, match=r"0\.05 s .*waiting"):
            host.wait_up(0.05)


def test_iteration_ends_with_the_peer(url: str) -> None:
    with LinkSession(url, HOST) as host:
        with ticked(LinkSession(url, CARD)):
            host.wait_up(10)
        assert list(host) == []


def test_session_with_a_port_has_no_packets_of_its_own(url: str) -> None:
    with LinkSession(url, HOST, port="pair:x") as session:
        assert len(session.pumps.pairs) == 1
        for use in (lambda: session.send(b"x"), session.receive):
            with pytest.raises(ConfigError):
                use()
    with LinkSession(url, HOST) as session, pytest.raises(ConfigError):
        _ = session.pumps


def test_listener_is_called_after_the_port_was_set_up(url: str) -> None:
    calls: list[object] = []

    class Listener:
        def link_up(self, agreement: Agreement) -> None:
            calls.append(agreement.mtu)

        def carrier(self, up: bool, reason: str) -> None:
            calls.append((up, port.carrier))

        def report(self, message: str, code: LinkReason) -> None:
            pass

    with (
        contextlib.closing(PairPort("a")) as port,
        ticked(LinkSession(url, CARD)),
        LinkSession(url, HOST, port=port, listener=Listener()) as host,
    ):
        mtu = host.wait_up(10).mtu
    assert calls == [mtu, (True, True), (False, False)]


def test_objects_that_are_given_stay_open(url: str) -> None:
    with contextlib.closing(open_window(url, side=HOST)) as window, contextlib.closing(PairPort("a")) as port:
        for _ in range(2):
            session = LinkSession(window, HOST, port=port)
            with session:
                pass
            session.close()  # idempotent
        assert window.memory.size
        assert port.far.fileno() >= 0


def test_session_closes_the_window_that_it_opened(url: str) -> None:
    with pytest.raises(ConfigError):
        LinkSession(url, HOST, port="no-such-kind:x")
    with LinkSession(url, HOST):
        pass
    with contextlib.closing(open_window(url, side=HOST)):
        pass
