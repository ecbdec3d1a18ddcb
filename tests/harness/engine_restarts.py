"""Agents on both sides of an engine, killed under load and started again; for every kind of engine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.harness.checked_stream import Stream
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.restarts import OUTAGE, chance, fast_retries, kill_and_restart, spread
from vnetcard.lab.lab import ADDRESSES, Lab
from vnetcard.ring import layout as L

KEEP = ("--persist",)


def start_both(lab: Lab, *options: str) -> None:
    """Start both agents and return once their links are up."""
    for side in (L.HOST, L.CARD):
        lab.start(side, *options)
    lab.wait_up()


def survive_kills(lab: Lab, folder: Path, kills: Sequence[Sequence[int]]) -> None:
    """Check that one connection survives all ``kills`` with every byte intact, and that the ledgers balance after each.

    The engine's indices must agree, too: at rest it has published and returned all that is in both sides' rings.
    """
    rng = chance()
    start_both(lab, *KEEP)
    fast_retries(lab)
    netns, times = lab.namespaces, []
    with Stream(netns[L.HOST], netns[L.CARD], ADDRESSES[L.CARD], folder, seed=rng.randrange(1 << 32)) as stream:
        for victims in kills:
            stream.wait_progress(since=stream.position)
            time.sleep(rng.uniform(0, 0.05))
            times.append(kill_and_restart(lab, victims, (KEEP, KEEP), pause=rng.choice((0, 0.1))))
            stream.wait_progress(since=stream.position)
            stream.pause()
            for view in assert_ledgers_balance(lab, allow=OUTAGE):
                for mover in (view["engine"]["tx"], view["engine"]["rx"]):
                    ring = next(ring for ring in view["rings"] if ring["direction"] == mover["direction"])
                    assert mover["state"] == "run"
                    assert mover["published"] == mover["returned"] == ring["prod"] == ring["cons"]
            stream.resume()
        assert stream.finish() > 0
    spread("through an engine, from the start of the new agent to a link that runs", times)
