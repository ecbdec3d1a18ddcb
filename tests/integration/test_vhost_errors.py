"""What an agent says of a vhost-user port that cannot be opened, or whose front-end cannot be served: one line each."""

from __future__ import annotations

import contextlib
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.program_ends import port_folder
from tests.harness.programs import VNETCARD, X86, agent, assert_refused, run
from tests.harness.restarts import until
from tests.harness.vhost_front_end import SIZE, FrontEnd
from vnetcard.agent.control import ask
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.port import open_port
from vnetcard.port.vhost_protocol import HEADER
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
        ("/nowhere/port", "cannot listen there (No such file or directory)"),
        ("/tmp", "the path is taken"),
        ("/dev/null", "the path is taken"),
        ("/tmp/x?role=x", "'role=x' is unknown: expected role=server or role=client"),
        ("/tmp/x?role=", "expected role=server or role=client"),
        ("/tmp/x?queues=2", "'queues=2' is unknown: expected role="),
        ("/tmp/x?role=client&role=server", "'role=client&role=server' is unknown"),
        ("/tmp/x?", "'' is unknown: expected role="),
    ],
)
def test_bad_place_is_one_line(place: str, words: str) -> None:
    with pytest.raises((ConfigError, PortUnavailable)) as caught:
        open_port(f"vhost-user:{place}")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_path_at_which_another_program_listens_is_one_line(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / "port"))
        other.listen()
        with pytest.raises(PortUnavailable, match="the path is taken: another program listens there"):
            open_port(f"vhost-user:{folder / 'port'}")
    with contextlib.closing(open_port(f"vhost-user:{folder / 'port'}")):  # of a program that was killed
        assert stat.S_IMODE((folder / "port").stat().st_mode) == 0o600
    assert not (folder / "port").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--port vhost-user", "expected vhost-user:PATH"),
        ("--port vhost-user:/tmp/x --name tun5", "without --name"),
        ("--port vhost-user:/tmp/x --queues 2", "has one queue, not 2"),
    ],
)
def test_bad_option_is_one_line(url: str, folder: Path, options: str, words: str) -> None:
    outcome = run([*X86, "--window", url, *options.split()])
    assert_refused(outcome, "vnetcard-x86", words)
    assert not (folder / "window").exists()


def test_port_is_shown_with_its_driver_and_the_socket_is_removed_at_the_end(url: str, folder: Path) -> None:
    with agent([*X86, "--window", url, "--port", f"vhost-user:{folder / 'port'}"]):

        def details() -> dict[str, object]:
            found: dict[str, object] = ask(url, HOST, "show")["port"]["details"]
            return found

        alone = {"role": "server", "features": [], "receive_slots": 0, "send_slots": 0, "faults": 0}
        assert (details()["kind"], details()["program"], details()["rings"]) == ("vhost-user", False, alone)
        with contextlib.closing(FrontEnd.connected_to(str(folder / "port"))) as driver:
            driver.connect()
            until(lambda: details()["program"] is True, "the agent shows it")
            names = ["mrg_rxbuf", "indirect_desc", "version_1"]
            assert details()["rings"] == alone | {"features": names, "receive_slots": SIZE, "send_slots": SIZE}
            shown = run([*VNETCARD, "show", "port", "--window", url])
            assert "server; rings of 8 (in) and 8 slots (out); mrg_rxbuf indirect_desc version_1" in shown.stdout, shown
        until(lambda: details()["rings"] == alone, "the front-end has gone")
        assert (folder / "port").exists()
    assert not (folder / "port").exists()


def test_front_end_that_cannot_be_served_is_one_line_in_the_log(url: str, folder: Path) -> None:
    """Until it says something else, and the one that can be served gets its turn."""
    path = folder / "port"
    with agent([*X86, "--window", url, "--port", f"vhost-user:{path}"]) as process:
        for message in (HEADER.pack(77, 1, 0), bytes(12), bytes(12)):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(30)
                peer.connect(str(path))
                peer.send(message)
                assert peer.recv(128) == b""
        with contextlib.closing(FrontEnd.connected_to(str(path))) as driver:
            driver.connect()
        process.terminate()
        _, said = process.communicate()
    lines = [line for line in said.splitlines() if "port vhost-user:" in line]
    assert len(lines) == 2, said
    assert "the unknown request 77" in lines[0] and "it does not speak vhost-user" in lines[1]
