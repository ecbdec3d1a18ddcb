"""Transfers arrive whole, and afterwards every packet is in the ledger: iperf3, and streams hashed at both ends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.ledger import assert_kernel_agrees
from tests.harness.needs import need
from tests.harness.traffic import ADDRESS, assert_no_bad_checksums, assert_stream_arrives, joined, snmp
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring import layout as L

pytestmark = pytest.mark.root

GIB = 1 << 30
VERSIONS = [4, pytest.param(6, marks=pytest.mark.campaign)]
"""Of the long streams; the short tests run both."""
KERNEL_QUEUE = {"tx_dropped"}
"""TCP finds the limit of the queue before the TUN by overrunning it; the kernel counts that and TCP sends again."""
SECONDS = "2"
ATTEMPTS = 5


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Two agents as they start without options; afterwards no checksum was wrong."""
    for tool in ("ip", "iperf3"):
        need(tool)
    with joined() as lab:
        yield lab
        assert_no_bad_checksums(lab)


def iperf3(lab: Lab, *words: str, version: int = 4) -> dict[str, Any]:
    """Run a server on the card's side and a client on the host's; the client's report."""
    address = ADDRESS[version][L.CARD]
    command = ["iperf3", "-s", "-1", "--forceflush", "-B", address]
    server = subprocess.Popen(run_in(lab.namespaces[L.CARD], command), stdout=subprocess.PIPE, text=True)
    with server:
        try:
            assert server.stdout is not None
            while "listening" not in (line := server.stdout.readline()):
                assert line, "the iperf3 server ended before it listened"
            client = run_in(lab.namespaces[L.HOST], ["iperf3", "-J", "-t", SECONDS, "-c", address, *words])
            done = subprocess.run(client, capture_output=True, text=True, check=False, timeout=120)
            report: dict[str, Any] = json.loads(done.stdout)
            assert "error" not in report, report["error"]
            server.communicate(timeout=60)
        finally:
            server.kill()
    return report


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("options", [[], ["-R"], ["--bidir"]], ids=["h2c", "c2h", "both"])
def test_iperf3_tcp_moves_data(lab: Lab, options: list[str], version: int) -> None:
    end = iperf3(lab, *options, version=version)["end"]
    received = [end["sum_received"]] + ([end["sum_received_bidir_reverse"]] if options == ["--bidir"] else [])
    print("Gbit/s:", [round(total["bits_per_second"] / 1e9, 2) for total in received])
    assert all(total["bytes"] > 0 for total in received), end
    assert_kernel_agrees(lab, allow=KERNEL_QUEUE)


@pytest.mark.parametrize("options", [[], ["-R"]], ids=["h2c", "c2h"])
def test_iperf3_udp_below_capacity_loses_nothing(lab: Lab, options: list[str]) -> None:
    """A receiver that gets no CPU loses datagrams in its own socket: the test tries again.  The card may lose none."""
    receiver = L.HOST if options else L.CARD
    for _ in range(ATTEMPTS):
        before = snmp(lab, receiver)["Udp.RcvbufErrors"]
        end = iperf3(lab, "-u", "-b", "20M", "-l", "1448", "-w", "200K", *options)["end"]
        overflowed = snmp(lab, receiver)["Udp.RcvbufErrors"] - before
        lost, total = end["sum_received"]["lost_packets"], end["sum_received"]["packets"]
        assert total > 0
        assert_kernel_agrees(lab)
        verdict = f"{lost} of {total} datagrams lost, {overflowed} of them by the receiver's own socket, so "
        assert lost <= overflowed, verdict + f"{lost - overflowed} on the way"
        if not lost:
            return
    pytest.fail(f"{verdict} the card lost none; but this machine was too busy {ATTEMPTS} times")


@pytest.mark.slow
@pytest.mark.parametrize("sender", [L.HOST, L.CARD], ids=L.DIRECTIONS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_gibibyte_over_tcp_arrives_with_the_same_hash(lab: Lab, version: int, sender: int) -> None:
    seconds = assert_stream_arrives(lab, "tcp", GIB, version=version, sender=sender)
    print(f"{8 * GIB / seconds / 1e9:.1f} Gbit/s")
    assert_kernel_agrees(lab, allow=KERNEL_QUEUE)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_a_gibibyte_without_offload_arrives_with_the_same_hash(version: int) -> None:
    with joined(host=["--offload", "off"]) as lab:
        assert_stream_arrives(lab, "tcp", GIB, version=version)
        assert_no_bad_checksums(lab)
        assert_kernel_agrees(lab, allow=KERNEL_QUEUE)


@pytest.mark.campaign
@pytest.mark.parametrize("size", ["16K", "64K"])
@pytest.mark.parametrize("version", [4, 6])
def test_a_gibibyte_squeezes_through_a_small_window(size: str, version: int) -> None:
    with joined(size=size) as lab:
        assert_stream_arrives(lab, "tcp", GIB, version=version)
        assert_no_bad_checksums(lab)
        assert_kernel_agrees(lab, allow=KERNEL_QUEUE)


@pytest.mark.parametrize("segments", [1, 40], ids=["plain", "USO"])
@pytest.mark.parametrize("sender", [L.HOST, L.CARD], ids=L.DIRECTIONS)
@pytest.mark.parametrize("version", VERSIONS)
def test_udp_loses_no_datagram(lab: Lab, version: int, sender: int, segments: int) -> None:
    assert_stream_arrives(lab, "udp", 64 << 20, version=version, sender=sender, segments=segments)
    assert_kernel_agrees(lab)
