"""Programs as ends of a link: `unix:` and `fd:` ports, without root, and a kernel's ping to a program."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.pings import run_pings
from tests.harness.program_ends import MTU, Ends, packets, port_folder
from tests.harness.programs import FPGA, LIMIT, ROOT, X86, agent, assert_refused, ip, run
from tests.harness.restarts import until
from tests.harness.sweep import checksum
from vnetcard.agent.control import ask
from vnetcard.codes.link import LinkReason
from vnetcard.lab.lab import ADDRESSES, Lab
from vnetcard.ping.suite import Target
from vnetcard.ring import layout as L

pytestmark = pytest.mark.slow


@pytest.fixture
def folder() -> Iterator[Path]:
    with port_folder() as path:
        yield path


@pytest.fixture
def url(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VNETCARD_RUN_DIR", str(folder / "run"))
    return f"file:{folder / 'window'}"


@pytest.fixture
def ends(url: str, folder: Path) -> Iterator[Ends]:
    ends = Ends(url, folder)
    with ends.agents:
        yield ends


def test_packets_of_all_sizes_cross_in_order_and_each_is_in_the_ledger(ends: Ends) -> None:
    with ends.program(L.HOST) as host, ends.program(L.CARD) as card:
        for sender, receiver in ((host, card), (card, host)):
            for packet in packets(50):
                sender.send(packet)
                assert receiver.recv(1 << 17) == packet
        for side, peer in ((L.HOST, L.CARD), (L.CARD, L.HOST)):
            ledger = ends.ledger()
            assert ledger[side]["tx"]["tx_sent"] == ledger[peer]["rx"]["rx_delivered"] == 50


def test_carrier_follows_the_program_behind_the_peers_port(ends: Ends) -> None:
    for side in (L.HOST, L.CARD):
        ends.await_reason(side, LinkReason.PEER_PORT_DOWN)
    for _ in range(3):
        with ends.program(L.CARD):
            assert ends.link(L.CARD)["reason_code"] == LinkReason.PEER_PORT_DOWN.value
            assert [ask(ends.url, side, "status")["port"]["present"] for side in (L.HOST, L.CARD)] == [False, True]
            details = [ask(ends.url, side, "show")["port"]["details"] for side in (L.HOST, L.CARD)]
            assert [(one["kind"], one["up"], one["program"], one["device"]) for one in details] == [
                ("unix", False, False, None),
                ("unix", True, True, None),
            ]
        ends.await_reason(L.HOST, LinkReason.PEER_PORT_DOWN)
    assert ends.both_up(), "the link stays up: its records are accounted for"


def test_last_words_of_a_program_arrive_and_packets_for_an_absent_one_are_counted(ends: Ends) -> None:
    with ends.program(L.HOST) as host:
        card = ends.program(L.CARD)
        sent = packets(40)
        for packet in sent:
            card.send(packet)
        card.close()
        assert [host.recv(1 << 17) for _ in sent] == sent
        ends.await_reason(L.HOST, LinkReason.PEER_PORT_DOWN)
        for packet in sent:
            host.send(packet)
        until(lambda: ends.ledger()[L.CARD]["rx"]["drop_port_down"] == len(sent), "all of them are counted")
        with ends.program(L.CARD) as card:
            host.send(b"again")
            assert card.recv(100) == b"again"


def test_empty_message_and_too_large_one_harm_nothing(ends: Ends) -> None:
    with ends.program(L.HOST) as host, ends.program(L.CARD) as card:
        for packet in (b"", bytes(MTU + 1), b"right"):
            host.send(packet)
        assert card.recv(1 << 17) == b"right"
        assert ends.ledger()[L.HOST]["tx"]["drop_too_big"] == 1


def test_second_program_is_turned_away(ends: Ends) -> None:
    with ends.program(L.HOST) as host, ends.program(L.CARD) as card:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.settimeout(LIMIT)
            other.connect(str(ends.paths[L.CARD]))
            assert other.recv(100) == b""
        host.send(b"still here")
        assert card.recv(100) == b"still here"


def test_killed_agent_is_started_again_at_its_path(ends: Ends) -> None:
    with ends.program(L.HOST) as host:
        for _ in range(3):
            with ends.program(L.CARD) as card:
                host.send(b"before")
                assert card.recv(100) == b"before"
                ends.processes[L.CARD].send_signal(signal.SIGKILL)
                ends.processes[L.CARD].wait(LIMIT)
                assert card.recv(100) == b"", "the program sees that its agent has gone"
            ends.processes[L.CARD] = ends.start(L.CARD)
            until(ends.both_up, "the link is up again")
        assert ends.ledger()[L.HOST]["tx"]["tx_sent"] == 3


def test_socket_is_for_its_user_and_gone_at_the_end(ends: Ends) -> None:
    assert ends.paths[L.HOST].stat().st_mode & 0o777 == 0o600
    ends.agents.close()
    assert not any(path.exists() for path in ends.paths)


def test_inherited_socket_is_a_port(url: str) -> None:
    with contextlib.ExitStack() as opened:
        ours = []
        for program in (X86, FPGA):
            near, far = (opened.enter_context(one) for one in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            far.settimeout(LIMIT)
            ours.append(far)
            number = near.fileno()
            command = [*program, "--window", url, "--port", f"fd:{number}"]
            opened.enter_context(passing(command, number))
        until(lambda: ask(url, L.HOST, "status")["link"]["up"], "the link is up")
        for sender, receiver in (ours, ours[::-1]):
            for packet in packets(4):
                sender.send(packet)
                assert receiver.recv(1 << 17) == packet


@contextlib.contextmanager
def passing(command: list[str], number: int) -> Iterator[None]:
    process = subprocess.Popen(command, pass_fds=[number], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and " ready: " in process.stdout.readline()
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--port unix:", "expected unix:PATH"),
        ("--port unix", "expected unix:PATH"),
        ("--port unix:relative", "expected an absolute path of at most 107 bytes"),
        (f"--port unix:/{'x' * 107}", "expected an absolute path of at most 107 bytes"),
        ("--port unix:/nowhere/port", "cannot listen there (No such file or directory)"),
        ("--port unix:/tmp", "the path is taken"),
        ("--port unix:/dev/null", "the path is taken"),
        ("--port unix:/proc/port", "cannot listen there"),
        ("--port unix:/tmp/x?frames=atm", "expected frames=ip or frames=ethernet"),
        ("--port unix:/tmp/x?mode=666", "'mode=666' is unknown"),
        ("--port unix:/tmp/x --name tun5", "without --name"),
        ("--port unix:/tmp/x --address 10.1.1.1/24", "--address needs an interface"),
        ("--port unix:/tmp/x --netns somewhere", "--netns needs an interface"),
        ("--port unix:/tmp/x --persist", "--persist needs an interface"),
        ("--port unix:/tmp/x --queues 2", "has one queue, not 2"),
        ("--port unix:/tmp/x --bridge br0", "needs Ethernet frames"),
        ("--port fd:", "expected fd:N"),
        ("--port fd:x", "expected the number of an inherited descriptor"),
        ("--port fd:0", "expected the number of an inherited descriptor"),
        ("--port fd:-1", "expected the number of an inherited descriptor"),
        ("--port fd:77", "the parent process passed no such descriptor"),
        ("--port fd:99999999", "expected the number of an inherited descriptor"),
    ],
)
def test_bad_port_is_one_line(url: str, folder: Path, options: str, words: str) -> None:
    outcome = run([*X86, "--window", url, *options.split()])
    assert_refused(outcome, "vnetcard-x86", words)
    assert not (folder / "window").exists()


@pytest.mark.parametrize(("kind", "words"), [("file", "not a socket"), ("stream", "no message boundaries")])
def test_inherited_descriptor_of_another_kind_is_one_line(url: str, kind: str, words: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream, open(os.devnull) as file:  # noqa: PTH123
        number = stream.fileno() if kind == "stream" else file.fileno()
        command = [*X86, "--window", url, "--port", f"fd:{number}"]
        done = subprocess.run(command, pass_fds=[number], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and words in done.stderr


def test_path_of_another_listening_program_is_refused_and_stays(url: str, folder: Path) -> None:
    for number, kind in enumerate((socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM)):
        path = folder / f"taken{number}"
        with socket.socket(socket.AF_UNIX, kind) as other:
            other.bind(str(path))
            if kind != socket.SOCK_DGRAM:
                other.listen()
            assert_refused(run([*X86, "--window", url, "--port", f"unix:{path}"]), "vnetcard-x86", "the path is taken")
            assert path.is_socket()


# --- a kernel and a program --------------------------------------------------------------------------

PAGE = (ROOT / "docs/ports.md").read_text()
ECHO = PAGE.partition("```python\n")[2].partition("```")[0]
"""The documented program that answers pings."""


@pytest.mark.root
def test_kernel_pings_a_program_and_a_program_pings_a_kernel(folder: Path) -> None:
    path = folder / "card"

    def has_carrier() -> bool:
        return " state UP " in ip("-n", lab.namespaces[L.HOST], "-o", "link", "show", "tun0")

    with Lab("program") as lab, contextlib.ExitStack() as running:
        lab.start(L.HOST, "--mtu", str(MTU))
        running.enter_context(agent([*FPGA, "--window", lab.url, "--port", f"unix:{path}", "--mtu", str(MTU)]))
        until(lambda: lab.status(L.HOST)["link"]["reason_code"] == LinkReason.PEER_PORT_DOWN.value, "no carrier")
        echo = running.enter_context(
            subprocess.Popen([sys.executable, "-c", ECHO, str(path)], stdout=subprocess.PIPE, text=True)
        )
        running.callback(echo.terminate)
        assert echo.stdout is not None and echo.stdout.readline() == "connected\n"
        until(has_carrier, "the interface has carrier")
        sizes = [56, 57, 63, 64, 65, 576, 1472, 1473, 2048, 8972]
        results = run_pings([Target(ADDRESSES[L.CARD], netns=lab.namespaces[L.HOST])], count=5, sizes=sizes)
        assert [result.size for result in results if result.ok] == sizes, results
        echo.terminate()
        echo.wait(LIMIT)
        until(lambda: lab.status(L.HOST)["link"]["reason_code"] == LinkReason.PEER_PORT_DOWN.value, "no carrier")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as program:
            program.settimeout(LIMIT)
            program.connect(str(path))
            until(has_carrier, "the interface has carrier")
            for number, size in enumerate(sizes):
                program.send(echo_request(number, size))
                assert_answered(program, number, size)
    assert not path.exists(), "the socket of an agent of root, which Landlock restricts, is gone with it"


def echo_request(number: int, size: int) -> bytes:
    source, target = (socket.inet_aton(ADDRESSES[side]) for side in (L.CARD, L.HOST))
    icmp = bytes([8, 0, 0, 0]) + number.to_bytes(4, "big") + bytes(n & 0xFF for n in range(size))
    icmp = icmp[:2] + checksum(icmp).to_bytes(2, "big") + icmp[4:]
    head = bytes([0x45, 0]) + (20 + len(icmp)).to_bytes(2, "big") + bytes([0, 0, 0, 0, 64, 1, 0, 0]) + source + target
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + icmp


def assert_answered(program: socket.socket, number: int, size: int) -> None:
    """Other packets of the kernel, such as its multicast reports, may come before the reply."""
    while True:
        packet = program.recv(1 << 17)
        if packet[0] >> 4 == 4 and packet[9] == 1 and packet[20] == 0:
            assert packet[24:] == echo_request(number, size)[24:]
            return
