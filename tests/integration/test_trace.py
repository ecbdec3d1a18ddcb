"""``vnetcard trace`` on two agents: whole paths, the filter, the summary, and agents that end while they are traced."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.needs import need
from tests.harness.open_taps import has_open_tap, tap_memories
from tests.harness.programs import VNETCARD, Outcome, run, started
from tests.harness.restarts import OUTAGE
from tests.harness.ssh_lab import sshd
from tests.harness.traffic import all_dropped, pinging
from vnetcard.agent.control import socket_path
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD, HOST
from vnetcard.tap import engine_log
from vnetcard.tap.packet_trace import STEPS

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("trace") as lab:
        lab.start(HOST)
        lab.start(CARD)
        lab.wait_up()
        yield lab


def trace(lab: Lab, *options: str) -> Outcome:
    with pinging(lab):
        return run([*VNETCARD, "trace", "--window", lab.url, *options])


def test_packet_is_followed_through_every_stage_of_both_sides(lab: Lab) -> None:
    shown = trace(lab, "icmp and dst host 10.10.10.5", "--count", "3", "--json")
    assert (shown.status, shown.stderr) == (0, "")
    *packets, end = (json.loads(line) for line in shown.stdout.splitlines())
    assert len(packets) == 3
    for packet in packets:
        sides = {step["step"]: step["side"] for step in packet["steps"]}
        assert set(sides) | {"wake-up", "release"} == set(STEPS) - set(engine_log.STEPS)
        assert (sides["port read"], sides["doorbell"], sides["peek"], sides["port write"]) == (
            "host",
            "host",
            "card",
            "card",
        )
        assert packet["delivered"] and packet["bytes"] == 84
        assert packet["packet"].startswith("10.10.10.1 > 10.10.10.5: ICMP echo request")
        times = [step["us"] for step in packet["steps"]]
        assert times == sorted(times) and 0 < times[-1] < 10e6
    assert end["missed"] == 0 and end["one_clock"]


def test_clocks_of_one_machine_agree_within_the_bound(lab: Lab) -> None:
    end = json.loads(trace(lab, "--count", "20", "--json").stdout.splitlines()[-1])
    assert end["clock_bound_us"] is not None
    assert abs(end["clock_offset_us"]) <= end["clock_bound_us"] < 50_000


def test_summary_gives_the_distribution_of_each_stage_and_names_the_bottleneck(lab: Lab) -> None:
    shown = trace(lab, "--summary", "--count", "60")
    assert (shown.status, shown.stderr) == (0, "")
    for words in ("h2c: ", "c2h: ", "min us", "p50 us", "p99 us", "max us", "port write", "bottleneck: ", "missed: 0"):
        assert words in shown.stdout
    found = json.loads(trace(lab, "--summary", "--count", "60", "--json").stdout)
    for direction in found["directions"]:
        stages = direction["stages_us"]
        assert direction["bottleneck"]["stage"] in stages
        assert all(0 <= f["min"] <= f["p50"] <= f["p99"] <= f["max"] for f in stages.values())


def test_consumer_that_gets_no_cpu_is_named_as_the_bottleneck(lab: Lab) -> None:
    """The card's agent is stopped for four fifths of the time, as one that others keep from running."""
    command = [*VNETCARD, "trace", "--window", lab.url, "--summary", "--json", "dst host 10.10.10.5"]
    with pinging(lab), started(command) as process:
        while not tap_memories(lab.agent(CARD).pid):
            time.sleep(0.01)
        for _ in range(10):
            lab.agent(CARD).send_signal(signal.SIGSTOP)
            time.sleep(0.16)
            lab.agent(CARD).send_signal(signal.SIGCONT)
            time.sleep(0.04)
        process.send_signal(signal.SIGINT)
        found = json.loads(process.communicate(timeout=20)[0])
    to_card = found["directions"][0]
    assert to_card["packets"] > 20
    assert to_card["bottleneck"]["stage"] in ("wake-up", "in the ring"), to_card
    assert "the card's pump" in to_card["bottleneck"]["why"]
    assert to_card["stages_us"]["wake-up"]["max"] > 50_000


def test_drop_is_shown_by_its_name(lab: Lab) -> None:
    with all_dropped(lab, CARD):
        shown = trace(lab, "icmp", "--count", "1")
    assert "DROPPED: drop_source" in shown.stdout


def test_ctrl_c_ends_it_with_status_0_and_the_final_lines(lab: Lab) -> None:
    with pinging(lab), started([*VNETCARD, "trace", "--window", lab.url, "--sample", "4"]) as process:
        assert process.stdout is not None
        assert "epochs" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=20)
        assert (process.returncode, complaint) == (0, "")
        assert "missed: " in said


