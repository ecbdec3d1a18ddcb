"""``--nice``, ``--cpus`` and ``--sched`` of an agent: its pumps have them, also those of a window opened again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness.programs import X86, assert_refused, run
from tests.harness.restarts import until
from tests.integration.test_other_user import is_up
from vnetcard.lab.lab import Lab
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root
NAME, NICE, POLICY = 1, 18, 40
"""Fields of /proc/PID/task/TID/stat, counted from 0 (proc_pid_stat(5))."""


def threads(pid: int) -> dict[str, tuple[int, int, set[int]]]:
    """Nice value, policy and CPUs of each kind of thread, by its name."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().split()
        name = fields[NAME].strip("()")
        found[name] = int(fields[NICE]), int(fields[POLICY]), os.sched_getaffinity(int(task.name))
    return found


def assert_scheduled(lab: Lab) -> None:
    for side in (HOST, CARD):
        found = threads(lab.agent(side).pid)
        pumps = {name: found.pop(name) for name in ("vnc-tx", "vnc-rx")}
        assert list(pumps.values()) == 2 * [(-5, os.SCHED_BATCH, {0})]
        assert {nice for nice, _, _ in found.values()} == {0}
        assert {policy for _, policy, _ in found.values()} == {os.SCHED_OTHER}


def test_pumps_are_scheduled_as_asked_for_also_over_a_new_window() -> None:
    with Lab("sched") as lab:
        for side in (HOST, CARD):
            lab.start(side, "--nice", "-5", "--cpus", "0", "--sched", "batch")
        lab.wait_up()
        assert_scheduled(lab)
        window = Path("/dev/shm", lab.url.removeprefix("shm:"))
        first = window.stat().st_ino
        window.unlink()
        until(lambda: window.exists() and window.stat().st_ino != first and is_up(lab), "the window is made again")
        assert_scheduled(lab)


def test_what_is_not_permitted_is_refused_in_a_line_before_anything_is_made() -> None:
    for words, said in (
        (["--nice", "-21"], "out of range (-20 to 19)"),
        (["--cpus", "9999"], "--cpus 9999: Invalid argument"),
        (["--sched", "idle"], "expected one of other, batch, fifo, rr"),
    ):
        assert_refused(run([*X86, "--window", "shm:vnc-refused", *words], limit=20), "vnetcard-x86", said)
    assert not Path("/dev/shm/vnc-refused").exists()
