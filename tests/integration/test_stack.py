"""`vnetcard stack` against an agent: pings of every size, TCP of checked bytes, kills of either side, refusals."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.build_cache import build_cache  # noqa: F401 - for the stack
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import skip_or_fail
from tests.harness.pings import run_pings
from tests.harness.programs import LIMIT, VNETCARD, agent, ip, run, started
from tests.harness.restarts import until
from vnetcard.firmware.build import LWIP
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.ping.suite import DEFAULT_SIZES, Target
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("build_cache")]
HOST, CARD = ADDRESSES
MTU = "65535"
ECHO = """
import hashlib, os, socket, sys, threading
data = os.urandom(3 << 20)
with socket.create_connection((sys.argv[1], 7), 30) as far:
    def send():
        far.sendall(data)
        far.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send)
    thread.start()
    got = bytearray()
    while piece := far.recv(1 << 16):
        got += piece
    thread.join()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    udp.settimeout(30)
    udp.sendto(data[:1000], (sys.argv[1], 7))
    assert udp.recv(2000) == data[:1000]
assert got == data, (len(got), len(data))
"""
SINK = """
import socket, sys
with socket.create_server((sys.argv[1], 5001)) as server:
    print("listening", flush=True)
    far, total = server.accept()[0], 0
    while piece := far.recv(1 << 16):
        assert not any(piece)
        total += len(piece)
    print(total, flush=True)
"""


class Card:
    """A stack as the card of a lab; its commands are written to its standard input."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, command: str) -> dict[str, Any]:
        """Give one command that prints one row; returns the row."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.next_row()

    def next_row(self) -> dict[str, Any]:
        """The next row that is printed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the stack has ended: {self.process.communicate(timeout=LIMIT)}"
        row: dict[str, Any] = json.loads(line)
        return row


