"""Shared fixtures, the `root` marker, and the check that a test run leaves nothing behind on the machine."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need, need_root
from tests.harness.orderly_end import OrderlyEnd
from tests.harness.side_by_side import (  # noqa: F401 - hooks
    is_worker,
    pytest_collection_modifyitems,
    pytest_runtest_protocol,
    pytest_xdist_auto_num_workers,
    pytest_xdist_make_scheduler,
)

# --- signals -----------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Undo what a caller may have ignored (nohup, a shell's background job): programs under test inherit it."""
    config.pluginmanager.register(OrderlyEnd(config))
    for number, default in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)


# --- needs root --------------------------------------------------------------------------------------


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root"):
        need_root()


# --- network namespaces ------------------------------------------------------------------------------

_pairs = itertools.count()


def _delete_netns(ip: str, name: str) -> None:
    """Delete namespace ``name`` and kill what runs in it: a process would keep it alive without a name."""
    pids = subprocess.run([ip, "netns", "pids", name], capture_output=True, text=True, check=False).stdout
    for pid in pids.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    subprocess.run([ip, "netns", "del", name], check=True)


@pytest.fixture
def netns_pair() -> Iterator[tuple[str, str]]:
    """Names of two fresh network namespaces with ``lo`` up; both are gone after the test, however it ends."""
    need_root()
    ip = need("ip")
    n = next(_pairs)
    a, b = (f"vnc-test-{os.getpid()}-{n}{side}" for side in "ab")
    with contextlib.ExitStack() as stack:
        for name in (a, b):
            subprocess.run([ip, "netns", "add", name], check=True)
            stack.callback(_delete_netns, ip, name)
            subprocess.run([ip, "-n", name, "link", "set", "lo", "up"], check=True)
        yield a, b


# --- nothing left behind -----------------------------------------------------------------------------

SETTLE_S = 2.0
"""Seconds in which all must disappear after the last test: the kernel removes some things asynchronously."""

FOREIGN = (".org.chromium.", "org.mozilla.", "pulse-shm-")
"""Names in /dev/shm that a desktop makes and removes all the time."""


def _present() -> set[str]:
    """The network namespaces, shared memory objects, control sockets and TUN interfaces that exist now."""
    found = {str(path) for folder in ("/run/netns", "/dev/shm", "/run/vnetcard") for path in Path(folder).glob("*")}
    found |= {f"interface {path.parent.name}" for path in Path("/sys/class/net").glob("*/tun_flags")}
    return {name for name in found if not Path(name).name.startswith(FOREIGN)}


_before = pytest.StashKey[set[str]]()
_left = pytest.StashKey[list[str]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    # While other workers run, or the session that started this one, their things appear and disappear.
    if not is_worker(session.config) and "PYTEST_CURRENT_TEST" not in os.environ:
        session.config.stash[_before] = _present()


@pytest.hookimpl(trylast=True)  # after the workers have ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _before not in session.config.stash:
        return
    before = session.config.stash[_before]
    deadline = time.monotonic() + SETTLE_S
    while (left := sorted(_present() - before)) and time.monotonic() < deadline:
        time.sleep(0.05)
    session.config.stash[_left] = left
    if left and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if left := config.stash.get(_left, []):
        terminalreporter.section("left behind", red=True)
        for name in left:
            terminalreporter.line(f"{name} was not there when the tests began", red=True)
