"""A hostile peer and a real agent: log lines, carrier changes and CPU stay bounded; then an honest one is up."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.harness.hostile_words import ATTACKS, HostileWords
from tests.harness.restarts import ping
from tests.unit.c_build import seed
from vnetcard.agent import status
from vnetcard.agent.control import ask
from vnetcard.cli.main import main as vnetcard
from vnetcard.lab.lab import Lab, run_in
from vnetcard.link.brake import CARRIER_CHANGES
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.slow]

ATTACK_S = 1.5
LINES = 20
"""Log lines in any second."""
ROUNDING = 1e-3
HONEST_LIMIT = 30.0
"""Seconds for an agent to start on a busy machine, and the 2 s within which its link is up."""


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[tuple[Lab, Path]]:
    """The host's agent alone, not braked yet, and its log."""
    log = tmp_path / "log"
    with log.open("w") as stream, Lab("braked", log=stream) as lab:
        lab.start(L.HOST, "--json-log")
        yield lab, log


def carrier_changes(lab: Lab) -> int:
    inner = run_in(lab.namespaces[L.HOST], ["cat", "/sys/class/net/tun0/carrier_changes"])
    return int(subprocess.run(inner, capture_output=True, text=True, check=True).stdout)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_attack_is_braked(attacked: tuple[Lab, Path], attack: Callable[[HostileWords], None]) -> None:
    lab, log = attacked
    before, skip, cpu = carrier_changes(lab), len(log.read_text().splitlines()), cpu_seconds(lab.agent(L.HOST).pid)
    hostile = HostileWords(lab.url, seed())
    began = time.monotonic()
    hostile.attack(attack, ATTACK_S)
    link = ask(lab.url, L.HOST, "status")["link"]
    hostile.close()
    took = time.monotonic() - began
    changes = carrier_changes(lab) - before
    times = [json.loads(line)["time"] for line in log.read_text().splitlines()[skip:]]
    spent = cpu_seconds(lab.agent(L.HOST).pid) - cpu
    print(f"{attack.__name__}: {changes} carrier changes, {len(times)} lines, {spent / took:.0%} CPU, {link['state']}")
    assert changes <= CARRIER_CHANGES * (took + 1)
    assert all(later - first >= 1 - ROUNDING for first, later in zip(times, times[LINES:], strict=False))
    assert all(first <= later for first, later in pairwise(times))


def test_brake_is_shown_and_an_honest_peer_is_up_soon(
    attacked: tuple[Lab, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lab, _ = attacked
    hostile = HostileWords(lab.url, seed())
    attack = threading.Thread(target=hostile.attack, args=(HostileWords.overwrites, 2 * ATTACK_S))
    attack.start()
    view = lab.wait_for(L.HOST, "braked")
    assert view["link"]["reason_code"] == "side-block-overwritten" and view["link"]["braked"] >= 0
    assert "braked: another program wrote" in status.text(view)
    attack.join()
    for words, wanted in (
        (["show", "link"], "braked     another program wrote"),
        (["metrics", "--once"], 'vnetcard_link_braked{side="host"'),
    ):
        assert vnetcard([*words, "--window", lab.url]) == 0
        assert wanted in capsys.readouterr().out
    hostile.close()
    lab.start(L.CARD)
    began = time.monotonic()
    lab.wait_up(limit=HONEST_LIMIT)
    print(f"up {time.monotonic() - began:.2f} s after the honest agent was ready")
    ping(lab, L.HOST)