@contextlib.contextmanager
def card(lab: Lab, *options: str) -> Iterator[Card]:
    """A running stack that is up."""
    command = [*VNETCARD, "stack", "--window", lab.window, "--json", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            one = Card(process)
            assert one.ask("up 30")["state"] == "up"
            yield one
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    if not (LWIP / "lwip/netif.h").exists():
        skip_or_fail("lwIP is missing: scripts/system-packages.sh test")
    with Lab("stack", sides=(L.HOST,)) as lab:
        lab.start(L.HOST, "--mtu", MTU)
        yield lab


def host_pings(lab: Lab, *sizes: int, count: int = 5) -> None:
    lab.wait_open()
    results = run_pings([Target(CARD, netns=lab.namespaces[L.HOST])], sizes or DEFAULT_SIZES, count=count)
    assert [result.size for result in results if not result.ok] == [], results


def test_every_ping_size_in_both_directions_and_tcp_of_checked_bytes(lab: Lab) -> None:
    with card(lab, "--mtu", MTU) as stack:
        host_pings(lab)
        for size in (0, 1, 7, 8, 9, 47, 48, 49, *DEFAULT_SIZES):
            row = stack.ask(f"ping {HOST} {size} 5")
            assert (row["received"], row["damaged"]) == (5, 0), row
        assert stack.ask("echo") == {"command": "serve", "kind": "echo", "port": 7}
        subprocess.run(
            run_in(lab.namespaces[L.HOST], [sys.executable, "-c", ECHO, CARD]), check=True, timeout=2 * LIMIT
        )
        served = stack.ask("services")
        names = ("connections", "open", "tcp_bytes", "udp_bytes")
        assert [served[name] for name in names] == [1, 0, 3 << 20, 1000]
        with started(run_in(lab.namespaces[L.HOST], [sys.executable, "-c", SINK, HOST])) as sink:
            assert sink.stdout is not None and sink.stdout.readline() == "listening\n"
            load = stack.ask(f"iperf {HOST} 1")
            assert (load["error"], int(sink.stdout.readline()) >= load["bytes"] > 1 << 20) == ("", True)
        assert stack.ask("link\nlink")["up"] and stack.next_row()["up"], "two lines that come at once"
        assert stack.ask("route")["network"] == "10.10.10.0"
        assert_ledgers_balance(lab)
    lab.wait_for(L.HOST, "waiting")


def test_killed_stack_and_killed_agent_are_back_and_each_packet_is_accounted_for(lab: Lab) -> None:
    flood = ["ping", "-q", "-f", "-w", "60", CARD]
    with contextlib.ExitStack() as running:
        stack = running.enter_context(card(lab, "--mtu", MTU))
        lab.wait_open()
        running.enter_context(started(run_in(lab.namespaces[L.HOST], flood)))
        for _ in range(2):
            stack.process.send_signal(signal.SIGKILL)
            stack.process.wait(LIMIT)
            stack = running.enter_context(card(lab, "--mtu", MTU))
        lab.stop(L.HOST, signal.SIGKILL)
        lab.start(L.HOST, "--mtu", MTU)
        until(lambda: stack.ask("link")["up"] and stack.ask(f"ping {HOST} 56 1")["received"] == 1, "the link is back")
        running.enter_context(started(run_in(lab.namespaces[L.HOST], flood)))
        running.pop_all().close()
    with card(lab, "--mtu", MTU) as stack:
        host_pings(lab, 56, 9000, count=5)
        view = assert_ledgers_balance(lab, allow={"lost_restart", "drop_link_down", "drop_peer_dead"})[0]
        assert view["sides"][L.CARD]["link"]["link_up"] >= 5, "counted on by each owner of the side"
        before = view["sides"][L.CARD]["link"]["peer_dead"]
        lab.agent(L.HOST).send_signal(signal.SIGSTOP)
        try:
            until(lambda: stack.ask("link")["state"] == "peer_dead", "a stopped agent is dead after a second")
        finally:
            lab.agent(L.HOST).send_signal(signal.SIGCONT)
        assert stack.ask("up 30")["up"]
        assert lab.status(L.HOST)["sides"][L.CARD]["link"]["peer_dead"] == before + 1


def test_ethernet_frames_with_a_tap_and_their_refusal_without(lab: Lab) -> None:
    window = f"{lab.window}-tap"
    command = [*lab.commands[L.HOST], "--window", window, "--netns", lab.namespaces[L.HOST], "--port", "tap:tap5"]
    with agent([*command, "--address", "10.77.0.1/24"]):
        options = ["--window", window, "--address", "10.77.0.5/24"]
        refused = run([*VNETCARD, "stack", *options, "--json", "-c", "up 1"])
        assert (refused.status, json.loads(refused.stdout)["state"]) == (1, "refused")
        with card(lab, *options, "--ethernet", "--mac", "02:00:00:00:00:77") as stack:
            assert stack.ask("ping 10.77.0.1 1472 5")["received"] == 5
            arp = stack.ask("arp")
            shown = ip("-n", lab.namespaces[L.HOST], "-j", "link", "show", "tap5")
            assert (arp["address"], arp["mac"]) == ("10.77.0.1", json.loads(shown)[0]["address"])
            results = run_pings([Target("10.77.0.5", netns=lab.namespaces[L.HOST])], [56, 1472], count=5)
            assert all(result.ok for result in results), results
            assert "02:00:00:00:00:77" in ip("-n", lab.namespaces[L.HOST], "neigh")


def test_lines_of_standard_input_are_commands_and_errors_do_not_end_the_shell(tmp_path: Path) -> None:
    command = [*VNETCARD, "stack", "--window", f"file:{tmp_path / 'window'}"]
    lines = "echo\necho\ndance\n\nnetstat # both\nquit\nlink\n"
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: echo 7: address in use",
        "error: unknown command 'dance': help lists them",
    ]
    ready, serves, *table = done.stdout.splitlines()
    assert ready.startswith("vnetcard stack ready: card of file:") and serves == "echo serves port 7"
    assert [line.split() for line in table][1:] == [["tcp", "0.0.0.0:7", "*", "LISTEN"], ["udp", "0.0.0.0:7", "*"]]
