"""Two ordinary agents with the Verilated RTL between them: nothing is lost, and the link survives disturbances."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.macvtap_network import Network
from tests.harness.needs import need, need_simulator, skip_or_fail
from tests.harness.pings import run_pings
from tests.harness.programs import NOBODY, OPEN_TUN, VNETCARD, as_nobody, demo_traces, home_of_nobody, ip, run, started
from tests.harness.restarts import OUTAGE, until
from tests.harness.traffic import V4, assert_no_bad_checksums, assert_stream_arrives
from tests.sim.engine_lab import LIMIT, assert_ledgers_balance, iperf3, joined, own, pinging
from tests.sim.simulation import cpu_share, new_name
from vnetcard.lab.lab import Lab
from vnetcard.lab.sim import SimProcess
from vnetcard.ping import suite
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.hdl, pytest.mark.slow]

MIB = 1 << 20
STREAM = 24 * MIB


def assert_suite_loses_nothing(lab: Lab, *, count: int = 5) -> None:
    targets = [suite.Target(V4[1 - side], netns=lab.namespaces[side], label=L.SIDES[side]) for side in (0, 1)]
    results = run_pings(targets, count=count)
    assert len(results) == 2 * len(suite.DEFAULT_SIZES)
    assert [result for result in results if not result.ok] == []


@pytest.mark.parametrize(
    "width", ["512", *(pytest.param(narrow, marks=pytest.mark.campaign) for narrow in ("64", "128", "256"))]
)
def test_pings_of_every_size_cross_the_engine_without_loss(width: str) -> None:
    with joined("--data-width", width) as (simulator, lab):
        assert_suite_loses_nothing(lab)
        assert_ledgers_balance(lab)
        assert_no_bad_checksums(lab)
        totals = simulator.stop()
    for side, direction in enumerate(L.DIRECTIONS):
        assert totals["engine"][direction]["publications"] > 0, "it was the engine"
        assert totals["sides"][L.SIDES[side]]["read_bytes"] > 100_000
        assert totals["sides"][L.SIDES[side]]["errors"] == 0


def test_tcp_moves_data_and_arrives_with_the_same_hash() -> None:
    need("iperf3")
    with joined() as (_, lab):
        for sender in (L.HOST, L.CARD):
            assert_stream_arrives(lab, "tcp", STREAM, sender=sender)
        assert min(iperf3(lab), iperf3(lab, "-R")) > 0
        assert_ledgers_balance(lab)
        assert_no_bad_checksums(lab)


def test_small_windows_and_packets_without_offload_cross_as_well() -> None:
    with joined("--memory", "64K", agents=("--offload", "off")) as (_, lab):
        assert_suite_loses_nothing(lab, count=2)
        assert_stream_arrives(lab, "tcp", 2 * MIB)
        assert_ledgers_balance(lab)


def test_ethernet_frames_of_a_macvtap_and_a_tap_with_one_mac_cross_the_engine(netns_pair: tuple[str, str]) -> None:
    """What reports the missing --mac is in tests/integration/test_macvtap_engines.py."""
    need_simulator()
    mac = "02:00:5e:00:00:52"
    with SimProcess(new_name()) as simulator, Lab("sim", window=simulator.url) as lab:
        network = Network(lab, netns_pair[0])
        network.start("--mac", mac)
        assert {network.port(side)["mac"] for side in (L.HOST, L.CARD)} == {mac}
        ip("-n", network.host, "link", "set", "eth1", "down")
        until(lambda: not network.card_has_carrier(), "NO-CARRIER on the other side of the engine", limit=LIMIT)
        ip("-n", network.host, "link", "set", "eth1", "up")
        until(network.reaches_the_node, "the network with the carrier", limit=LIMIT)
        assert_ledgers_balance(lab, allow={"drop_port_down"})


def test_a_slow_bus_with_latency_loses_nothing() -> None:
    with joined("--pcie-latency-ns", "1500", "--pcie-gbps", "16") as (_, lab):
        assert_suite_loses_nothing(lab, count=2)
        assert_ledgers_balance(lab)


# --- disturbances ------------------------------------------------------------------------------------


def streams_meanwhile(lab: Lab, disturb: Callable[[], None]) -> None:
    """TCP in both directions and pings, disturbed in the middle: the streams nevertheless arrive whole."""
    failures: list[BaseException] = []

    def stream(sender: int) -> None:
        try:
            assert_stream_arrives(lab, "tcp", STREAM // 2, sender=sender, version=(4, 6)[sender])
        except BaseException as error:
            failures.append(error)

    with pinging(lab):
        threads = [threading.Thread(target=stream, args=(sender,)) for sender in (L.HOST, L.CARD)]
        for thread in threads:
            thread.start()
        try:
            disturb()
        finally:
            for thread in threads:
                thread.join()
    assert failures == []


def taken(lab: Lab) -> int:
    """Packets that the host's agent has sent."""
    count: int = own(lab.status(L.HOST))["tx"]["tx_sent"]
    return count


def wait_for_traffic(lab: Lab) -> None:
    before = taken(lab)
    until(lambda: taken(lab) > before + 50, "packets cross", limit=LIMIT)


