"""``vnetcard bench`` over real interfaces: it measures, and leaves nothing behind, also when it is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness.needs import need
from tests.harness.programs import VNETCARD

pytestmark = [pytest.mark.root, pytest.mark.slow]
LIMIT = 120.0


def bench(*words: str) -> subprocess.Popen[str]:
    """A quick bench of two contenders."""
    need("iperf3")
    command = [*VNETCARD, "bench", "--quick", "--contenders", "vnetcard,splice", "--rounds", "1", "--wait", "0"]
    return subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def traces(pid: int) -> list[str]:
    """Namespaces, memory and sockets that the bench with this pid created and that still exist."""
    folders = ("/run/netns", "/dev/shm", "/run/vnetcard")
    return [str(path) for folder in folders for path in Path(folder).glob(f"*vnetcard-bench*-{pid}-*")]


def test_profile_shows_the_stages_of_each_contender() -> None:
    need("perf")
    loads = ["--loads", "udp-64,tcp", "--congestion", "cubic", "--seconds", "0.5"]
    run = bench(*loads, "--profile", "--json")
    output, progress = run.communicate(timeout=LIMIT)
    assert run.returncode == 0, progress
    profiles = {(one["load"], one["contender"]): one["stages"] for one in json.loads(output)["profiles"]}
    assert set(profiles) == {(load, name) for load in ("udp-64", "tcp cubic") for name in ("vnetcard", "splice")}
    for (_, name), stages in profiles.items():
        shares = {stage["stage"]: stage["share"] for stage in stages}
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["the load's programs and the kernel for them"] > 0
        pumps = {stage for stage in shares if "pumps" in stage}
        assert len(pumps) == (2 if name == "vnetcard" else 0)
        assert name == "vnetcard" or shares["the contender's other threads"] > 0
    assert traces(run.pid) == []


def test_two_contenders_are_compared_and_nothing_is_left(tmp_path: Path) -> None:
    loads = ["--loads", "ping,udp-64,tcp", "--congestion", "cubic", "--seconds", "0.2"]
    run = bench(*loads, "--output", str(tmp_path), "--json")
    output, progress = run.communicate(timeout=LIMIT)
    assert run.returncode == 0, progress
    found = json.loads(output)
    assert found == json.loads((tmp_path / "bench.json").read_text())
    assert "</svg>" in (tmp_path / "bench.svg").read_text()
    for figure in ("start", "ping p50", "udp 64", "tcp 1500 cubic"):
        assert set(found["figures"][figure]["contenders"]) == {"vnetcard", "splice"}
        assert found["figures"][figure]["ratios"]["splice"]["median"] > 0
    assert "round 1 of 1  splice    ping: ping p50" in progress
    assert traces(run.pid) == []


@pytest.mark.parametrize(
    ("load", "figures"),
    [
        ("lwip", {"tcp into lwip": {"vnetcard"}}),
        pytest.param("memif", {"memif 64": {"vnetcard", "testpmd", "testpmd-x2"}}, marks=pytest.mark.campaign),
    ],
)
def test_standalone_loads_bring_their_own_ends(load: str, figures: dict[str, set[str]]) -> None:
    need({"lwip": "gcc", "memif": "dpdk-testpmd"}[load])
    run = bench("--loads", load, "--seconds", "0.5", "--json")
    output, progress = run.communicate(timeout=LIMIT)
    assert run.returncode == 0, progress
    found = json.loads(output)["figures"]
    assert {name: set(figure["contenders"]) for name, figure in found.items()} == figures
    assert traces(run.pid) == []


def test_an_interrupted_bench_leaves_nothing() -> None:
    run = bench("--loads", "idle", "--seconds", "60")
    deadline = time.monotonic() + LIMIT
    while not traces(run.pid):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    _, errors = run.communicate(timeout=LIMIT)
    assert run.returncode == 130, errors
    assert traces(run.pid) == []