def test_agent_that_ends_ends_the_trace_and_is_named() -> None:
    with Lab("tracend") as lab:
        lab.start(HOST)
        with started([*VNETCARD, "trace", "--window", lab.url]) as process:
            deadline = time.monotonic() + 20
            while not has_open_tap(lab.agent(HOST).pid):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            lab.stop(HOST, signal.SIGKILL)
            _, complaint = process.communicate(timeout=20)
            assert process.returncode == 1
            assert complaint == "vnetcard: all traced agents have ended\n"


def test_killed_trace_leaves_the_agent_untapped(lab: Lab) -> None:
    for _ in range(6):  # more than there is room for at a time
        with started([*VNETCARD, "trace", "--window", lab.url]) as process, pinging(lab):
            assert process.stdout is not None
            assert process.stdout.readline()
            process.kill()
    assert trace(lab, "--count", "1").status == 0
    deadline = time.monotonic() + 5
    while left := tap_memories(lab.agent(HOST).pid):
        assert time.monotonic() < deadline, left


def test_restart_of_the_peer_is_seen_as_new_epochs_and_the_ledgers_balance() -> None:
    with Lab("traceagain") as lab:
        lab.start(HOST)
        lab.start(CARD)
        lab.wait_up()
        with pinging(lab), started([*VNETCARD, "trace", "--window", lab.url, "--json"]) as process:
            first = delivered(process, set())
            lab.stop(CARD, signal.SIGKILL)
            lab.start(CARD)
            assert delivered(process, {first}) != first
        assert_ledgers_balance(lab, allow=OUTAGE)


def delivered(process: subprocess.Popen[str], other_than: set[str]) -> str:
    """The epochs of the next packet that is traced to its end, and whose epochs are new."""
    assert process.stdout is not None
    while line := process.stdout.readline():
        packet = json.loads(line)
        if packet.get("delivered") and str(packet["epochs"]) not in other_than:
            return str(packet["epochs"])
    raise AssertionError("the trace ended")


def test_peer_that_does_not_answer_is_one_line() -> None:
    with Lab("tracepeer") as lab:
        lab.start(HOST)
        for peer in ("false", "/no/such/program", "'", "echo {}"):
            shown = run([*VNETCARD, "trace", "--window", lab.url, "--peer", peer, "--count", "1"])
            assert shown.status == 2
            assert shown.stderr.startswith("vnetcard: error: --peer ") and shown.stderr.count("\n") == 1


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Lab, dict[str, str]]]:
    """A lab, and the environment in which the card's agent is found: here it is not, as if it were elsewhere."""
    with tempfile.TemporaryDirectory(prefix="vnc-far-") as name, Lab("tracefar") as lab:  # tmp_path is too long
        here, there = Path(name) / "here", Path(name) / "there"
        monkeypatch.setenv("VNETCARD_RUN_DIR", str(here))
        lab.start(HOST)
        monkeypatch.setenv("VNETCARD_RUN_DIR", str(there))
        lab.start(CARD)
        monkeypatch.setenv("VNETCARD_RUN_DIR", str(here))
        lab.wait_open(name="tun0")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        yield lab, {"VNETCARD_RUN_DIR": str(there), "PATH": path}
        monkeypatch.setenv("VNETCARD_RUN_DIR", str(there))
        lab.stop(CARD)
        monkeypatch.setenv("VNETCARD_RUN_DIR", str(here))


def test_events_of_another_computer_come_by_a_command(far: tuple[Lab, dict[str, str]]) -> None:
    lab, environment = far
    alone = trace(lab, "--count", "2", "icmp and dst host 10.10.10.5")
    assert "the card's agent is on another computer: --peer" in alone.stdout
    peer = shlex.join(["env", *(f"{name}={value}" for name, value in environment.items())])
    shown = trace(lab, "--peer", peer, "--count", "6", "--json", "icmp")
    assert (shown.status, shown.stderr) == (0, "")
    *packets, end = (json.loads(line) for line in shown.stdout.splitlines())
    assert all({step["side"] for step in packet["steps"]} == {"host", "card"} for packet in packets)
    assert abs(end["clock_offset_us"]) <= end["clock_bound_us"] and end["one_clock"]
    named = trace(lab, "--peer", peer, "--peer-window", "shm:none", "--count", "1")
    assert named.status == 2 and "no agent for shm:none answers in" in named.stderr


