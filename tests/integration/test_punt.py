"""`--punt`: a program beside the kernel, which gets some of the peer's packets and gives back what it wants."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.program_ends import port_folder
from tests.harness.programs import ROOT, VNETCARD, X86, assert_refused, run, started
from tests.harness.restarts import ping, until
from tests.harness.traffic import joined, stream
from vnetcard.agent.control import ask
from vnetcard.lab.lab import Lab
from vnetcard.port.client import PortClient
from vnetcard.ring.layout import CARD, HOST

pytestmark = [pytest.mark.root, pytest.mark.slow]

LIMIT = 60.0
"""Seconds for what takes well under one."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with port_folder() as path:
        yield path


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[Lab]:
    with joined(host=["--punt", f"icmp or tcp=unix:{folder}/punt"]) as lab:
        yield lab


def punt(lab: Lab) -> dict[str, Any]:
    view: dict[str, Any] = ask(lab.url, HOST, "show")["port"]["details"]["punt"]
    return view


@contextmanager
def returning(lab: Lab, path: Path) -> Iterator[list[int]]:
    """A program that returns each packet; yields their sizes."""
    sizes: list[int] = []

    def give_back(client: PortClient) -> None:
        for packet in client:
            sizes.append(len(packet))
            client.send(packet)

    with PortClient.open(path, timeout=LIMIT) as client:
        until(lambda: punt(lab)["program"], "the program is connected")
        thread = threading.Thread(target=give_back, args=[client], daemon=True)
        thread.start()
        yield sizes
        client._socket.shutdown(2)  # ends the thread, which holds the descriptor
        thread.join(LIMIT)
    until(lambda: not punt(lab)["program"], "the program has closed")


def test_kernel_gets_only_what_the_program_returns(lab: Lab, folder: Path) -> None:
    before = ask(lab.url, HOST, "status")["sides"][HOST]["rx"]["drop_port_down"]
    with pytest.raises(AssertionError):
        ping(lab, CARD, limit=1, tries=1)
    assert stream(lab, "udp", 1 << 20, sender=CARD)[1]["bytes"] == 1 << 20, (
        "what the filter does not pick takes no notice"
    )
    status = ask(lab.url, HOST, "status")["sides"][HOST]["rx"]
    assert status["drop_port_down"] - before == punt(lab)["dropped"] > 0
    shown = run([*VNETCARD, "show", "port", "--window", lab.window]).stdout
    assert f"'icmp or tcp' to {folder}/punt: NO PROGRAM is connected: packets are dropped; 0 punted" in shown
    with returning(lab, folder / "punt"):
        ping(lab, CARD)
        view = punt(lab)
        assert view["punted"] == view["returned"] > 0
        assert view["return_refused"] == 0
    assert_ledgers_balance(lab, allow={"drop_port_down"})


def test_super_packets_reach_the_program_as_packets_with_checksums(lab: Lab, folder: Path) -> None:
    with returning(lab, folder / "punt") as sizes:
        sender, receiver = stream(lab, "tcp", 8 << 20, sender=CARD)
        assert sender["hash"] == receiver["hash"]
        assert max(sizes) <= 1500
        records = ask(lab.url, HOST, "status")["sides"][HOST]["rx"]["rx_received"]
        assert len(sizes) > records, "records were cut"
    assert_ledgers_balance(lab, allow={"drop_port_down"})


def test_documented_program_prints_each_packet_and_gives_it_back(lab: Lab, folder: Path) -> None:
    page = (ROOT / "docs/ports.md").read_text(encoding="utf-8")
    (program,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "/run/punt" in code)
    command = [sys.executable, "-c", program.replace("/run/punt", f"{folder}/punt")]
    with started(command) as process:
        until(lambda: punt(lab)["program"], "the program is connected")
        ping(lab, CARD)
        assert process.stdout is not None
        assert process.stdout.readline() == "84 bytes from 10.10.10.5\n"
        process.terminate()
    until(lambda: not punt(lab)["program"], "the program has closed")


def test_killed_agent_serves_a_program_again(folder: Path) -> None:
    rule = f"icmp=unix:{folder}/again?bypass=on"
    with Lab("punt") as lab:
        lab.start(HOST, "--punt", rule)
        lab.start(CARD)
        lab.wait_up()
        ping(lab, CARD)
        assert punt(lab)["punted"] == 0
        with PortClient.open(folder / "again", timeout=LIMIT) as client:
            lab.stop(HOST, signal.SIGKILL)
            assert list(client) == [], "the program sees that the agent has gone"
        lab.start(HOST, "--punt", rule)
        lab.wait_up()
        with returning(lab, folder / "again"):
            ping(lab, CARD)
            assert punt(lab)["punted"] > 0


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("icmp", "expected FILTER=unix:PATH"),
        ("icmp and=unix:/tmp/x", "filter 'icmp and'"),
        ("=unix:/tmp/x", "no filter"),
        ("icmp=unix:tmp/x", "absolute path"),
        ("icmp=unix:/nowhere/x", "cannot listen there"),
        ("icmp=unix:/etc/passwd", "the path is taken"),
        ("icmp=unix:/tmp/x?bypass=perhaps", "bypass=on"),
        (f"icmp=unix:/{'x' * 200}", "at most 107 bytes"),
    ],
)
def test_broken_rule_is_refused_in_one_line(netns_pair: tuple[str, str], rule: str, words: str) -> None:
    command = [*X86, "--window", f"shm:vnetcard-punt-{os.getpid()}", "--netns", netns_pair[0], "--punt", rule]
    assert_refused(run(command), "vnetcard-x86", words)
