"""Two agents over several queue pairs: flows spread, both sides agree on the number, kills leave the ledger exact."""

from __future__ import annotations

import contextlib
import json
import mmap
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.checked_stream import Stream
from tests.harness.ledger import assert_kernel_agrees, assert_ledgers_balance, kernel_minus_ledger
from tests.harness.programs import VNETCARD, started
from tests.harness.restarts import GENEROUS, OUTAGE, chance, fast_retries, kill_and_restart, ping, start_fails, until
from vnetcard._core import Memory
from vnetcard.lab.lab import ADDRESSES, Lab, run_in
from vnetcard.ring import layout as L
from vnetcard.ring.counters import read_end
from vnetcard.window import read_window

pytestmark = pytest.mark.root

VICTIMS = ((L.HOST,), (L.CARD,), (L.HOST, L.CARD), (L.CARD, L.HOST))
FLOWS = 4
MOST_FLOWS = 24
KEEP = ("--persist",)
SPREAD = ("--steering", "kernel")
"""Flows over all queues alike; test_steering.py has the other one."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("queues") as lab:
        yield lab


def start_both(lab: Lab, host: tuple[str, ...], card: tuple[str, ...]) -> None:
    for side, options in ((L.HOST, host), (L.CARD, card)):
        lab.start(side, *options)
    lab.wait_up()


def sent_by_queue(lab: Lab, side: int, queues: int) -> list[int]:
    """Records that ``side`` has put into each of its rings."""
    size = L.rings_offset(queues)
    memory = Memory(mmap.mmap(-1, size))
    memory.write(0, read_window(lab.url, size))
    return [read_end(memory, L.DIRECTIONS[side], tx=True, queue=queue).ledger["tx_sent"] for queue in range(queues)]


def every_queue_used(lab: Lab, before: list[list[int]]) -> bool:
    """Whether each side has sent by each of its two queues since ``before``."""
    sent = [sent_by_queue(lab, side, 2) for side in (L.HOST, L.CARD)]
    return all(now > then for side in (L.HOST, L.CARD) for now, then in zip(sent[side], before[side], strict=True))


def flows(lab: Lab, side: int, count: int) -> None:
    """Datagrams of ``count`` flows from ``side``, each to a port of its own."""
    send = (
        "import socket, sys\n"
        "for port in range(int(sys.argv[2])):\n"
        "    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:\n"
        "        flow.sendto(b'x', (sys.argv[1], 20000 + port))\n"
    )
    command = [sys.executable, "-c", send, ADDRESSES[1 - side], str(count)]
    subprocess.run(run_in(lab.namespaces[side], command), check=True)


def test_flows_spread_over_the_queues_and_every_packet_is_in_the_ledger(lab: Lab) -> None:
    start_both(lab, ("--queues", "3", *SPREAD), SPREAD)
    for side in (L.HOST, L.CARD):
        flows(lab, side, 60)
        ping(lab, side)
    view, _ = assert_ledgers_balance(lab)
    assert (view["link"]["queues"], len(view["rings"])) == (3, 6)
    for side in (L.HOST, L.CARD):
        sent = sent_by_queue(lab, side, 3)
        assert all(sent) and sum(sent) == view["sides"][side]["tx"]["tx_sent"]
    assert_kernel_agrees(lab)


def test_tools_show_each_queue_and_their_sum(lab: Lab, tmp_path: Path) -> None:
    def vnetcard(*words: str) -> str:
        done = subprocess.run([*VNETCARD, *words, "--window", lab.url], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    start_both(lab, ("--queues", "2", *SPREAD), ("--queues", "2", *SPREAD))
    file = tmp_path / "seen.pcapng"
    capture = [*VNETCARD, "capture", "--window", lab.url, "--tap", "fifo-out", "-w", str(file)]
    trace = [*VNETCARD, "trace", "--window", lab.url, "--json", "--count", "60", "udp"]
    with started(capture) as capturing, started(trace) as tracing:
        until(lambda: file.exists() and file.stat().st_size > 0, "the capture has begun")
        while tracing.poll() is None:  # it begins some time
            flows(lab, L.HOST, 40)
        packets = [json.loads(line) for line in tracing.communicate()[0].splitlines()]
        capturing.send_signal(signal.SIGINT)
        capturing.wait()
    assert {packet["queue"] for packet in packets if packet.get("delivered")} == {0, 1}
    assert b" of queue 1" in file.read_bytes()
    assert_ledgers_balance(lab)

    runtime = json.loads(vnetcard("show", "runtime", "--json"))["runtime"]["host"]
    sent = [runtime[f"tx queue {n}"]["tx_sent"] for n in range(2)]  # a kernel sends something of its own now and then
    assert all(sent) and runtime["tx"]["tx_sent"] == sum(sent)
    assert "tx pump, queue 1 " in vnetcard("show", "runtime")
    assert "c2h queue 1  [" in vnetcard("show", "ring")
    assert "queues    2 of 2 in use; this side serves 2, the peer 2" in vnetcard("status")
    found = dict(line.rsplit(" ", 1) for line in vnetcard("metrics", "--once").splitlines() if line[0] != "#")
    labels = f'side="host",window="{lab.url}"}}'
    counted = [float(found[f'vnetcard_queue_tx_sent_total{{direction="h2c",queue="{n}",{labels}']) for n in range(2)]
    assert all(counted) and float(found[f'vnetcard_tx_sent_total{{direction="h2c",{labels}']) == sum(counted)
    assert f'vnetcard_ring_fill{{direction="c2h",queue="1",window="{lab.url}"}}' in found


@pytest.mark.parametrize(("host", "card", "agreed"), [("3", "2", 2), ("2", "1", 1), ("1", "4", 1)])
def test_link_runs_over_as_many_queues_as_both_serve(lab: Lab, host: str, card: str, agreed: int) -> None:
    """The kernel sends nothing to the others."""
    start_both(lab, ("--queues", host, *SPREAD), ("--queues", card, *SPREAD))
    for side in (L.HOST, L.CARD):
        flows(lab, side, 60)
        ping(lab, side)
    views = assert_ledgers_balance(lab)
    assert [view["link"]["queues"] for view in views] == [agreed, agreed]
    for side in (L.HOST, L.CARD):
        sent = sent_by_queue(lab, side, int(host))
        assert [bool(n) for n in sent] == [queue < agreed for queue in range(int(host))]


def test_card_that_creates_the_window_creates_the_configured_pairs(lab: Lab) -> None:
    lab.start(L.CARD, "--queues", "3")
    lab.start(L.HOST)
    lab.wait_up()
    ping(lab, L.HOST)
    views = assert_ledgers_balance(lab)
    assert [(view["link"]["queues"], len(view["rings"])) for view in views] == [(3, 6), (3, 6)]
    lab.stop(L.HOST)
    status, words = start_fails(lab, L.HOST, "--queues", "2")
    assert status == 2 and "asked for 2 queue pairs, the window has 3" in words
    lab.start(L.HOST, "--queues", "3")
    lab.wait_up()
    ping(lab, L.CARD)
    assert lab.status(L.HOST)["link"]["queues"] == 3


def test_persistent_interface_of_one_queue_serves_the_card_with_a_warning(lab: Lab, tmp_path: Path) -> None:
    lab.start(L.CARD, "--queues", "1", *KEEP)
    lab.stop(L.CARD)
    lab.start(L.HOST, "--queues", "2")
    with (tmp_path / "log").open("w+") as log:
        lab._log = log
        lab.start(L.CARD, *KEEP)
        lab.wait_up()
        assert "1 of 2 queue pairs: port tun:tun0" in (tmp_path / "log").read_text()
    ping(lab, L.HOST)
    assert lab.status(L.CARD)["link"]["queues"] == 1


@pytest.mark.parametrize(
    ("kills", "limit"),
    [
        pytest.param(4, GENEROUS, id="normal", marks=pytest.mark.slow),
        pytest.param(80, GENEROUS, id="campaign", marks=(pytest.mark.campaign, pytest.mark.timeout(1800))),
    ],
)
def test_ledger_is_exact_after_kills_under_load(lab: Lab, tmp_path: Path, kills: int, limit: float) -> None:
    """Verified TCP connections in both directions on two queues survive all kills; after each the ledger balances."""
    rng = chance()
    options = (("--queues", "2", *KEEP, *SPREAD), (*KEEP, *SPREAD))
    start_both(lab, *options)
    fast_retries(lab)
    probes = [given for _, given in kernel_minus_ledger(lab, assert_ledgers_balance(lab))]
    killed = [0, 0]
    netns = lab.namespaces
    with contextlib.ExitStack() as running:
        streams: list[Stream] = []
        before = [sent_by_queue(lab, side, 2) for side in (L.HOST, L.CARD)]
        while len(streams) < FLOWS or not every_queue_used(lab, before):  # a kernel spreads flows by a random hash
            number = len(streams)
            assert number < MOST_FLOWS, f"no flow on one of the queues: the test shows nothing: {before}"
            sender = number % 2
            port, seed = 5301 + number, rng.randrange(1 << 32)
            stream = Stream(netns[sender], netns[1 - sender], ADDRESSES[1 - sender], tmp_path, seed=seed, port=port)
            streams.append(running.enter_context(stream))
        for _ in range(kills):
            for stream in streams:
                stream.wait_progress(since=stream.position)
            time.sleep(rng.uniform(0, 0.05))
            victims = rng.choice(VICTIMS)
            took = kill_and_restart(lab, victims, options, pause=rng.choice((0, rng.uniform(0, 0.1))))
            assert took < limit
            for side in victims:
                killed[side] += 1
            for stream in streams:
                stream.wait_progress(since=stream.position)
            for stream in streams:
                stream.pause()
            views = assert_ledgers_balance(lab, allow=OUTAGE)
            kernel = kernel_minus_ledger(lab, views)
            for stream in streams:
                stream.resume()
        length = sum(stream.finish() for stream in streams)
    for side in (L.HOST, L.CARD):
        taken, given = kernel[side]
        given -= probes[side] * (1 + killed[side])  # what each start writes to learn the kernel's offloads
        print(f"{L.SIDES[side]}: kernel sent {taken} more than was taken, received {given} more than was delivered")
        assert 0 <= taken <= 2 * killed[side], "a kill leaves at most one packet per queue uncounted"
        assert 0 <= given <= 2 * killed[side], "a kill between delivery and ledger: at most one packet per queue"
    lost = [side["tx"]["lost_restart"] for side in views[0]["sides"]]
    print(f"{length >> 20} MiB verified; lost in restarts: {lost}; killed {killed}")