def test_events_of_another_computer_come_by_ssh_over_the_link(far: tuple[Lab, dict[str, str]], tmp_path: Path) -> None:
    """A real sshd on the card: its own packets are not traced, and nothing of the trace is left there."""
    lab, environment = far
    with sshd(lab, tmp_path, environment) as command:
        peer = ["--window", lab.url, "--peer", shlex.join(command)]
        here = run_in(lab.namespaces[HOST], [*VNETCARD, "trace", *peer, "--json"])
        with pinging(lab):
            words = "ip and (icmp or tcp) and host 10.10.10.5"  # with what a shell would not pass on
            shown = run([*here, "--count", "40", words])
        assert (shown.status, shown.stderr) == (0, "")
        *packets, _ = (json.loads(line) for line in shown.stdout.splitlines())
        assert {packet["packet"].split()[3] for packet in packets} == {"ICMP"}
        assert all(packet["delivered"] and len(packet["steps"]) >= 7 for packet in packets)
        deadline = time.monotonic() + 10
        while tap_memories(lab.agent(CARD).pid):
            assert time.monotonic() < deadline, "the export has not ended"
            time.sleep(0.05)


@contextlib.contextmanager
def another_clock(lab: Lab, side: int) -> Iterator[None]:
    """The agent of ``side`` lives in a time namespace whose clock is 1000 s ahead, as another computer's may be."""
    shifted = [need("unshare"), "--time", "--fork", "--kill-child=SIGTERM", "--monotonic", "1000"]
    lab.commands[side] = [*shifted, *lab.commands[side]]
    yield
    lab.stop(side, signal.SIGKILL)  # unshare, which would wait for its child, the agent; that is ended by SIGTERM
    deadline = time.monotonic() + 20
    while socket_path(lab.url, side).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


DATAGRAMS = """
import socket, sys, time
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if sys.argv[1] == "listen":
    end.bind(("", 9))
    print(flush=True)
while True:
    if sys.argv[1] == "listen":
        end.recv(2000)
    else:
        end.sendto(bytes(99), ("10.10.10.5", 9))
        time.sleep(0.01)
"""


def test_clocks_that_cannot_be_compared_are_reported_as_unknown() -> None:
    """The card's clock is 1000 s ahead, and packets go in one direction: their time in between is unknown."""
    with Lab("traceway") as lab, contextlib.ExitStack() as stack:
        for namespace in lab.namespaces:  # the kernel's own packets go in the other direction
            quiet = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
            subprocess.run(run_in(namespace, ["sh", "-c", quiet]), check=True)
        stack.enter_context(another_clock(lab, CARD))
        lab.start(HOST)
        lab.start(CARD)
        lab.wait_up()
        for side, what in ((CARD, "listen"), (HOST, "send")):
            end = stack.enter_context(started(run_in(lab.namespaces[side], [sys.executable, "-c", DATAGRAMS, what])))
            assert what == "send" or (end.stdout and end.stdout.readline())
        command = [*VNETCARD, "trace", "--window", lab.url, "--count", "20"]
        text, summary, content = (run([*command, *more]).stdout for more in ((), ("--summary",), ("--json",)))
    assert re.search(r"\n +\? us  card    (wake-up|peek) ", text) and "\n           ? us  delivered\n" in text
    for words in (text, summary):
        assert "clocks: the offset of the card's clock is not known: it takes packets in both directions" in words
        assert "one clock" not in words
    assert "without the time between the sides of 20: the offset of the clocks was not known" in summary
    assert not re.search("wake-up|in the ring", summary)
    *packets, end_of_it = (json.loads(line) for line in content.splitlines())
    assert (end_of_it["clock_offset_us"], end_of_it["one_clock"]) == (None, False)
    for packet in packets:
        assert not packet["clocks_known"]
        assert max(step["us"] for step in packet["steps"]) < 1e6, "each side's from its own first step"


@pytest.mark.parametrize("ahead", [CARD, HOST])
def test_clocks_that_differ_are_aligned_by_the_packets_themselves(ahead: int) -> None:
    with Lab("traceclock") as lab, contextlib.ExitStack() as stack:
        stack.enter_context(another_clock(lab, ahead))
        lab.start(HOST)
        lab.start(CARD)
        lab.wait_up()
        shown = trace(lab, "--count", "20", "--json", "icmp")
        assert (shown.status, shown.stderr) == (0, "")
        *packets, end = (json.loads(line) for line in shown.stdout.splitlines())
        truth = 1e9 if ahead == CARD else -1e9
        assert end["clock_bound_us"] < 50_000
        assert abs(end["clock_offset_us"] - truth) <= end["clock_bound_us"] + 1000
        for packet in packets[5:]:
            assert packet["delivered"]
            assert packet["steps"][-1]["us"] < 1e6, "the two sides' steps lie beside one another"
