"""Real agents that meet at an ivshmem server: one memory, and interrupts instead of futexes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.engine_restarts import KEEP, start_both
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.programs import VNETCARD, X86, run, started
from tests.harness.restarts import OUTAGE, ping, ping_suite
from vnetcard.lab.lab import Lab
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "card0.sock"


@pytest.fixture
def lab(path: Path) -> Iterator[Lab]:
    with Lab("ivshmem", window=f"ivshmem:{path}", log=sys.stderr) as lab:
        yield lab


def test_agents_wake_one_another_by_interrupts_and_survive_kills(lab: Lab, path: Path) -> None:
    with started([*VNETCARD, "ivshmem-server", str(path), "--size", "1M"]) as server:
        assert server.stdout is not None and " ready: " in server.stdout.readline()
        start_both(lab, *KEEP)
        ping_suite(lab)
        for view in assert_ledgers_balance(lab):
            assert (view["link"]["irq"], view["window"]["futex_wake"]) == ("on", False)
        for side in (L.HOST, L.CARD):
            lab.stop(side, signal.SIGKILL)
            lab.start(side, *KEEP)
            lab.wait_up()
            ping(lab, 1 - side)
            assert lab.status(side)["link"]["irq"] == "on"
        assert_ledgers_balance(lab, allow=OUTAGE)
        server.terminate()
        assert server.wait(10) == 0
        assert "has ended" in lab.wait_for(L.HOST, "gone")["link"]["reason"]
    assert not path.exists()
    with started([*VNETCARD, "ivshmem-server", str(path), "--size", "1M"]):
        lab.wait_up()
        ping(lab, L.HOST)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([*X86, "--window", "ivshmem:/nowhere/sock"], "start `vnetcard ivshmem-server /nowhere/sock`"),
        ([*VNETCARD, "ivshmem-server", "/nowhere/sock"], "cannot serve at /nowhere/sock: No such file or directory"),
        ([*VNETCARD, "ivshmem-server", "/tmp/s", "--size", "100K"], "--size 100K is invalid: expected a power of two"),
    ],
)
def test_bad_input_is_one_line_and_status_2(command: list[str], words: str) -> None:
    outcome = run(command)
    assert outcome.status == 2 and outcome.stderr.count("\n") == 1
    assert words in outcome.stderr
