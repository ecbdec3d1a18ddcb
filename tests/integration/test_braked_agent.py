"""A hostile peer and a real agent: the brake is shown with its cause; then an honest peer is up.

test_adversary.py bounds what any kind of attack costs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.harness.hostile_words import HostileWords
from tests.harness.restarts import ping
from tests.unit.c_build import seed
from vnetcard.agent import status
from vnetcard.cli.main import main as vnetcard
from vnetcard.lab.lab import Lab
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.slow]

ATTACK_S = 1.5
HONEST_LIMIT = 30.0
"""Seconds for an agent to start on a busy machine, and the 2 s within which its link is up."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    """The host's agent alone, not braked yet."""
    with Lab("braked") as lab:
        lab.start(L.HOST)
        yield lab


def test_brake_is_shown_and_an_honest_peer_is_up_soon(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = HostileWords(lab.url, seed())
    attack = threading.Thread(target=hostile.overwrite, args=(2 * ATTACK_S,))
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
