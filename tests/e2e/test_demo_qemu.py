"""``vnetcard demo --qemu``: as root, as an ordinary user, interrupted, and where it cannot run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.harness.needs import need, skip_or_fail
from tests.harness.programs import (
    OPEN_TUN,
    VNETCARD,
    Outcome,
    as_nobody,
    assert_refused,
    demo_processes,
    demo_traces,
    home_of_nobody,
    run,
    started,
)
from tests.harness.restarts import until
from vnetcard.lab.sweep import sweep
from vnetcard.sim.guest.image import Image

pytestmark = [pytest.mark.e2e, pytest.mark.arm64, pytest.mark.root, pytest.mark.slow]

DEMO = [*VNETCARD, "demo", "--qemu"]


def assert_good_demo(outcome: Outcome) -> None:
    assert outcome.status == 0, outcome
    assert "aarch64" in outcome.stdout
    assert "all 10 sizes, both directions: 0% loss" in outcome.stdout
    assert outcome.stdout.count(", lost 0\n") == 2, outcome.stdout
    assert "are gone again" in outcome.stdout


def test_demo_as_root_loses_nothing_and_leaves_nothing(image: Image) -> None:
    outcome = run([*DEMO, "--count", "2"], limit=200.0)
    assert_good_demo(outcome)
    assert demo_traces(outcome.stdout) == []


@pytest.mark.campaign
def test_demo_with_two_guests_loses_nothing_and_leaves_nothing(image: Image, host_image: Image) -> None:
    with started([*DEMO, "--both", "--count", "2"]) as demo:  # whose output names no namespace: it has none
        stdout, stderr = demo.communicate(timeout=400.0)
    outcome = Outcome(demo.returncode, stdout, stderr)
    assert_good_demo(outcome)
    assert "host: x86-64 guest" in outcome.stdout and "card: ARM64 guest" in outcome.stdout
    assert demo_traces(demo.pid) == demo_processes(demo.pid) == []


@pytest.mark.campaign
def test_demo_as_an_ordinary_user_needs_no_root(image: Image) -> None:
    probe = as_nobody([need("unshare"), "--user", "--map-root-user", "--net", "--mount", "true"])
    if run(probe).status != 0:
        skip_or_fail("users may not make namespaces here")
    with home_of_nobody() as home:
        command = as_nobody([*DEMO, "--count", "2"], OPEN_TUN)
        outcome = run(command, env={"HOME": str(home), "TMPDIR": str(home)}, limit=200.0)
    assert "not root: using a user namespace" in outcome.stdout
    assert_good_demo(outcome)
    assert demo_traces(outcome.stdout) == []


@pytest.mark.parametrize(
    ("until_it_says", "number"),
    [
        ("joined by a PCI BAR", signal.SIGTERM),
        ("host to card", signal.SIGINT),
    ],
)
@pytest.mark.campaign
def test_interrupted_demo_leaves_nothing(image: Image, until_it_says: str, number: int) -> None:
    with started(DEMO) as demo:
        assert demo.stdout is not None
        assert any(until_it_says in line for line in demo.stdout)
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (130, "vnetcard: interrupted\n")
    assert demo_traces(demo.pid) + demo_processes(demo.pid) == []


def test_killed_demo_ends_its_guest_and_the_next_one_removes_the_rest(image: Image) -> None:
    with started(DEMO) as demo:
        assert demo.stdout is not None
        assert any("guest up after" in line for line in demo.stdout)
        demo.kill()
    until(lambda: not demo_processes(demo.pid), "the guest ends")
    assert f"vnetcard-demo-{demo.pid}-bar" in sweep("demo"), "the next demo does the same"
    assert demo_traces(demo.pid) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--window", "shm:x"], "--qemu has its own window: omit --window"),
        (["--sim"], "--sim and --qemu exclude each other: omit one of them"),
        (["--data-width", "64"], "--data-width applies to the simulated engine: add --sim"),
    ],
)
def test_options_that_exclude_each_other_are_refused(words: list[str], message: str) -> None:
    assert_refused(run([*DEMO, *words]), "vnetcard", message)


def test_missing_qemu_is_named(image: Image, tmp_path: Path) -> None:
    for tool in ("ip", "ping", "apt-get", "dpkg-deb", "aarch64-linux-gnu-gcc", "env"):  # all but QEMU
        (tmp_path / tool).symlink_to(need(tool))
    outcome = run(DEMO, env={"PATH": str(tmp_path)})
    assert_refused(outcome, "vnetcard", "qemu-system-aarch64 is missing: scripts/system-packages.sh qemu")
