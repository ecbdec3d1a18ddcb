"""``vnetcard demo``: as root, as an ordinary user, and interrupted in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import need, skip_or_fail
from tests.harness.programs import (
    OPEN_TUN,
    VNETCARD,
    Outcome,
    as_nobody,
    assert_refused,
    demo_traces,
    home_of_nobody,
    run,
    started,
)

pytestmark = pytest.mark.root


@pytest.fixture
def home() -> Iterator[Path]:
    with home_of_nobody() as path:
        yield path


def assert_good_demo(outcome: Outcome) -> None:
    assert (outcome.status, outcome.stderr) == (0, ""), outcome
    assert "host to card" in outcome.stdout and "card to host" in outcome.stdout
    assert "link up after" in outcome.stdout
    assert outcome.stdout.count(" lost 0") >= 2, outcome.stdout
    assert "are gone again" in outcome.stdout


def test_demo_as_root_loses_nothing_and_leaves_nothing() -> None:
    outcome = run([*VNETCARD, "demo", "--count", "3"])
    assert_good_demo(outcome)
    assert demo_traces(outcome.stdout) == []


def users_namespaces_work() -> bool:
    probe = as_nobody([need("unshare"), "--user", "--map-root-user", "--net", "--mount", "true"])
    return run(probe).status == 0


def test_demo_as_an_ordinary_user_needs_no_root(home: Path) -> None:
    if not users_namespaces_work():
        skip_or_fail("users may not make namespaces here")
    outcome = run(
        as_nobody([*VNETCARD, "demo", "--count", "3"], OPEN_TUN), env={"HOME": str(home), "TMPDIR": str(home)}
    )
    assert "not root: using a user namespace" in outcome.stdout
    assert_good_demo(outcome)
    assert demo_traces(outcome.stdout) == []
    assert list(home.iterdir()) == []


def test_demo_of_a_user_who_may_not_make_namespaces_is_refused_in_one_line(home: Path, tmp_path: Path) -> None:
    fake = tmp_path / "unshare"
    fake.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2; exit 1\n")
    fake.chmod(0o755)
    script = f"{OPEN_TUN}\nmkdir -p /mnt/bin; cp {fake} /mnt/bin/unshare"
    command = as_nobody(["env", "PATH=/mnt/bin:/usr/bin:/bin:/usr/sbin:/sbin", *VNETCARD, "demo"], script)
    outcome = run(command, env={"HOME": str(home)})
    assert_refused(outcome, "vnetcard", "the demo needs root", "does not let users create namespaces")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("until", ["two network namespaces", "link up after", "host to card"])
def test_interrupted_demo_leaves_nothing(number: signal.Signals, until: str) -> None:
    with started([*VNETCARD, "demo"]) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if until in line:
                break
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=30)
    assert (demo.returncode, errors) == (130, "vnetcard: interrupted\n")
    assert demo_traces(demo.pid) == []


def test_ctrl_c_at_the_terminal_reaches_the_agents_too_and_leaves_nothing() -> None:
    demo = subprocess.Popen(
        [*VNETCARD, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert demo.stdout is not None
    while "host to card" not in demo.stdout.readline():
        assert demo.poll() is None
    os.killpg(demo.pid, signal.SIGINT)
    _, errors = demo.communicate(timeout=30)
    assert (demo.returncode, errors) == (130, "vnetcard: interrupted\n")
    assert demo_traces(demo.pid) == []
