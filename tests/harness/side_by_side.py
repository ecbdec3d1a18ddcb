"""Which tests run side by side where there are several processes for them (xdist), and in what order.

A test belongs to one of three kinds, by its folder:

    AGENTS      have agents talk to one another, and much of that is about time: one after the other, in one process
    the others  quick ones: in the other processes meanwhile
    PATIENT     compute, and do not mind how long it takes: after those, what takes longest first, and with less
                priority, so that agents find a machine as good as idle

Tests that share a group run in one process: those of a file, which share what takes long to make.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

AGENTS = ("tests/integration/", "tests/sim/", "tests/arm64/test_two_architectures.py", "tests/e2e/")
"""In this order: emulated guests mind most what else the machine does, and the patient tests are to be done by then."""
PATIENT = ("tests/hdl/", "tests/model/", "tests/arm64/")
WANTED = "tests/hdl/test_simulators.py"
"""Agents will soon want what it makes: it is begun before the quick ones, and as they are."""
APART = ("test_simulators.py", "test_mover_figures.py", "test_handshake_model.py")
"""Files whose tests share nothing: each is its own group."""
BY_PARAMETER = ("test_formal.py",)
"""Files whose tests share what belongs to their first parameter."""

LONGEST = (
    "test_engine.py",
    r"test_formal.py.*\[mover",
    "test_mover_figures.py",
    "test_qemu_user.py",
    "test_link.py",
    "test_synth.py",
    r"test_formal.py.*\[axil_regs",
    "test_pcie.py",
)
"""Of PATIENT, what takes longer than the rest, the longest first."""

LESS = 10
"""A tenth of an agent's share of a processor; with the lowest priority, on a busy machine, they would never end."""


def group(test: str) -> str:
    """The group of a test by its node id."""
    if test.startswith(AGENTS):
        return "agents"
    file, _, name = test.partition("::")
    if file.endswith(APART):
        return test
    if file.endswith(BY_PARAMETER) and (first := re.search(r"\[(\w+)", name)):
        return f"{file} {first[1]}"
    return file


def is_patient(test: str) -> bool:
    return test.startswith(PATIENT) and not test.startswith((*AGENTS, WANTED))


def turn(test: str) -> tuple[int, int]:
    """What is smaller is begun earlier."""
    if test.startswith(AGENTS):
        return 0, next(n for n, folder in enumerate(AGENTS) if test.startswith(folder))
    if test.startswith(WANTED):
        return 1, 0
    if is_patient(test):
        return 3, next((n for n, long in enumerate(LONGEST) if re.search(long, test)), len(LONGEST))
    return 2, 0


def is_worker(config: pytest.Config) -> bool:
    """Is this one of several processes that run tests, and not the one that they report to?"""
    return hasattr(config, "workerinput")


@pytest.hookimpl(optionalhook=True)  # xdist is not everywhere
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for something most of the time."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Tests are handed out as by --dist loadscope, but the scopes are our groups."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if is_worker(config):
        items.sort(key=lambda item: turn(item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Patient tests give way to all others; who is not root could not take that back, and has no agents run."""
    if not (is_worker(item.config) and is_patient(item.nodeid) and os.geteuid() == 0):
        return (yield)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, own + LESS)
    try:
        return (yield)
    finally:
        with contextlib.suppress(PermissionError):  # a root without this capability
            os.setpriority(os.PRIO_PROCESS, 0, own)
