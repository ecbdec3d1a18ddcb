"""How often two idle agents wake a processor: counted by the kernel, so that the machine's speed does not matter."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from vnetcard.lab.lab import Lab
from vnetcard.ring.layout import SIDES

pytestmark = [pytest.mark.root, pytest.mark.slow]

SETTLED, COUNTED = 3.0, 4.0
"""Seconds until the pumps' sleeps have become long ones, and for which wake-ups are counted."""
MOST = 7.5
"""Wake-ups of one agent in a second: 5 heartbeats, one of each pump's timed sleeps, and half of one for chance."""
EVENTS = 6
"""Wake-ups for what the kernel does on its own during the count, such as router solicitations."""


def wakeups(pid: int) -> int:
    """How often the threads of a process have gone to sleep."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(
        int(re.findall(r"\nvoluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text())[0]) for task in tasks
    )


def test_idle_agents_wake_seven_times_a_second() -> None:
    with Lab("idle") as lab:
        for side in range(len(SIDES)):
            lab.start(side)
        lab.wait_up()
        time.sleep(SETTLED)
        pids = [lab.agent(side).pid for side in range(len(SIDES))]
        before, began = [wakeups(pid) for pid in pids], time.monotonic()
        time.sleep(COUNTED)
        counted = [wakeups(pid) - start for pid, start in zip(pids, before, strict=True)]
        seconds = time.monotonic() - began
    assert min(counted) > 3 * seconds, f"{counted} in {seconds:.1f} s: fewer than the heartbeats"
    assert max(counted) <= MOST * seconds + EVENTS, f"{counted} in {seconds:.1f} s"
