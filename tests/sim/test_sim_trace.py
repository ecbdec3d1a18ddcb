"""``vnetcard trace`` beyond an engine: what the simulated RTL does with a packet is part of its path."""

from __future__ import annotations

import json

import pytest
from engine_lab import joined, pinging
from programs import VNETCARD, run

from vnetcard.tap.paths import STEPS

pytestmark = [pytest.mark.root, pytest.mark.hdl, pytest.mark.slow]


def test_engine_reads_writes_and_publishes_each_packet_between_the_pumps() -> None:
    with joined("--data-width", "64") as (_, lab), pinging(lab):
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
