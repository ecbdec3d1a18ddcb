"""Agents on either side of an engine, killed under load; for a simulation of any kind."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.harness.checked_stream import Stream
from tests.harness.ledger import assert_books_balance
from tests.harness.restarts import OUTAGE, chance, fast_retries, kill_and_restart, spread
from vnetcard.lab.lab import ADDRESSES, Lab
from vnetcard.ring import layout as L

KEEP = ("--persist",)


def start_both(lab: Lab, *options: str) -> None:
    """Both agents, until their links are up."""
    for side in (L.HOST, L.CARD):
        lab.start(side, *options)
    lab.wait_up()


def survive_kills(lab: Lab, folder: Path, kills: Sequence[Sequence[int]]) -> None:
    """One connection, verified byte for byte, lives through all kills; after each the books balance.

    The engine's books too: at rest it has carried as far as both sides' rings, and given everything back.
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
            for view in assert_books_balance(lab, allow=OUTAGE):
                for way in (view["engine"]["tx"], view["engine"]["rx"]):
                    ring = next(ring for ring in view["rings"] if ring["direction"] == way["direction"])
                    assert way["state"] == "run"
                    assert way["published"] == way["returned"] == ring["prod"] == ring["cons"]
            stream.resume()
        assert stream.finish() > 0
    spread("through an engine, from the start of the new agent to a link that runs", times)
