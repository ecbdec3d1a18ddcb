"""``vnetcard status``, ``info`` and ``ping`` without targets observe a link and never disturb it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.needs import need
from tests.harness.programs import FPGA, VNETCARD, X86, agent, run, started
from vnetcard.cli.info import text
from vnetcard.errors import ConfigError
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ping.suite import Target
from vnetcard.ping.target import default_targets
from vnetcard.ring import layout as L
from vnetcard.ring.layout import CARD, HOST
from vnetcard.ring.window_dump import view_window
from vnetcard.window import read_window

pytestmark = pytest.mark.root

LEDGER = [name for name in L.RX_LEDGER if name.startswith(("rx_", "drop_"))]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("status") as lab:
        yield lab


@pytest.fixture
def running(lab: Lab) -> Lab:
    """Both agents on a small window, link up, some packets gone through."""
    lab.window = f"{lab.url}+64K"
    lab.start(HOST)
    lab.start(CARD)
    lab.wait_up()
    assert ping(lab, "-c", "10", "-i", "0.01", "-w", "20").returncode == 0
    return lab


def ping(lab: Lab, *more: str) -> subprocess.CompletedProcess[str]:
    command = run_in(lab.namespaces[HOST], [need("ping"), "-n", "-q", *more, "10.10.10.5"])
    return subprocess.run(command, capture_output=True, text=True, check=False)


def side(view: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [side for side in view["sides"] if side["side"] == name]
    return dict(found)


# --- status ------------------------------------------------------------------------------------------


def test_status_of_a_link_that_is_up_is_0_and_shows_both_agents(running: Lab) -> None:
    shown = run([*VNETCARD, "status", "--window", running.window])
    assert (shown.status, shown.stderr) == (0, "")
    for words in ("vnetcard-x86 (pid ", "vnetcard-fpga (pid ", "link      UP (run", "tun0 10.10.10.1/24", "ring h2c"):
        assert words in shown.stdout
    shown = run([*VNETCARD, "status", "--window", running.url, "--json"])
    host, card = json.loads(shown.stdout)["agents"]
    assert (shown.status, host["side"], card["side"]) == (0, "host", "card")
    assert host["link"]["up"] and card["link"]["up"]
    assert side(host, "host")["tx"]["tx_sent"] >= 10
    theirs, ours = side(host, "card")["rx"], side(card, "card")["rx"]  # sleeps are counted while nothing moves, too
    assert [theirs[name] for name in LEDGER] == [ours[name] for name in LEDGER]


def test_status_of_a_link_that_is_down_is_1(lab: Lab) -> None:
    lab.start(HOST)
    shown = run([*VNETCARD, "status", "--window", lab.url])
    assert (shown.status, shown.stderr) == (1, "")
    assert "link      DOWN (waiting: no peer yet)" in shown.stdout


def test_watch_shows_again_until_interrupted(running: Lab) -> None:
    command = [*VNETCARD, "status", "--window", running.url, "--watch", "--json"]
    with started(command) as watch:
        assert watch.stdout is not None
        shown = [json.loads(watch.stdout.readline()) for _ in range(2)]
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=20)
    assert [len(one["agents"]) for one in shown] == [2, 2]
    assert shown[1]["agents"][0]["link"]["since"] > shown[0]["agents"][0]["link"]["since"]
    assert (watch.returncode, errors) == (130, "vnetcard: interrupted\n")


def test_dead_peers_last_counters_are_still_shown(running: Lab) -> None:
    before = side(running.status(HOST), "card")
    assert before["tx"]["tx_sent"] >= 10
    running.stop(CARD, signal.SIGKILL)
    view = running.wait_for(HOST, "peer-dead")
    after = side(view, "card")
    assert after["pid"] == before["pid"]
    assert after["tx"]["tx_sent"] >= before["tx"]["tx_sent"]
    assert "no heartbeat" in view["link"]["reason"]
    assert run([*VNETCARD, "status", "--window", running.url]).status == 1


@pytest.mark.timeout(60)
def test_busy_ring_is_never_reported_as_impossible(running: Lab) -> None:
    server = run_in(running.namespaces[CARD], [need("iperf3"), "-s", "-1", "--forceflush"])
    client = run_in(running.namespaces[HOST], [need("iperf3"), "-c", "10.10.10.5", "-t", "4"])
    with started(server) as listening:
        assert listening.stdout is not None
        while "listening" not in listening.stdout.readline():
            assert listening.poll() is None
        with started(client) as sending:
            reads = 0
            while sending.poll() is None and reads < 600:
                reads += 1
                for ring in running.status(HOST)["rings"]:
                    assert ring["problem"] == ""
                    assert 0 <= ring["fill"] <= ring["size"]
                if reads % 100 == 0:
                    assert run([*VNETCARD, "info", running.url]).status == 0
            assert reads > 100


# --- info --------------------------------------------------------------------------------------------


def test_info_of_a_live_window_has_no_problems(running: Lab) -> None:
    shown = run([*VNETCARD, "info", running.url])
    assert (shown.status, shown.stderr) == (0, "")
    for words in (f"{running.url}: 64 KiB", "superblock  instance", "h2c 16 KiB at 0x1000", "host      RUN", "epoch "):
        assert words in shown.stdout
    shown = run([*VNETCARD, "info", running.url, "--json"])
    view = json.loads(shown.stdout)
    assert (shown.status, view["problems"], view["geometry"]["window_bytes"]) == (0, [], 64 << 10)


def test_two_hundred_reads_disturb_no_packet(running: Lab) -> None:
    flow = run_in(running.namespaces[HOST], [need("ping"), "-n", "-i", "0.005", "-w", "60", "10.10.10.5"])
    before = running.status(HOST)["link"]["epoch"]
    with started(flow) as process:
        for n in range(200):
            view = view_window(running.url, read_window(running.url))
            assert view["geometry"] and len(text(view)) > 100
            if n % 50 == 0:
                assert run([*VNETCARD, "info", running.url]).status == 0
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=20)
    answered = [int(n) for n in re.findall(r"icmp_seq=(\d+) ttl", shown)]
    requests = int(re.findall(r"(\d+) packets transmitted", shown)[0])
    # All in a row; the last one may have been on its way when the signal came.
    assert answered == list(range(1, len(answered) + 1)) and len(answered) >= requests - 1 > 20, shown
    assert running.status(HOST)["link"]["epoch"] == before


def test_info_of_any_corrupt_copy_decodes_what_it_can(running: Lab, tmp_path: Path) -> None:
    good = read_window(running.url)
    rng = random.Random(20)
    for n in range(400):
        copy = bytearray(good)
        where = (L.LINE * 2, L.rings_offset(1), len(good))[n % 3]
        for _ in range(rng.choice((1, 8, 200))):
            copy[rng.randrange(where)] = rng.choice((0, 0xFF, rng.randrange(256)))
        if n % 5 == 0:
            del copy[rng.randrange(len(copy)) :]
        view = view_window("file:copy", bytes(copy))
        assert text(view)
        assert json.dumps(view)
        assert len(copy) < L.rings_offset(1) or len(view["sides"]) == 2, "side blocks are there to be decoded"
    for n, content in enumerate(
        (good[:-1], os.urandom(1 << 16), b"\xff" * (1 << 16), good[:0x800] + b"\x41" + good[0x801:])
    ):
        (tmp_path / "copy").write_bytes(content)
        shown = run([*VNETCARD, "info", f"file:{tmp_path / 'copy'}"])
        assert (shown.status, shown.stderr) == (1, ""), n
        assert "PROBLEM" in shown.stdout


# --- ping without targets ----------------------------------------------------------------------------


def test_ping_without_targets_goes_in_both_directions_where_both_agents_are(running: Lab) -> None:
    host, card = running.namespaces
    assert default_targets(running.window) == [
        Target("10.10.10.5", host, "host to card"),
        Target("10.10.10.1", card, "card to host"),
    ]
    shown = run([*VNETCARD, "ping", "--window", running.url, "--sizes", "56", "--count", "3"])
    assert (shown.status, shown.stderr) == (0, "")
    assert "host to card" in shown.stdout and "card to host" in shown.stdout


def test_ping_without_targets_takes_the_first_ipv4_address(lab: Lab) -> None:
    lab.start(HOST, "--address", "fd00:9::1/64", "--address", "10.9.9.1/24", "--address", "10.9.9.2/24")
    lab.start(CARD, "--address", "fd00:9::5/64")
    assert [target.address for target in default_targets(lab.url)] == ["fd00:9::5", "10.9.9.1"]


@pytest.mark.parametrize(
    ("here", "peer", "label"), [(HOST, "10.10.10.5", "host to card"), (CARD, "10.10.10.1", "card to host")]
)
def test_ping_without_targets_from_one_side_goes_to_its_peer(lab: Lab, here: int, peer: str, label: str) -> None:
    lab.start(here)
    assert default_targets(lab.url) == [Target(peer, lab.namespaces[here], label)]


def test_ping_without_targets_does_not_guess_an_address(lab: Lab) -> None:
    lab.start(HOST, "--address", "10.9.9.1/24")
    with pytest.raises(ConfigError, match="host's peer is not known on this machine: name it"):
        default_targets(lab.url)
    lab.start(CARD, "--address", "none")
    with pytest.raises(ConfigError, match="no address to ping: name a target"):
        default_targets(lab.url)


def test_ping_without_targets_finds_an_agent_that_runs_in_a_namespace(netns_pair: tuple[str, str]) -> None:
    window = f"shm:vnc-inside-{os.getpid()}"
    command = ["--window", window]
    with (
        agent(run_in(netns_pair[0], [*X86, *command])) as host,
        agent(run_in(netns_pair[1], [*FPGA, *command])) as card,
    ):
        targets = default_targets(window)
        assert [target.netns for target in targets] == [f"/proc/{host.pid}/ns/net", f"/proc/{card.pid}/ns/net"]
        time.sleep(0.5)
        shown = run([*VNETCARD, "ping", "--window", window, "--sizes", "56", "--count", "3"])
        assert shown.status == 0, shown


def test_ping_without_targets_and_without_an_agent_goes_to_the_card(lab: Lab) -> None:
    assert default_targets(lab.url) == [Target("10.10.10.5")]
