"""``vnetcard trace`` beyond an engine: what the simulated RTL does with a packet is part of its path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.programs import VNETCARD, run
from tests.sim.engine_lab import joined, pinging
from vnetcard.tap import pcap_reader
from vnetcard.tap.packet_trace import STEPS

pytestmark = [pytest.mark.root, pytest.mark.hdl, pytest.mark.slow]


def test_engine_reads_writes_and_publishes_each_packet_between_the_pumps() -> None:
    with joined() as (_, lab), pinging(lab):
        shown = run([*VNETCARD, "trace", "--window", lab.url, "--count", "6", "--json", "icmp"], limit=60)
        assert (shown.status, shown.stderr) == (0, "")
        *packets, _ = (json.loads(line) for line in shown.stdout.splitlines())
        for packet in packets:
            at = {step["step"]: step["us"] for step in packet["steps"]}
            assert set(at) >= set(STEPS) - {"wake-up"}, packet
            assert at["commit"] <= at["engine read"] <= at["engine write"] <= at["engine publish"] <= at["peek"]
            assert {step["side"] for step in packet["steps"]} == {"host", "engine", "card"}
        summed = run([*VNETCARD, "trace", "--window", lab.url, "--count", "20", "--summary", "--json"], limit=60)
        for direction in json.loads(summed.stdout)["directions"]:
            assert {"engine read", "engine write", "engine publish"} <= set(direction["stages_us"])


def test_packets_at_the_engine_are_captured_as_they_come_out_of_the_fifo(tmp_path: Path) -> None:
    with joined() as (_, lab), pinging(lab):
        file = tmp_path / "engine.pcapng"
        where = ["--tap", "engine", "--tap", "fifo-out", "--side", "card", "-w", str(file)]
        done = run([*VNETCARD, "capture", "--window", lab.url, *where, "--count", "60", "icmp"], limit=60)
        assert (done.status, done.stderr) == (0, "vnetcard: 60 packets, 0 missed\n")
        engine, fifo = (pcap_reader.read(file, interface=f"card-{point}").packets for point in ("engine", "fifo-out"))
        assert len(engine) > 20
        both = {packet.data for packet in engine} & {packet.data for packet in fifo}
        assert len(both) >= min(len(engine), len(fifo)) - 5, "but for those under way at the ends"
        came = {packet.data: packet.time for packet in engine}
        assert all(came[packet.data] <= packet.time for packet in fifo if packet.data in both)
