"""`vnetcard show` on a real link: every section, in text and JSON, since it was cleared."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.programs import VNETCARD, as_nobody, run, stop
from tests.harness.restarts import until
from tests.harness.soft_sim import soft_simulation
from tests.harness.traffic import interface_down
from vnetcard.lab.lab import Lab, run_in
from vnetcard.observe.views import SECTIONS
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

PINGS = 20
PING = ["ping", "-n", "-q", "-c", str(PINGS), "-i", "0.01", "10.10.10.5"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab("show") as lab:
        for side in (L.HOST, L.CARD):
            lab.start(side, "--address", f"10.10.10.{(1, 5)[side]}/24")
        lab.wait_up()
        for namespace in lab.namespaces:  # the kernel's own IPv6 packets would come between ours
            quiet = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
            subprocess.run(run_in(namespace, ["sh", "-c", quiet]), check=True)
        yield lab


def ping(lab: Lab) -> None:
    subprocess.run(run_in(lab.namespaces[L.HOST], PING), check=True, capture_output=True)


def received(lab: Lab, side: int) -> int:
    return int(lab.status(side)["sides"][side]["rx"]["rx_received"])


def show(lab: Lab, *words: str) -> str:
    done = run([*VNETCARD, "show", *words, "--window", lab.url])
    assert (done.status, done.stderr) == (0, ""), done
    return done.stdout


def shown(lab: Lab, what: str) -> Any:
    return json.loads(show(lab, what, "--json"))[what]


@pytest.mark.parametrize("what", SECTIONS)
def test_every_section_fits_a_terminal(lab: Lab, what: str) -> None:
    lines = show(lab, what).splitlines()
    assert lines
    assert max(map(len, lines)) <= 80


def test_runtime_counts_calls_records_and_batches_of_each_pump(lab: Lab) -> None:
    before = shown(lab, "runtime")["host"]["tx"]
    ping(lab)
    after = shown(lab, "runtime")["host"]["tx"]
    assert after["tx_sent"] - before["tx_sent"] >= PINGS
    assert after["tx_calls"] == sum(after[f"tx_{name}"] for name in L.BATCHES)
    assert after["tx_calls"] > before["tx_calls"]
    assert 1 <= after["tx_records_per_call"] <= 100
    assert 100 < after["tx_ns_per_record"] < 1e8


def test_ring_shows_its_high_water_mark_and_last_movement(lab: Lab) -> None:
    ping(lab)
    h2c, c2h = shown(lab, "ring")[:2]  # of the pair for flows that send little
    assert (h2c["direction"], c2h["direction"]) == L.DIRECTIONS
    assert 0 < h2c["rx_high_water"] <= h2c["size"]
    assert h2c["prod"] == h2c["cons"]
    assert c2h["tx_moved_at_ns"] > 1.7e18


def test_link_shows_its_changes_with_their_reasons(lab: Lab) -> None:
    link = shown(lab, "link")["host"]
    assert [change["state"] for change in link["history"]][-1] == "run"
    assert link["history"][-1]["reason"] == "both sides have answered"
    assert link["counters"]["link_up"] == 1


def test_a_drop_is_shown_with_its_time_and_its_packet(lab: Lab) -> None:
    command = run_in(lab.namespaces[L.HOST], ["ping", "-n", "-c", "1", "-W", "1", "-s", "100", "10.10.10.5"])
    with interface_down(lab, L.CARD, lambda: subprocess.run(command, check=False, capture_output=True)):
        (now,) = [one for one in shown(lab, "errors")["causes"] if one["code"] == "interface-down"]
    assert "the card's interface tun0 is down" in now["words"] and "the host's interface has no carrier" in now["words"]
    rows = shown(lab, "errors")
    (row,) = [row for row in rows["errors"] if row["name"] == "drop_port_down"]
    assert (row["side"], row["sample"]) == ("card", "10.10.10.1 > 10.10.10.5: ICMP echo request, seq 1, 128 bytes")
    assert row["last"] > 1.7e9
    assert "interface-down" in [cause["code"] for cause in rows["causes"]]
    show(lab, "errors", "clear")
    assert shown(lab, "errors") == {"errors": [], "kernel": [], "causes": []}


def test_port_shows_its_interface_and_what_the_kernel_drops_there(lab: Lab) -> None:
    ping(lab)
    card = shown(lab, "port")["card"]
    assert (card["kind"], card["frames"], card["name"], card["mac"]) == ("tun", "ip", "tun0", "")
    queues = {"open": 2, "in_use": 2, "unsteered": ""}
    assert (card["vnet_hdr"], card["queues"], card["offloads"]) == (True, queues, list(L.OFFLOADS))
    device = card["device"]
    assert (device["name"], device["up"], device["carrier"], device["txqueuelen"]) == ("tun0", True, True, 1000)
    assert min(device["counters"]["rx_packets"], device["counters"]["tx_packets"]) >= PINGS
    show(lab, "port", "clear")
    assert shown(lab, "port")["card"]["device"]["counters"]["rx_packets"] < PINGS, "counted since it was cleared"
    # Without a carrier the kernel drops what it is to send, and counts it in the interface's queue or at the device.
    set_link = ["ip", "-n", lab.namespaces[L.CARD], "link", "set", "tun0"]
    subprocess.run([*set_link, "down"], check=True)
    try:
        until(lambda: shown(lab, "port")["host"]["device"]["carrier"] is False, "the host has no carrier")
        now = shown(lab, "port")
        assert (now["card"]["up"], now["card"]["device"]["up"], now["host"]["up"]) == (False, False, True)
        assert "up, NO CARRIER" in show(lab, "port") and "DOWN, NO CARRIER" in show(lab, "port")
    finally:
        subprocess.run([*set_link, "up"], check=True)
        lab.wait_up()


def test_clear_restarts_the_figures_and_leaves_the_counters_unchanged(lab: Lab) -> None:
    ping(lab)
    counted = lab.status(L.HOST)["sides"][L.HOST]["tx"]["tx_sent"]
    show(lab, "runtime", "clear")
    assert shown(lab, "runtime")["host"]["tx"]["tx_sent"] < PINGS <= counted
    assert re.match(r"since \S+ s ago$", show(lab, "runtime").splitlines()[0])
    assert lab.status(L.HOST)["sides"][L.HOST]["tx"]["tx_sent"] >= counted


def test_clear_restarts_the_high_water_mark(lab: Lab) -> None:
    big = ["ping", "-n", "-q", "-c", "1", "-s", "60000", "10.10.10.5"]
    subprocess.run(run_in(lab.namespaces[L.HOST], big), check=True, capture_output=True)
    before = shown(lab, "ring")[0]["rx_high_water"]
    assert before > 1000
    show(lab, "ring", "clear")
    small = ["ping", "-n", "-q", "-c", "3", "-i", "0.05", "-s", "56", "10.10.10.5"]
    subprocess.run(run_in(lab.namespaces[L.HOST], small), check=True, capture_output=True)
    assert 0 < shown(lab, "ring")[0]["rx_high_water"] < before


def test_watch_shows_again_until_interrupted(lab: Lab) -> None:
    command = [*VNETCARD, "show", "ring", "--json", "--watch", "--window", lab.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        shown_twice = [json.loads(watching.stdout.readline()) for _ in range(2)]
        watching.terminate()
    assert [len(one["ring"]) for one in shown_twice] == [4, 4]


@contextlib.contextmanager
def stopped(lab: Lab, *sides: int) -> Iterator[None]:
    for side in sides:
        stop(lab.agent(side))
    try:
        yield
    finally:
        for side in sides:
            lab.agent(side).send_signal(signal.SIGCONT)
        for side in sides:
            lab.wait_for(side, "run")


@pytest.mark.parametrize("sides", [(L.CARD,), (L.HOST, L.CARD)], ids=["one", "both"])
def test_stopped_agents_are_named_at_once_and_their_counters_shown(lab: Lab, sides: tuple[int, ...]) -> None:
    before = shown(lab, "runtime")["card"]["rx"]["rx_received"]
    replied = received(lab, L.HOST) + PINGS
    ping(lab)
    # ping itself does not wait for its last reply where others came.
    until(lambda: received(lab, L.HOST) >= replied, "the last reply")
    with stopped(lab, *sides):
        began = time.monotonic()
        text = show(lab, "errors")
        took = time.monotonic() - began
        card = shown(lab, "runtime")["card"]
        answers = json.loads(show(lab, "ring", "--json"))
        status = run([*VNETCARD, "status", "--window", lab.url])
        cleared = run([*VNETCARD, "show", "errors", "clear", "--window", lab.url])
        found = run([*VNETCARD, "metrics", "--once", "--window", lab.url]).stdout
    for side in sides:
        words = f"(pid {lab.agent(side).pid}) is stopped: kill -CONT {lab.agent(side).pid}"
        assert f"{words} continues it; the rest was read from its window" in " ".join(text.split())
        assert f"agent-unresponsive: the {L.SIDES[side]} agent for {lab.url} {words}" in " ".join(text.split())
        assert words in status.stdout and status.status == 1
        assert f'vnetcard_agent_up{{side="{L.SIDES[side]}",window="{lab.url}"}} 0.0' in found
    assert took < 4.5, "0.5 s per agent on a machine that is not busy; an agent that runs is given 5 s"
    assert card["rx"]["rx_received"] - before >= PINGS
    assert sorted(answers["unresponsive"]) == sorted(L.SIDES[side] for side in sides)
    assert [ring["fill"] for ring in answers["ring"]] == [0] * 4
    assert (cleared.status, cleared.stdout, cleared.stderr.count("\n")) == (2, "", 1)


def test_registers_of_an_engine_are_decoded() -> None:
    with soft_simulation() as simulation, Lab("registers", window=f"sim:{simulation.name}") as lab:
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up()
        host = {row["name"]: row for row in shown(lab, "registers")["host"]}
        lines = show(lab, "registers").splitlines()
        show(lab, "registers", "clear")
        ping(lab)
        later = {row["name"]: row for row in shown(lab, "registers")["host"]}
        since = show(lab, "registers")
    assert (host["id"]["words"], host["tx_cause"]["words"]) == ("VNCD", "NONE")
    assert {"TX_RUN", "RX_RUN", "LOCKED", "SIDE_RUN"} <= set(host["status"]["words"].split())
    assert any(line.split()[:2] == ["0x010", "status"] for line in lines)
    for name, least in (("tx_publications", 1), ("tx_bytes_lo", PINGS * 128), ("tx_errors", 0)):
        grown = later[name]["since"]
        assert least <= grown <= later[name]["value"] - host[name]["value"]
        assert re.search(rf" {name} +0x\w+  \d+ \(\+\d+\)\n", since)
    assert "since" not in host["tx_publications"] and "since" not in later["status"]
    assert lines[0].startswith("host's registers: 64-bit engine")


@pytest.mark.parametrize(
    "words", ["show errors", "show errors clear", "top", "metrics --once", "report -o /tmp/no.html"]
)
def test_user_without_permission_gets_one_line(lab: Lab, words: str) -> None:
    command = as_nobody([*VNETCARD, *words.split(), "--window", lab.url])
    done = run(command, env={"VNETCARD_RUN_DIR": "/run/vnetcard"})
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
    assert "no permission for /run/vnetcard/" in done.stderr
