"""What an agent says of a memif port that cannot be opened, or whose peer cannot be served: one line each."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.program_ends import port_folder
from tests.harness.programs import VNETCARD, X86, agent, assert_refused, run
from tests.harness.restarts import until
from vnetcard.agent.control import ask
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port import open_port, presence_of
from vnetcard.ring.layout import HOST


@pytest.fixture
def folder() -> Iterator[Path]:
    with port_folder() as path:
        yield path


@pytest.fixture
def url(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(folder / "run"))
    return f"file:{folder / 'window'}"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("relative", "expected an absolute path of at most 107 bytes"),
        ("@abstract", "expected an absolute path of at most 107 bytes"),
        (f"/{'x' * 107}", "expected an absolute path of at most 107 bytes"),
        ("/nowhere/port?role=server", "cannot listen there (No such file or directory)"),
        ("/tmp?role=server", "the path is taken"),
        ("/dev/null?role=server", "the path is taken"),
        ("/tmp/x?role=master", "'role=master' is unknown: expected role=client or role=server"),
        ("/tmp/x?role=", "expected role=client or role=server"),
        ("/tmp/x?frames=ip", "'frames=ip' is unknown or repeated: expected role=, id=, ring= or buffer="),
        ("/tmp/x?", "expected role=, id=, ring= or buffer="),
        ("/tmp/x?id=1&id=2", "'id=2' is unknown or repeated"),
        ("/tmp/x?id=4294967296", "'id=4294967296' is out of range (0 to 4294967295)"),
        ("/tmp/x?id=-1", "'id=-1' is out of range"),
        ("/tmp/x?ring=0", "'ring=0' is out of range (1 to 14)"),
        ("/tmp/x?ring=15", "'ring=15' is out of range (1 to 14)"),
        ("/tmp/x?ring=1\u0662", "is out of range (1 to 14)"),
        ("/tmp/x?buffer=2047", "'buffer=2047' is no multiple of 64"),
        ("/tmp/x?buffer=65600", "'buffer=65600' is out of range (64 to 65536)"),
    ],
)
def test_bad_place_is_one_line(place: str, words: str) -> None:
    with pytest.raises((ConfigError, PortUnavailable)) as caught:
        open_port(f"memif:{place}")
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--port memif", "expected memif:PATH"),
        ("--port memif:/tmp/x?ring=15", "'ring=15' is out of range (1 to 14)"),
        ("--port memif:/tmp/x --name tun5", "without --name"),
        ("--port memif:/tmp/x --address 10.1.1.1/24", "--address needs an interface"),
        ("--port memif:/tmp/x --netns somewhere", "--netns needs an interface"),
        ("--port memif:/tmp/x --queues 2", "has one queue, not 2"),
        ("--port memif:/tmp/x --mac 02:00:00:00:00:01", "--mac 02:00:00:00:00:01 needs"),
    ],
)
def test_bad_option_is_one_line(url: str, folder: Path, options: str, words: str) -> None:
    outcome = run([*X86, "--window", url, *options.split()])
    assert_refused(outcome, "vnetcard-x86", words)
    assert not (folder / "window").exists()


def test_port_is_shown_with_its_peer(url: str, folder: Path) -> None:
    with agent([*X86, "--window", url, "--port", f"memif:{folder / 'port'}?role=server"]):

        def details() -> dict[str, object]:
            found: dict[str, object] = ask(url, HOST, "show")["port"]["details"]
            return found

        alone = {"role": "server", "peer": "", "receive_slots": 0, "send_slots": 0, "faults": 0}
        assert (details()["kind"], details()["program"], details()["rings"]) == ("memif", False, alone)
        with contextlib.closing(open_port(f"memif:{folder / 'port'}?ring=3")) as far:
            until(lambda: bool(presence_of(far)), "the client is connected")
            until(lambda: details()["program"] is True, "the agent shows it")
            assert details()["rings"] == alone | {"peer": "vnetcard", "receive_slots": 8, "send_slots": 8}
            shown = run([*VNETCARD, "show", "port", "--window", url])
            assert "server of 'vnetcard'; rings of 8 (in) and 8 slots (out)" in shown.stdout, shown
        until(lambda: details()["program"] is False, "the client has gone")


def test_peer_that_cannot_be_served_is_one_line_in_the_log(url: str, folder: Path) -> None:
    """Until it says something else, and the one that can be served gets its turn."""
    path = folder / "port"
    command = [*X86, "--window", url, "--port", f"memif:{path}?role=server&id=3"]
    with agent(command) as process:
        for message in (b"", b"\0" * 128, b"\0" * 128):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
                peer.connect(str(path))
                peer.recv(128)
                peer.send(message)
                assert _closed(peer)
        with contextlib.closing(open_port(f"memif:{path}?id=3")) as far:
            until(lambda: bool(presence_of(far)), "the client is connected")
        process.terminate()
        _, said = process.communicate()
    lines = [line for line in said.splitlines() if "port memif:" in line]
    assert len(lines) == 2, said
    assert "the peer has gone" in lines[0] and "unknown kind 0" in lines[1]


def _closed(peer: socket.socket) -> bool:
    peer.settimeout(30)
    with contextlib.suppress(ConnectionResetError):
        while peer.recv(128):
            pass
    return True


def test_client_and_server_of_different_ids_say_so(folder: Path) -> None:
    with (
        contextlib.closing(open_port(f"memif:{folder / 'port'}?role=server")) as server,
        contextlib.closing(open_port(f"memif:{folder / 'port'}?id=7")) as client,
    ):
        said: dict[str, list[str]] = {"server": [], "client": []}

        def both_said() -> bool:
            for name, port in (("server", server), ("client", client)):
                said[name] += port.take_news()  # type: ignore[attr-defined]
            return all(said.values())

        until(both_said, "both say why")
    words = "the client asks for the interface id 7; this port has id=0"
    assert said["server"] == [f"port memif:{folder / 'port'}: {words}"]
    assert said["client"] == [f"port memif:{folder / 'port'}: the peer has disconnected: {words}"]
