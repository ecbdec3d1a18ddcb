"""An agent as a process: ignored signals, closed descriptors, limits, a window that is cut short."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.programs import X86, run
from tests.harness.restarts import until
from vnetcard.agent.control import ask
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PeerGone
from vnetcard.lab.lab import Lab
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("manners") as lab:
        yield lab


def command(lab: Lab, *options: str) -> list[str]:
    return [*X86, "--window", lab.window, "--netns", lab.namespaces[HOST], *options]


def runs(lab: Lab) -> bool:
    with contextlib.suppress(PeerGone):
        return bool(ask(lab.url, HOST, "status"))
    return False


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_ignored_signal_stays_ignored(lab: Lab, number: signal.Signals) -> None:
    def ignore() -> None:
        signal.signal(number, signal.SIG_IGN)

    with subprocess.Popen(
        command(lab),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=ignore,  # noqa: PLW1509 - the main thread starts it
    ) as agent:
        assert agent.stdout is not None
        assert b" ready: " in agent.stdout.readline()
        agent.send_signal(number)
        time.sleep(0.3)
        assert agent.poll() is None
        agent.terminate()
        assert agent.wait(20) == 0


def test_signal_that_the_caller_has_blocked_ends_the_agent(lab: Lab) -> None:
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])

    with subprocess.Popen(
        command(lab),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=block,  # noqa: PLW1509 - the main thread starts it
    ) as agent:
        assert agent.stdout is not None
        assert b" ready: " in agent.stdout.readline()
        agent.terminate()
        try:
            assert agent.wait(20) == 0
        finally:
            agent.kill()


def test_namespace_without_proc_is_one_line(lab: Lab) -> None:
    done = run([need("unshare"), "--mount", "sh", "-c", 'umount -l /proc; exec "$@"', "sh", *command(lab)])
    assert (done.status, done.stderr.count("\n")) == (2, 1), done
    assert "mount /proc" in done.stderr


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)], ids=["stdout", "stderr", "all"])
def test_closed_descriptors_are_no_error(lab: Lab, closed: tuple[int, ...]) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    with subprocess.Popen(
        command(lab),
        stderr=subprocess.DEVNULL,
        preexec_fn=close,  # noqa: PLW1509 - the main thread starts it
    ) as agent:
        try:
            until(lambda: runs(lab), "the agent answers")
            opened = [Path(f"/proc/{agent.pid}/fd/{number}").readlink() for number in closed]
            assert opened == [Path("/dev/null")] * len(closed)
        finally:
            agent.terminate()
        assert agent.wait(20) == 0


def test_full_disk_below_stdout_and_stderr_is_no_error(lab: Lab) -> None:
    with Path("/dev/full").open("w") as full, subprocess.Popen(command(lab), stdout=full, stderr=full) as agent:
        until(lambda: runs(lab), "the agent answers")
        agent.terminate()
        assert agent.wait(20) == 0


def test_limit_on_descriptors_is_named_and_nothing_is_left(lab: Lab) -> None:
    for limit in range(8, 22, 2):
        script = f'ulimit -n {limit}; exec "$@"'
        with subprocess.Popen(
            ["sh", "-c", script, "sh", *command(lab, "--json-log")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as agent:
            assert agent.stdout is not None and agent.stderr is not None
            line = agent.stdout.readline()
            agent.terminate()
            errors = agent.stderr.read().decode()
            status = agent.wait(20)
        assert "Traceback" not in errors, f"{limit} descriptors: {errors}"
        assert status == (0 if b" ready: " in line else 2), f"{limit} descriptors: {errors}"
        assert not Path("/dev/shm", lab.url.removeprefix("shm:")).exists(), f"{limit} descriptors: {errors}"


@pytest.mark.parametrize("size", [0, 70_000])
def test_window_that_is_cut_short_is_lost_and_opened_again(lab: Lab, size: int) -> None:
    lab.start(HOST)
    lab.start(CARD)
    lab.wait_up()
    os.truncate(Path("/dev/shm", lab.url.removeprefix("shm:")), size)

    def back() -> bool:
        views = [lab.status(side) for side in (HOST, CARD)]
        return all(view["link"]["up"] for view in views) and len({view["window"]["url"] for view in views}) == 1

    time.sleep(1.0)
    until(back, "the link is up again")
    assert all(lab.agent(side).poll() is None for side in (HOST, CARD))


def test_configuration_with_a_byte_order_mark_is_read(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    for data in (b"\xef\xbb\xbfmtu = 1400\r\n", "mtu = 1400\r\n".encode("utf-16")):
        file.write_bytes(data)
        lab.start(HOST, "--config", str(file))
        lab.stop(HOST)
    file.write_bytes(b"\xff\xfe\xfa")
    outcome = run(command(lab, "--config", str(file), "--json-log"))
    assert outcome.status == 2 and "Traceback" not in outcome.stderr


def test_failure_is_one_json_line_with_a_code(lab: Lab) -> None:
    outcome = run(command(lab, "--json-log", "--route", "10.9.0.0/16 via 172.31.9.9"))
    line = json.loads(outcome.stderr.splitlines()[-1])
    assert (outcome.status, line["code"], line["level"]) == (2, ErrorCode.ROUTE_UNREACHABLE, "error")
