"""A machine that runs out of descriptors, tasks or memory, whose clock is set, or that sleeps: the link goes on."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.checked_stream import Stream
from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import need, skip_or_fail
from tests.harness.restarts import OUTAGE, Handshake, end_quietly, ping, until
from vnetcard.agent.control import ask, borrow
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PeerGone
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.ring import layout as L
from vnetcard.ring import tap_layout as T
from vnetcard.ring.tap_shm import TapRequest

pytestmark = [pytest.mark.root, pytest.mark.slow]

HOUR = 3600
SLEPT_S = 2.5
"""Seconds of suspension: longer than a peer may be quiet."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("exhaust") as lab:
        yield lab


def start_both(lab: Lab) -> None:
    for side in (L.HOST, L.CARD):
        lab.start(side)
    lab.wait_up()


@contextlib.contextmanager
def cgroup(controller: str) -> Iterator[Path]:
    """A fresh control group of version 1 or 2, without processes; its members are moved away at the end."""
    roots = [Path("/sys/fs/cgroup", controller), Path("/sys/fs/cgroup")]
    root = next((one for one in roots if (one / "cgroup.procs").exists()), None)
    if root is None:
        skip_or_fail(f"no cgroup hierarchy with {controller}")
    group = root / f"vnc-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        skip_or_fail(f"no control group can be made in {root}: {error.strerror}")
    try:
        yield group
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (root / "cgroup.procs").write_text(pid)
        until(lambda: _gone(group), "the control group is empty")


def _gone(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def set_limit(group: Path, names: tuple[str, str], value: int) -> None:
    """Set a limit by its name of version 2 or 1."""
    path = next((group / name for name in names if (group / name).exists()), None)
    if path is None:
        skip_or_fail(f"this control group has no {names[0]}")
    path.write_text(str(value))


def refusal(lab: Lab) -> str:
    """Why the host's agent does not answer ``status``."""
    with pytest.raises(PeerGone) as raised:
        lab.status(L.HOST)
    assert raised.value.code is ErrorCode.AGENT_REFUSED
    return str(raised.value)


def test_agent_out_of_descriptors_or_tasks_says_so_and_goes_on(lab: Lab) -> None:
    start_both(lab)
    epochs, agent = Handshake(lab).epochs(), lab.agent(L.HOST)
    used = {int(path.name) for path in Path(f"/proc/{agent.pid}/fd").iterdir()}
    free = min(set(range(len(used) + 1)) - used)
    before = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        for _ in range(3):  # the descriptor that is kept for this is there again
            assert "RLIMIT_NOFILE" in refusal(lab)
        with pytest.raises(PeerGone, match="RLIMIT_NOFILE"):
            tap = TapRequest(stages=(1 << len(T.STAGES)) - 1, ring_bytes=T.RING_MIN)
            with borrow(lab.url, L.HOST, tap.as_question()):
                pass
        ping(lab, L.HOST)
    finally:
        resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, before)
    assert lab.status(L.HOST)["link"]["up"]
    with cgroup("pids") as group:
        (group / "cgroup.procs").write_text(str(agent.pid))
        set_limit(group, ("pids.max", "pids.max"), len(list(Path(f"/proc/{agent.pid}/task").iterdir())))
        assert "pids.max" in refusal(lab)
        ping(lab, L.HOST)
    assert lab.status(L.HOST)["link"]["up"]
    assert Handshake(lab).epochs() == epochs
    assert_ledgers_balance(lab)


EATER = "import sys\nheld = []\nfor _ in range(4096):\n    held.append(b'x' * (1 << 20))\nprint('never')"
"""A program that allocates 4 GiB."""


