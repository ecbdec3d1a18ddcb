"""`--gro` on a side whose peer has no offloads: segments that wait in the ring enter a real kernel together."""

from __future__ import annotations

import pytest

from tests.harness.ledger import assert_ledgers_balance
from tests.harness.traffic import assert_no_bad_checksums, assert_stream_arrives, joined
from tests.integration.test_gro import ledger
from vnetcard.lab.lab import Lab
from vnetcard.ring.layout import CARD, HOST

pytestmark = pytest.mark.root

WORDS = ("rx_delivered", "rx_port_writes")
ATTEMPTS = 20
"""Streams until some segments have waited for their receiver."""


def records_and_writes(lab: Lab, receiver: int, version: int, mtu: int) -> tuple[int, int]:
    """What a stream to ``receiver`` was in the ring, and how often it was written into the port."""
    before = [ledger(lab, receiver, "rx", word) for word in WORDS]
    assert_stream_arrives(lab, "tcp", 256 * mtu, version=version, sender=1 - receiver)
    after = [ledger(lab, receiver, "rx", word) for word in WORDS]
    return after[0] - before[0], after[1] - before[1]


@pytest.mark.parametrize("mtu", [1500, 9000])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("offload", ["off", "csum"])
def test_segments_of_a_side_without_offloads_enter_the_other_kernel_together(
    offload: str, version: int, mtu: int
) -> None:
    options = ["--gro", "--mtu", str(mtu)]
    with joined(host=options, card=[*options, "--offload", offload]) as lab:
        assert lab.status(HOST)["link"]["features"]["TSO4"] != "on"
        for receiver in (HOST, CARD):
            for _ in range(ATTEMPTS):
                records, writes = records_and_writes(lab, receiver, version, mtu)
                if writes < records * 3 // 4:
                    break
            else:
                raise AssertionError(f"{records} segments were written one by one: {writes} writes")
            assert lab.status(receiver)["sides"][receiver]["rx"]["drop_port_refused"] == 0
        assert_no_bad_checksums(lab)
        assert_ledgers_balance(lab)
