"""No ping of any size is lost, in either direction, through windows of all sizes, with offload and without."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.ledger import assert_kernel_agrees
from tests.harness.needs import need
from tests.harness.pings import run_pings
from tests.harness.traffic import V4, assert_no_bad_checksums, joined, snmp, sweep_both_directions
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ping.suite import Target
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

LAST_SIZE = 2100
FLOOD = 100_000
LATE_S = 20.0
"""Replies may come so long after ping has gone."""
TOO_SMALL = "the rings are smaller than 256 KiB"
KINDS = [(size, offload) for size in ("16K", "64K", "8M") for offload in ("auto", "off")]


@pytest.fixture(params=KINDS, ids="-".join)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Each window with each setting; afterwards no ledger has a loss."""
    for tool in ("ip", "ping"):
        need(tool)
    size, offload = request.param
    options = ("--offload", offload)
    with joined(size=size, host=options, card=options) as lab:
        assert _verdicts(lab) == {_expected(size, offload)}
        yield lab
        assert_no_bad_checksums(lab)
        assert_kernel_agrees(lab)


def _verdicts(lab: Lab) -> set[str]:
    """What both sides say about all offloads."""
    return {why for side in (L.HOST, L.CARD) for why in lab.status(side)["link"]["features"].values()}


def _expected(size: str, offload: str) -> str:
    if offload == "off":
        return "switched off by --offload"
    return "on" if size == "8M" else TOO_SMALL


def test_default_sizes_pass_in_both_directions(lab: Lab) -> None:
    targets = [Target(V4[1 - side], lab.namespaces[side], L.DIRECTIONS[side]) for side in (L.HOST, L.CARD)]
    results = run_pings(targets, count=5)
    assert len(results) == 20
    assert all(result.ok for result in results), [result for result in results if not result.ok]


@pytest.mark.parametrize("version", [4, 6])
def test_every_payload_size_passes_in_both_directions_unharmed(lab: Lab, version: int) -> None:
    _sweep(lab, version, count=3)


@pytest.mark.campaign
@pytest.mark.parametrize("version", [4, 6])
def test_every_payload_size_passes_a_hundred_times(lab: Lab, version: int) -> None:
    for _ in range(5):  # kept apart, so that the sizes come in another order than one long run of each
        _sweep(lab, version, count=20)


def _sweep(lab: Lab, version: int, *, count: int) -> None:
    everything = (LAST_SIZE + 1) * count
    clean = {"sent": everything, "answered": everything, "overflowed": 0, "lost": [], "spoilt": [], "twice": []}
    assert sweep_both_directions(lab, LAST_SIZE, count=count, version=version) == [clean, clean]


@pytest.fixture
def default_lab() -> Iterator[Lab]:
    """Two agents as they start without options."""
    for tool in ("ip", "ping"):
        need(tool)
    with joined() as lab:
        yield lab
        assert_no_bad_checksums(lab)
        assert_kernel_agrees(lab)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "count"),
    [
        pytest.param(2048, FLOOD // 5, id="normal"),
        pytest.param(56, FLOOD, id="campaign-56", marks=pytest.mark.campaign),
        pytest.param(2048, FLOOD, id="campaign-2048", marks=pytest.mark.campaign),
    ],
)
def test_flood_of_pings_loses_none(default_lab: Lab, size: int, count: int) -> None:
    _flood(default_lab, L.HOST, size, count)


@pytest.mark.campaign
@pytest.mark.parametrize("size", [56, 2048])
def test_floods_in_both_directions_at_once_lose_none(lab: Lab, size: int) -> None:
    with ThreadPoolExecutor() as pool:
        for flood in [pool.submit(_flood, lab, side, size, FLOOD) for side in (L.HOST, L.CARD)]:
            flood.result()


def _flood(lab: Lab, side: int, size: int, count: int) -> None:
    """The kernels' counters judge: ``ping -c`` leaves before a late last reply, and then says that it was lost."""
    expected = {(side, "OutEchos"), (1 - side, "InEchos"), (1 - side, "OutEchoReps"), (side, "InEchoReps")}
    before = {what: _counted(lab, what) for what in expected}
    command = ["ping", "-n", "-q", "-f", "-c", str(count), "-W", "20", "-s", str(size), V4[1 - side]]
    done = subprocess.run(run_in(lab.namespaces[side], command), capture_output=True, text=True, check=False)
    said = re.search(r"(\d+) packets transmitted, (\d+) received, (.*), time", done.stdout)
    assert said is not None, done
    assert int(said[1]) == count
    assert not re.search("errors|duplicates|corrupted", said[3]), done.stdout
    deadline = time.monotonic() + LATE_S
    while late := {what: n - count for what in before if (n := _counted(lab, what) - before[what]) != count}:
        assert time.monotonic() < deadline, f"of {count} pings: {late}; ping says {said[0]}"
        time.sleep(0.1)


def _counted(lab: Lab, what: tuple[int, str]) -> int:
    side, name = what
    return snmp(lab, side)[f"Icmp.{name}"]
