"""Which tests run at the same time when there are several processes for them (xdist), and in what order.

A test belongs to one of four kinds, by its folder:

    AGENTS      tests with running agents, many of which measure time: one after the other, in one process
    UNTIMED     tests with agents or over a simulated engine that measure no time: one after the other, in another
                process
    the others  quick tests: in the other processes at the same time
    PATIENT     tests that only compute: after the quick ones, the longest first, and with less CPU priority,
                so that agents find the machine almost idle

Tests of one group run in one process: usually those of a file, which share what takes long to build.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

AGENTS = ("tests/integration/", "tests/arm64/test_two_architectures.py", "tests/e2e/")
"""In this order: emulated guests suffer most from a busy machine, so they come when the patient tests have ended."""
UNTIMED = (
    "tests/sim/",
    "tests/integration/test_sim_agents.py",
    "tests/integration/test_bad_",
    "tests/integration/test_compared.py",
    "tests/integration/test_completion.py",
    "tests/integration/test_demo",
    "tests/integration/test_device_windows.py",
    "tests/integration/test_doctor.py",
    "tests/integration/test_extcap.py",
    "tests/integration/test_firmware.py",
    "tests/integration/test_lan.py",
    "tests/integration/test_macvtap",
    "tests/integration/test_memif_errors.py",
    "tests/integration/test_memif_hostile.py",
    "tests/integration/test_memif_port.py",
    "tests/integration/test_offload.py",
    "tests/integration/test_out_of_anything.py",
    "tests/integration/test_packet_ip",
    "tests/integration/test_ping_sizes.py",
    "tests/integration/test_port_clients.py",
    "tests/integration/test_program_ports.py",
    "tests/integration/test_punt.py",
    "tests/integration/test_replay.py",
    "tests/integration/test_report.py",
    "tests/integration/test_stack.py",
    "tests/integration/test_tap.py",
    "tests/integration/test_transfers.py",
    "tests/integration/test_units",
    "tests/integration/test_vhost_errors.py",
    "tests/integration/test_vhost_hostile.py",
)
"""They follow the quick tests: by then the simulators are built."""
PATIENT = ("tests/hdl/", "tests/model/", "tests/arm64/")
WANTED = "tests/hdl/test_simulators.py"
"""Agents need what it builds: it begins before the quick tests, with normal priority."""
APART = ("test_simulators.py", "test_mover_figures.py", "test_handshake_model.py", "test_link_faults.py")
"""Files whose tests share nothing: each test is its own group."""
BY_PARAMETER = ("test_formal.py",)
"""Files whose tests share results with those of the same first parameter."""

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
"""The tests of PATIENT that take longer than the rest, the longest first."""

LESS = 10
"""Added to the nice value: a tenth of an agent's share of a CPU.  With 19 they would never end on a busy machine."""


def group(test: str) -> str:
    """The group of a test by its node id."""
    if test.startswith(UNTIMED):
        return "untimed"
    if test.startswith(AGENTS):
        return "agents"
    file, _, name = test.partition("::")
    if file.endswith(APART):
        return test
    if file.endswith(BY_PARAMETER) and (first := re.search(r"\[(\w+)", name)):
        return f"{file} {first[1]}"
    return file


def is_patient(test: str) -> bool:
    """Whether a test, by its node id, is of the kind PATIENT."""
    return test.startswith(PATIENT) and not test.startswith((*AGENTS, WANTED))


def turn(test: str) -> tuple[int, int]:
    """The sort key of a test: a smaller one begins earlier."""
    if test.startswith(AGENTS) and not test.startswith(UNTIMED):
        return 0, next(n for n, folder in enumerate(AGENTS) if test.startswith(folder))
    if test.startswith(WANTED):
        return 1, 0
    if is_patient(test):
        return 3, next((n for n, long in enumerate(LONGEST) if re.search(long, test)), len(LONGEST))
    return 2, int(test.startswith(UNTIMED))


def is_worker(config: pytest.Config) -> bool:
    """Whether this is one of several processes that run tests, and not the one that they report to."""
    return hasattr(config, "workerinput")


@pytest.hookimpl(optionalhook=True)  # xdist may not be installed
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are CPUs: many tests wait most of the time."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Distribute tests as --dist loadscope does, with our groups as scopes."""
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
    """Lower the priority of patient tests.  Only as root: other users could not raise it again, and run no agents."""
    if not (is_worker(item.config) and is_patient(item.nodeid) and os.geteuid() == 0):
        return (yield)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, own + LESS)
    try:
        return (yield)
    finally:
        with contextlib.suppress(PermissionError):  # a root without this capability
            os.setpriority(os.PRIO_PROCESS, 0, own)
