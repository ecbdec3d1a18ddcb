"""Agents on a memfd: window: killed and restarted in any order under traffic, and read by the other commands."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.checked_stream import Stream
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.programs import VNETCARD, run
from tests.harness.restarts import OUTAGE, fast_retries, ping, until
from vnetcard.lab.lab import ADDRESSES, Lab
from vnetcard.ring import layout as L
from vnetcard.window.run_folder import folder

pytestmark = pytest.mark.root


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("memfd", window=f"memfd:vnetcard-memfd-{os.getpid()}") as lab:
        for side in (L.HOST, L.CARD):
            lab.start(side, "--persist")
        lab.wait_up()
        yield lab
    assert not list(folder().glob(f"*vnetcard-memfd-{os.getpid()}*"))


def link_ups(lab: Lab, side: int) -> int:
    view = lab.status(side)
    return int(next(one for one in view["sides"] if one["side"] == view["side"])["link"]["link_up"])


def test_link_recovers_from_kills_of_either_agent_and_keeps_its_counters(lab: Lab, tmp_path: Path) -> None:
    fast_retries(lab)
    with Stream(*lab.namespaces, ADDRESSES[L.CARD], tmp_path, seed=7) as stream:
        for victim in (L.HOST, L.CARD, L.HOST):
            stream.wait_progress(since=stream.position)
            before = link_ups(lab, 1 - victim)
            lab.stop(victim, signal.SIGKILL)
            lab.start(victim, "--persist")
            lab.wait_up()
            assert link_ups(lab, 1 - victim) > before, "the window is another one"
        stream.wait_progress(since=stream.position)
        stream.finish()
    assert_ledgers_balance(lab, allow=OUTAGE)
    for side in (L.HOST, L.CARD):
        lab.stop(side, signal.SIGKILL)
    for side in (L.CARD, L.HOST):
        lab.start(side, "--persist")
    lab.wait_up()
    ping(lab, L.HOST)
    assert_ledgers_balance(lab, allow=OUTAGE)


def test_removed_sockets_are_replaced_and_the_link_recovers(lab: Lab) -> None:
    sockets = sorted(folder().glob(f"vnetcard-memfd-{os.getpid()}.memfd.*"))
    assert len(sockets) == 2
    for path in sockets:
        path.unlink()
    until(lambda: all(path.exists() for path in sockets), "both agents listen again")
    lab.wait_up()
    ping(lab, L.HOST)


def test_commands_read_the_window(lab: Lab, tmp_path: Path) -> None:
    ping(lab, L.HOST)
    shown = run([*VNETCARD, "info", lab.url, "--json"])
    view = json.loads(shown.stdout)
    assert (shown.status, view["problems"]) == (0, []) and view["geometry"]["window_bytes"] == L.WINDOW_DEFAULT
    for command in ("status", "show errors", "doctor --no-measure"):
        done = run([*VNETCARD, *command.split(), "--window", lab.url])
        assert done.status == 0, done
    capture = run([*VNETCARD, "capture", "--window", lab.url, "--seconds", "0.2", "-w", str(tmp_path / "packets")])
    assert capture.status == 0 and "error" not in capture.stderr, capture
