"""Captures through the engine: packets recorded on an interface cross it and arrive unchanged.

``make hdl PCAP=file`` does the same with a given file.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.hdl import build, replay
from tests.hdl.jobs import Builds
from vnetcard.tap import pcap_reader, pcapng
from vnetcard.tap.pcap_reader import Packet

pytestmark = [pytest.mark.hdl, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("verilator")]

SAMPLE = Path(__file__).with_name("data") / "ping-and-tcp.pcap"
"""Recorded on tun0 between two agents: pings of 0 to 2048 bytes, and a short TCP connection."""


def test_recorded_pings_and_tcp_cross_the_engine(builds: Builds, tmp_path: Path) -> None:
    arrived = replay.through(builds.get(64), SAMPLE, tmp_path / "out.pcap")
    assert len(arrived) == len(pcap_reader.read(SAMPLE).packets) == 37


def test_largest_packets_cross_the_engine(builds: Builds, tmp_path: Path) -> None:
    """Jumbo frames, super-packets of 64 KB and very small packets; together more than a ring holds."""
    sizes = [9000, 1, 65_535, 20, 65_600, 64, 65_535, 40]
    packets = [Packet(n, random.randbytes(size)) for n, size in enumerate(sizes)]
    pcap_reader.write(tmp_path / "large.pcap", packets)
    arrived = replay.through(builds.get(512), tmp_path / "large.pcap", tmp_path / "out.pcap")
    assert [packet.data for packet in arrived] == [packet.data for packet in packets]


def test_command_replays_and_writes_the_arrived_packets(
    builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built = builds.get(64)
    monkeypatch.setattr(build, "build", lambda folder, width: built)
    given, out = tmp_path / "own.pcapng", tmp_path / "out.pcap"
    sent = pcap_reader.read(SAMPLE).packets
    given.write_bytes(of_two_interfaces(sent))
    assert replay.main([str(given), "--interface", "host-port", "--out", str(out)]) == 0
    assert "37 packets" in (said := capsys.readouterr().out) and "none changed" in said
    arrived = pcap_reader.read(out).packets
    assert [packet.data for packet in arrived] == [packet.data for packet in sent]
    assert all(packet.time > sent[0].time for packet in arrived)


def of_two_interfaces(packets: tuple[Packet, ...]) -> bytes:
    """Return a pcapng file like that of ``vnetcard capture``: ``packets`` at the host's port, others at the card's."""
    out = pcapng.section() + pcapng.interface("host-port", "", 65600) + pcapng.interface("card-port", "", 65600)
    for packet in packets:
        length = len(packet.data)
        out += pcapng.packet(0, packet.time, packet.data, length, direction=pcapng.OUTBOUND, comments=["h2c"])
        out += pcapng.packet(1, packet.time, packet.data[::-1], length, direction=pcapng.INBOUND)
    return out


def test_failing_simulation_is_reported_and_writes_nothing(
    builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built = builds.get(64)
    monkeypatch.setattr(build, "build", lambda folder, width: built)
    monkeypatch.setenv("VNETCARD_SEED", "7")
    real = build.simulate
    monkeypatch.setattr(build, "simulate", lambda *a, **k: real(*a, **{**k, "extra_env": {"VNETCARD_PCAP": "/none"}}))
    out = tmp_path / "out.pcap"
    assert replay.main([str(SAMPLE), "--out", str(out)]) == 1
    assert "VNETCARD_SEED=7" in capsys.readouterr().err
    assert not out.exists()
