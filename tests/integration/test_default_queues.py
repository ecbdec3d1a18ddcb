"""How many queue pairs agents have where nobody asks for a number."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.programs import VNETCARD, ip
from tests.harness.restarts import ping
from tests.integration.test_queues import start_both
from vnetcard.agent.config import load
from vnetcard.agent.negotiation import queues_of_new_window
from vnetcard.lab.lab import Lab
from vnetcard.port import steering
from vnetcard.ring import layout as L
from vnetcard.window import open_window

pytestmark = pytest.mark.root


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("defaults") as lab:
        yield lab


def queues(lab: Lab, side: int) -> dict[str, Any]:
    shown = subprocess.run(
        [*VNETCARD, "show", "port", "--window", lab.url, "--json"], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(shown.stdout)["port"][L.SIDES[side]]["queues"]
    return found


def test_first_of_two_pairs_is_for_flows_that_send_little(lab: Lab) -> None:
    start_both(lab, (), ())
    ping(lab, L.HOST)
    for side in (L.HOST, L.CARD):
        assert queues(lab, side) == {"open": 2, "in_use": 2, "unsteered": ""}
    assert_ledgers_balance(lab)


@pytest.mark.parametrize("options", [("--queues", "1"), ("--steering", "kernel")])
def test_one_pair_where_it_is_asked_for_or_two_do_not_pay(lab: Lab, options: tuple[str, ...]) -> None:
    start_both(lab, options, ())
    assert queues(lab, L.CARD) == {"open": 1, "in_use": 1, "unsteered": ""}


def test_interface_for_a_single_queue_serves_the_first_pair(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log, Lab("defaults", log=log) as lab:
        serves_one_pair(lab)
    assert "1 of 2 queue pairs: port tun:tun0" in (tmp_path / "log").read_text()


def serves_one_pair(lab: Lab) -> None:
    netns = lab.namespaces[L.HOST]
    ip("-n", netns, "tuntap", "add", "tun0", "mode", "tun", "vnet_hdr")
    start_both(lab, (), ())
    ping(lab, L.HOST)
    assert queues(lab, L.HOST)["in_use"] == queues(lab, L.CARD)["in_use"] == 1


def new_pairs(*words: str) -> int:
    return queues_of_new_window(load(L.HOST, list(words)))


def test_two_pairs_only_in_memory_and_with_a_device_that_can_be_steered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert steering.is_permitted()
    assert new_pairs() == new_pairs("--port", "tap:tap0") == new_pairs("--window", "memfd:x") == 2
    for words in (
        ("--steering", "kernel"),
        ("--port", "unix:/run/x"),
        ("--window", "pci:auto"),
        ("--window", "sim:x.host"),
    ):
        assert new_pairs(*words) == 1
    monkeypatch.setattr(steering, "is_permitted", lambda: False)
    assert new_pairs() == 1


def test_only_large_new_windows_are_divided(tmp_path: Path) -> None:
    def pairs(url: str, queues: int | None = None) -> int:
        with contextlib.closing(open_window(url, side=L.HOST, queues=queues, new_queues=2)) as window:
            return len(window.geometry.rings)

    file = f"file:{tmp_path}"
    assert pairs(f"{file}/default") == pairs(f"{file}/large+16M") == 2
    assert pairs(f"{file}/small+4M") == pairs(f"{file}/asked", 1) == 1
    one = f"{file}/one"
    with contextlib.closing(open_window(one, side=L.CARD)):
        assert pairs(one) == 1