def test_agent_killed_for_want_of_memory_is_a_killed_agent(lab: Lab) -> None:
    """The kernel kills the one that it prefers in a group without memory; after a restart the link is back."""
    start_both(lab)
    with cgroup("memory") as group:
        agent = lab.agent(L.HOST)
        (group / "cgroup.procs").write_text(str(agent.pid))
        Path(f"/proc/{agent.pid}/oom_score_adj").write_text("1000")
        set_limit(group, ("memory.max", "memory.limit_in_bytes"), 64 << 20)
        ping(lab, L.HOST)
        script = f'echo $$ >{group}/cgroup.procs; exec "$@"'
        eater = subprocess.Popen(["sh", "-c", script, "sh", sys.executable, "-c", EATER], stdout=subprocess.DEVNULL)
        try:
            assert agent.wait(60) == -signal.SIGKILL
        finally:
            end_quietly([eater])  # type: ignore[list-item]
        lab.stop(L.HOST)
    lab.wait_for(L.CARD, "peer-dead")
    lab.start(L.HOST)
    lab.wait_up()
    ping(lab, L.HOST)
    assert_ledgers_balance(lab, allow=OUTAGE)


def test_link_of_a_machine_that_slept_goes_on(lab: Lab) -> None:
    """Both agents are suspended for longer than a peer may be quiet: no restart, nothing lost inside the link."""
    start_both(lab)
    epochs = Handshake(lab).epochs()
    command = ["ping", "-q", "-i", "0.01", ADDRESSES[L.CARD]]
    pings = subprocess.Popen(run_in(lab.namespaces[L.HOST], command), stdout=subprocess.DEVNULL, text=True)
    try:
        until(lambda: lab.status(L.HOST)["sides"][L.HOST]["tx"]["tx_taken"] > 20, "pings cross the link")
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for side in (L.HOST, L.CARD):
                lab.agent(side).send_signal(number)
            if number == signal.SIGSTOP:
                time.sleep(SLEPT_S)
        lab.wait_up()
    finally:
        end_quietly([pings])
    for side in (L.HOST, L.CARD):
        ping(lab, side)
    assert_ledgers_balance(lab, allow={"drop_peer_dead"})
    assert Handshake(lab).epochs() == epochs


# --- the time of day ---------------------------------------------------------------------------------


class Clock:
    """The time of day that agents with ``env`` have: the machine's and ``step`` seconds."""

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "clock_step.so", folder / "step"
        source = Path(__file__).parents[1] / "harness" / "clock_step.c"
        subprocess.run([need("gcc"), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.step(0)
        self.env = [f"LD_PRELOAD={library}", f"CLOCK_STEP_FILE={self._file}"]

    def step(self, seconds: int) -> None:
        """Set it, in all processes at once."""
        flags = os.O_WRONLY | os.O_CREAT
        fd = os.open(self._file, flags, 0o600)
        os.pwrite(fd, bytes(ctypes.c_longlong(seconds)), 0)
        os.close(fd)


def ages(view: Any, now: float) -> list[float]:
    """How long ago everything was that the answer of an agent dates, by its own clock."""
    if isinstance(view, dict):
        own = [now - view["at"]] if isinstance(view.get("at"), float) else []
        dated = [now - view["since"]] if isinstance(view.get("since"), float) and view["since"] > 1e9 else []
        return own + dated + [age for one in view.values() for age in ages(one, now)]
    return [age for one in view for age in ages(one, now)] if isinstance(view, list) else []


def test_clock_that_is_set_under_traffic_disturbs_nothing(lab: Lab, tmp_path: Path) -> None:
    """By five hours forth and ten back: no restart, and no age that is negative or of hours."""
    clock = Clock(tmp_path)
    lab.commands = [["env", *clock.env, *command] for command in lab.commands]
    start_both(lab)
    epochs, began = Handshake(lab).epochs(), time.monotonic()
    with Stream(*lab.namespaces, ADDRESSES[L.CARD], tmp_path, seed=1, port=5611) as stream:
        stream.wait_progress(since=1 << 20)
        for hours in (5, -5, 0):
            clock.step(hours * HOUR)
            stream.wait_progress(since=stream.position + (1 << 20))
            for side in (L.HOST, L.CARD):
                view = ask(lab.url, side, "show")
                assert abs(view["at"] - time.time() - hours * HOUR) < HOUR, "the clock was not set"
                spent = time.monotonic() - began
                wrong = [age for age in ages(view, view["at"]) if not -1 <= age <= spent + 30]
                assert not wrong, f"{hours} h: {wrong}"
                assert 0 <= view["link"]["since"] <= spent + 30
                assert [one["state"] for one in view["link"]["history"]].count("run") == 1
    assert Handshake(lab).epochs() == epochs
    assert_ledgers_balance(lab)