def test_a_simulator_killed_under_load_and_started_again_brings_the_link_back() -> None:
    with joined() as (simulator, lab):
        again: list[SimProcess] = []

        def kill() -> None:
            wait_for_traffic(lab)
            simulator.kill()
            for side in (L.HOST, L.CARD):
                until(lambda: not lab.status(side)["link"]["up"], "the link is down", limit=LIMIT)  # noqa: B023
            again.append(SimProcess(simulator.name))
            lab.wait_up(limit=LIMIT)
            wait_for_traffic(lab)

        try:
            streams_meanwhile(lab, kill)
            assert_ledgers_balance(lab, allow=OUTAGE)
            assert_suite_loses_nothing(lab, count=1)
        finally:
            for process in again:
                process.close()


@pytest.mark.parametrize("side", [L.HOST, L.CARD], ids=L.SIDES)
def test_an_agent_killed_under_load_and_started_again_brings_the_link_back(side: int) -> None:
    with joined() as (_, lab):
        for _ in range(3):
            with pinging(lab):
                wait_for_traffic(lab)
                lab.stop(side, signal.SIGKILL)
                lab.start(side)
                lab.wait_up(limit=LIMIT)
        assert_ledgers_balance(lab, allow=OUTAGE)
        assert_suite_loses_nothing(lab, count=1)


@pytest.mark.parametrize(
    "what", ["host-read-slverr@300", "card-read-decerr@300", "host-write-decerr@400", "card-write-slverr@400"]
)
def test_after_a_bus_error_the_link_comes_back(what: str) -> None:
    with joined("--inject", what) as (_, lab):

        def halted() -> bool:
            return any(own(lab.status(side))["link"]["engine_halt"] for side in (L.HOST, L.CARD))

        with pinging(lab):
            until(halted, "an engine halt is counted", limit=LIMIT)
            lab.wait_up(limit=LIMIT)
        assert_ledgers_balance(lab, allow=OUTAGE)
        assert_suite_loses_nothing(lab, count=1)


def test_removed_card_takes_the_link_down_and_brings_it_up_when_put_back() -> None:
    with joined() as (simulator, lab):

        def pull_and_return() -> None:
            wait_for_traffic(lab)
            simulator.signal(signal.SIGUSR1)
            simulator.event("removed")
            for side in (L.HOST, L.CARD):
                until(lambda: not lab.status(side)["link"]["up"], "the link is down", limit=LIMIT)  # noqa: B023
            simulator.signal(signal.SIGUSR1)
            simulator.event("returned")
            lab.wait_up(limit=LIMIT)

        streams_meanwhile(lab, pull_and_return)
        assert_ledgers_balance(lab, allow=OUTAGE)


def test_an_idle_link_lets_the_simulator_sleep() -> None:
    with joined() as (simulator, lab):
        assert_ledgers_balance(lab)  # at rest
        share = cpu_share(simulator.pid, seconds=2)
        assert share < 0.15, f"{share:.0%} of a processor"


# --- the demo ----------------------------------------------------------------------------------------


def test_the_demo_loses_nothing_and_leaves_nothing() -> None:
    need_simulator()
    outcome = run([*VNETCARD, "demo", "--sim", "--count", "2"])
    assert (outcome.status, outcome.stderr) == (0, "")
    assert "all 10 sizes, both directions: 0% loss" in outcome.stdout
    assert outcome.stdout.count(" lost 0") == 2
    assert "engine: h2c " in outcome.stdout
    assert demo_traces(outcome.stdout) == []


def test_the_demo_as_an_ordinary_user_needs_no_root(build_cache: Path) -> None:
    need_simulator()
    if run(as_nobody([need("unshare"), "--user", "--map-root-user", "--net", "--mount", "true"])).status:
        skip_or_fail("users may not make namespaces here")
    with SimProcess(new_name()):  # so that it is built, in a cache that user nobody may read
        pass
    with home_of_nobody() as home:
        shutil.copytree(build_cache, home / ".cache", ignore=shutil.ignore_patterns("types", "hdl*", "guest"))
        script = f"{OPEN_TUN}\nchown -R {NOBODY} {home}"
        command = as_nobody([*VNETCARD, "demo", "--sim", "--count", "2"], script)
        outcome = run(command, env={"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home / ".cache")})
    assert (outcome.status, outcome.stderr) == (0, "")
    assert "not root: using a user namespace" in outcome.stdout
    assert "all 10 sizes, both directions: 0% loss" in outcome.stdout
    assert demo_traces(outcome.stdout) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(number: int) -> None:
    need_simulator()
    with started([*VNETCARD, "demo", "--sim"]) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "host to card" in line:
                break
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (130, "vnetcard: interrupted\n")
    assert demo_traces(demo.pid) == []


def test_ctrl_c_at_the_terminal_reaches_all_processes_and_leaves_nothing() -> None:
    need_simulator()
    demo = subprocess.Popen(
        [*VNETCARD, "demo", "--sim"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert demo.stdout is not None
    while "host to card" not in demo.stdout.readline():
        assert demo.poll() is None
    os.killpg(demo.pid, signal.SIGINT)
    _, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (130, "vnetcard: interrupted\n")
    assert demo_traces(demo.pid) == []
