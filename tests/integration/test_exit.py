"""Signals end agents soon, with status 0, and leave nothing behind, also during their start."""

from __future__ import annotations

import os
import random
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.checked_stream import Stream
from tests.harness.restarts import GENEROUS, Handshake, chance, end_quietly, left_behind, spread, until
from vnetcard.lab.lab import ADDRESSES, MODULES, Lab
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.slow]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PROMISE_S = 0.2

NORMAL = pytest.param(4, 5.0, id="normal")
CAMPAIGN = pytest.param(50, PROMISE_S, id="campaign", marks=(pytest.mark.campaign, pytest.mark.timeout(1800)))


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("exit") as lab:
        yield lab


def seconds_to_end(agent: subprocess.Popen[str], number: int, stderr: Path | None = None) -> float:
    """Signal ``agent``; returns the seconds until its end, measured by its pidfd, without polling.

    With ``stderr`` it may still be starting: where Python has ignored an interruption of its own start, as that file
    says, the signal is sent again.
    """
    pidfd = os.pidfd_open(agent.pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        began = time.monotonic()
        agent.send_signal(number)
        if stderr is not None and not poll.poll(2000) and "KeyboardInterrupt" in stderr.read_text():
            agent.send_signal(number)
        assert poll.poll(GENEROUS * 1000), f"signal {number} does not end the agent"
        return time.monotonic() - began
    finally:
        os.close(pidfd)


def end(lab: Lab, side: int, number: int) -> float:
    """As ``seconds_to_end`` for an agent of the lab; asserts that its status is 0."""
    agent = lab.agent(side)
    took = seconds_to_end(agent, number)
    assert lab.stop(side) == 0
    return took


@pytest.mark.parametrize(("tries", "limit"), [NORMAL, CAMPAIGN])
def test_an_idle_agent_ends_at_once(lab: Lab, tries: int, limit: float) -> None:
    first, last = [], []
    for number in range(tries):
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        order = (L.HOST, L.CARD) if number & 1 else (L.CARD, L.HOST)
        first.append(end(lab, order[0], SIGNALS[number >> 1 & 1]))
        lab.wait_for(order[1], "waiting")
        last.append(end(lab, order[1], SIGNALS[number & 1]))
        assert left_behind(lab) == []
    spread("an idle agent with a peer ends", first)
    spread("an idle agent without a peer ends", last)
    assert max(first + last) <= limit


@pytest.mark.parametrize(("tries", "limit"), [NORMAL, CAMPAIGN])
def test_a_busy_agent_ends_at_once(lab: Lab, tmp_path: Path, tries: int, limit: float) -> None:
    times = []
    for number in range(tries):
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        with Stream(*lab.namespaces, ADDRESSES[L.CARD], tmp_path, seed=number, port=5600 + number) as stream:
            stream.wait_progress(since=1 << 20)
            order = (L.HOST, L.CARD) if number & 1 else (L.CARD, L.HOST)
            times += [end(lab, side, SIGNALS[number >> 1 & 1]) for side in order]
        assert left_behind(lab) == []
    spread("a busy agent ends", times)
    assert max(times) <= limit


def spawn(lab: Lab, side: int, stderr: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", MODULES[side], "--window", lab.window, "--netns", lab.namespaces[side]]
    with stderr.open("w") as file:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, text=True)


def assert_clean_end(agent: subprocess.Popen[str], number: int, stderr: Path, when: str) -> None:
    """Status 0, or the bare signal as long as nothing was made; and no traceback.

    Except for Python's own, when it is interrupted before it reaches our ``main``.
    """
    said, status = stderr.read_text(), agent.wait(GENEROUS)
    ours = re.search(r'/agent\.py", line \d+, in main$', said, re.MULTILINE)
    if number == signal.SIGINT and "KeyboardInterrupt" in said and not ours:
        return
    assert "Traceback" not in said and "rror" not in said, f"{when}: {said}"
    assert status in (0, -number), f"{when}: status {status}, {said}"


@pytest.mark.parametrize(
    "tries", [pytest.param(40, id="normal"), pytest.param(400, id="campaign", marks=pytest.mark.campaign)]
)
@pytest.mark.parametrize("peer", [False, True], ids=["alone", "with a peer"])
def test_signal_during_the_start_leaves_nothing_behind(lab: Lab, tmp_path: Path, tries: int, peer: bool) -> None:
    """At any of the first 400 ms: no traceback, no window, no socket, no interface."""
    rng, times = chance(), []
    tries = tries // 2
    if peer:
        lab.start(L.HOST)
    for _ in range(tries):
        before = left_behind(lab)
        number, delay = rng.choice(SIGNALS), rng.uniform(0.0, 0.4)
        log = tmp_path / "stderr"
        agent = spawn(lab, L.CARD, log)
        try:
            time.sleep(delay)
            times.append(seconds_to_end(agent, number, log))
            assert_clean_end(agent, number, log, f"{signal.Signals(number).name} after {delay * 1000:.0f} ms")
        finally:
            end_quietly([agent])
        assert left_behind(lab) == before
    spread("an agent that starts ends", times)


def test_signal_at_every_step_of_the_start_ends_the_agent(lab: Lab, tmp_path: Path) -> None:
    """As above, but as soon as a thing exists: the window, the interface, the socket, the link's epoch."""
    rng = chance()
    lab.start(L.HOST)
    handshake = Handshake(lab)
    quiet = left_behind(lab)
    steps = {
        "the interface": lambda: len(left_behind(lab)) > len(quiet),
        "the epoch": lambda: handshake.word(L.CARD, "epoch") != 0,
        "the answer": lambda: handshake.word(L.HOST, "answered") != 0,
        "the run": handshake.running,
    }
    for name, reached in steps.items():
        for number in SIGNALS:
            log = tmp_path / "stderr"
            agent = spawn(lab, L.CARD, log)
            try:
                until(reached, name)
                time.sleep(rng.uniform(0, 0.002))
                seconds_to_end(agent, number)
                assert agent.wait() == 0
                assert_clean_end(agent, number, log, name)
            finally:
                end_quietly([agent])
            assert left_behind(lab) == quiet
            lab.wait_for(L.HOST, "waiting")


def test_burst_of_signals_ends_an_agent_as_one_does(lab: Lab) -> None:
    """Ctrl-C pressed again and again still ends an agent cleanly."""
    rng = random.Random(1)
    for _ in range(4):
        lab.start(L.HOST)
        agent = lab.agent(L.HOST)
        while agent.poll() is None:
            agent.send_signal(rng.choice((*SIGNALS, signal.SIGHUP)))
            time.sleep(0.001)
        assert agent.returncode == 0
        lab.stop(L.HOST)
        assert left_behind(lab) == []
