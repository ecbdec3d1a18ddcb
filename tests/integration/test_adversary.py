"""A card that is hostile in any way: the host's agent stays within its limits and serves an honest card afterwards.

`make adversary` measures what this file only checks; the modes are in tests/adversary.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.adversary.__main__ import main as adversary
from tests.adversary.flaws import FLAWS, SHORT_PAUSES, command_with
from tests.adversary.modes import BY_NAME, MODES, Mode
from tests.adversary.trial import Seen, Victim
from tests.harness.faulty_peer import echo_request
from tests.harness.restarts import ping
from tests.unit.c_build import seed
from vnetcard.errors import PeerGone
from vnetcard.lab.lab import Lab
from vnetcard.link.session import LinkSession
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.slow]

SHARES = 4
"""Agents that are attacked at the same time."""
ATTACK_S = 0.2
HONEST_EVERY = 5
"""Attacks between two visits of an honest card."""
LIMIT = 60.0
"""Seconds for what takes well under two."""


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Victim]]:
    """Agents of the host; the attacks on one end with an agent of the card."""
    folder = tmp_path_factory.mktemp("adversary")
    with ExitStack() as stack:
        labs = []
        for n in range(SHARES):
            log = stack.enter_context((folder / f"{n}").open("w"))
            labs.append(stack.enter_context(Lab(f"adversary{n}", log=log)))
            labs[n].commands[L.HOST] = command_with(SHORT_PAUSES)
            labs[n].launch(L.HOST, "--json-log")
        yield [Victim(lab, folder / f"{n}") for n, lab in enumerate(labs)]


def answers(victim: Victim) -> str:
    """'' once the host's kernel has answered a ping of an honest card; otherwise what went wrong."""
    try:
        with LinkSession(victim.lab.url, L.CARD) as card:
            card.wait_up(LIMIT)
            deadline = time.monotonic() + LIMIT
            while time.monotonic() < deadline:
                card.send(echo_request(1))
                if card.receive(timeout=0.2):
                    return ""
    except PeerGone as error:
        return str(error)
    return "no answer to pings"


def attack_in_turn(victim: Victim, modes: list[Mode], number: int) -> list[Seen]:
    seen = []
    for n, mode in enumerate(modes, 1):
        seen.append(victim.attack(mode, ATTACK_S, seed=number, pause_us=50))
        if n % HONEST_EVERY == 0 and (wrong := answers(victim)):
            seen[-1].wrong.append(f"then an honest card: {wrong}")
    return seen


def test_agent_bears_every_mode_and_serves_an_honest_card_afterwards(victims: list[Victim]) -> None:
    number = seed()
    with ThreadPoolExecutor(SHARES) as pool:
        jobs = [pool.submit(attack_in_turn, victim, list(MODES[n::SHARES]), number) for n, victim in enumerate(victims)]
        seen = [one for job in jobs for one in job.result()]
    assert sorted(one.mode for one in seen) == sorted(BY_NAME)
    assert {one.mode: one.wrong for one in seen if one.wrong} == {}
    for victim in victims:
        victim.lab.launch(L.CARD)
    for victim in victims:
        victim.lab.await_ready(L.CARD)
        victim.lab.wait_up(limit=LIMIT)
        assert set(victim.lab.status(L.HOST)["link"]["features"].values()) == {"on"}
        ping(victim.lab, L.HOST)
        assert [victim.lab.stop(side) for side in (L.CARD, L.HOST)] == [0, 0]


FOUND_BY = {
    "pause": ["greets"],
    "carrier-bound": ["epoch-flicker", "restarts"],
    "answer-bound": ["greets"],
    "log-limit": ["feature-lies", "reclaims"],
    "offloads-come-back": ["vnet-headers"],
}


@pytest.mark.campaign
@pytest.mark.parametrize("flaw", FLAWS)
def test_agent_without_a_protection_exceeds_a_limit(flaw: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert adversary(["--without", flaw, "--modes", ",".join(FOUND_BY[flaw])]) == 1
    assert "not: " in capsys.readouterr().out


def test_agent_without_the_bound_of_its_carrier_exceeds_it(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log, Lab("flawed", log=log) as lab:
        lab.commands[L.HOST] = command_with(FLAWS["carrier-bound"])
        lab.launch(L.HOST, "--json-log")
        victim = Victim(lab, tmp_path / "log")
        deadline = time.monotonic() + LIMIT
        while not victim.attack(BY_NAME["epoch-flicker"], 1.0, seed=seed()).wrong:
            assert time.monotonic() < deadline, "the adversary does not find it"


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_agent_stays_within_every_limit_under_long_attacks() -> None:
    assert adversary(["--seconds", "5"]) == 0
