"""``--nice``, ``--cpus`` and ``--sched``: what is accepted, and what a process without permission is told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from vnetcard.agent.scheduling import Scheduling, parse
from vnetcard.errors import ConfigError


@pytest.mark.parametrize(
    ("cpus", "found"), [("0", (0,)), ("2,4-7", (2, 4, 5, 6, 7)), ("3,1-2,2", (1, 2, 3)), ("9999", (9999,))]
)
def test_list_of_cpus_is_that_of_taskset(cpus: str, found: tuple[int, ...]) -> None:
    assert parse(None, cpus, None).cpus == found


@pytest.mark.parametrize("cpus", ["", ",", "a", "1-", "-1", "1--2", "1-2-3", "5-4", "10000", "0x1", "1 2", "²"])
def test_other_text_is_no_list_of_cpus(cpus: str) -> None:
    with pytest.raises(ConfigError, match="--cpus"):
        parse(None, cpus, None)


def test_real_time_takes_a_priority_and_the_others_none() -> None:
    assert parse(None, None, "fifo:99") == Scheduling(policy="fifo", priority=99)
    assert parse(None, None, "batch") == Scheduling(policy="batch")
    for bad in ("", "fifo", "rr:", "fifo:0", "fifo:100", "fifo:-1", "fifo:x", "fifo:1:2", "batch:1", "idle", "FIFO:1"):
        with pytest.raises(ConfigError, match="--sched"):
            parse(None, None, bad)


@pytest.mark.parametrize("nice", [-21, 20])
def test_nice_value_out_of_range_is_refused(nice: int) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        parse(nice, None, None)


def test_only_threads_that_are_made_in_the_context_have_it() -> None:
    seen: list[tuple[int, int, set[int]]] = []

    def own() -> tuple[int, int, set[int]]:
        return os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), os.sched_getaffinity(0)

    before = own()
    cpu = min(before[2])
    worker = threading.Thread(target=lambda: seen.append(own()))
    code = f"""
import os, threading
from vnetcard.agent.scheduling import Scheduling
asked = Scheduling(nice=19, cpus=({cpu},), policy="batch")
asked.permit()
own = lambda: (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0)))
inside = threading.Thread(target=lambda: print(own()))
with asked.for_pumps():
    inside.start()
inside.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"(19, {os.SCHED_BATCH}, [{cpu}])\n"
    worker.start()
    worker.join()
    assert seen == [before]


def test_cpu_that_this_process_must_not_use_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--cpus 9999: Invalid argument: this process may use the CPUs 0"):
        Scheduling(cpus=(9999,)).permit()


def test_process_without_permission_learns_what_it_takes() -> None:
    code = """
import os
from vnetcard.agent.scheduling import Scheduling
from vnetcard.errors import ConfigError
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
for asked in (Scheduling(nice=-5), Scheduling(policy="fifo", priority=10)):
    try:
        asked.permit()
    except ConfigError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    first, second = done.stdout.splitlines()
    assert first.startswith("--nice -5: not permitted: start as root, or raise the limit")
    assert second.startswith("--sched fifo:10: not permitted: start as root, or raise the limit")
